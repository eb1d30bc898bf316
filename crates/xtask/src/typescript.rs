//! The contract's types in TypeScript.

use std::error::Error;

use mcp_startup_core::{
    McpAuthStatus, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification,
};
use serde_json::Value;
use ts_rs::{Config, TS};

use crate::{field_order, schemas};

/// One module with every type: it imports nothing, so it serves each of TypeScript's ways to resolve a module.
pub fn contract() -> Result<String, Box<dyn Error>> {
    let notification = schemas::documented_notification()?;
    let definitions = &notification["definitions"];
    let auth_status = schemas::documented::<McpAuthStatus>()?;
    let types = [
        declaration::<McpServerStartupFailureReason>(
            &definitions["McpServerStartupFailureReason"],
        )?,
        declaration::<McpServerStartupState>(&definitions["McpServerStartupState"])?,
        declaration::<McpServerStatusUpdatedNotification>(&notification)?,
        declaration::<McpAuthStatus>(&auth_status)?,
    ];
    Ok(format!(
        "// Generated from the Rust types by `cargo xtask generate`, with ts-rs. Do not edit it by hand.\n\n{}",
        types.join("\n")
    ))
}

/// A type as ts-rs declares it, below what its documentation says of it and of each value or field.
fn declaration<T: TS>(documentation: &Value) -> Result<String, Box<dyn Error>> {
    let name = T::ident(&Config::new());
    let summary = documentation["description"]
        .as_str()
        .and_then(|description| description.split("\n\n").next())
        .ok_or_else(|| format!("{name} has no documentation"))?;
    let mut comment = format!("/**\n * {summary}\n *\n");
    let described = |described: &Value| described["description"].as_str().map(str::to_owned);
    let mut list = |item: &str, text: Option<String>| -> Result<(), Box<dyn Error>> {
        let text = text.ok_or_else(|| format!("`{item}` of {name} has no documentation"))?;
        comment.push_str(&format!(" * - `{item}`: {text}\n"));
        Ok(())
    };
    if documentation["properties"].is_object() {
        for field in field_order::of(&name)? {
            list(&field, described(&documentation["properties"][&field]))?;
        }
    }
    for variant in documentation["oneOf"].as_array().into_iter().flatten() {
        let value = variant["const"].as_str().ok_or("a variant has no text")?;
        list(value, described(variant))?;
    }
    Ok(format!("{comment} */\n{}\n", exported::<T>()))
}

fn exported<T: TS>() -> String {
    format!("export {}", T::decl(&Config::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_contract() {
        let wanted = [
            r#"export type McpServerStartupFailureReason = "reauthenticationRequired";"#,
            r#"export type McpServerStartupState = "starting" | "ready" | "failed" | "cancelled";"#,
            "export type McpServerStatusUpdatedNotification = { threadId: string | null, name: string, status: McpServerStartupState, error: string | null, failureReason: McpServerStartupFailureReason | null, };",
            r#"export type McpAuthStatus = "unsupported" | "notLoggedIn" | "bearerToken" | "oAuth";"#,
        ];
        let contract = contract().unwrap();
        let exported: Vec<&str> = contract
            .lines()
            .filter(|line| line.starts_with("export "))
            .collect();
        assert_eq!(exported, wanted);
    }

    #[test]
    fn no_comment_ends_early() {
        let contract = contract().unwrap();
        assert_eq!(
            contract.matches("/**").count(),
            contract.matches("*/").count()
        );
        assert_eq!(
            contract.matches("*/").count(),
            contract.matches("\nexport ").count()
        );
    }
}
