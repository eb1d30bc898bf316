//! The types in TypeScript, as ts-rs declares them, with their documentation: one module for the contract and one for the
//! verdict.

use std::error::Error;

use mcp_startup_core::{
    AccessTokenWorth, CertificateProblem, ClientSource, ConfigurationEvidence, CredentialEvidence,
    CredentialFacts, CredentialSent, CredentialSource, CredentialStoreTrouble, CredentialWorth,
    DecodeErrorKind, DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, Evidence,
    ExceededLimit, FirstRequest, HeldSignInEvidence, HeldSignInState, IoTrouble,
    McpAuthRequiredReason, McpAuthStatus, McpServerConnectionStatus, McpServerStartupFailureReason,
    McpServerStartupState, McpServerStatusUpdatedNotification, ProcessEvidence, ProtocolEvidence,
    Recovery, RequestEvidence, RequestTarget, SpawnFailure, StartPhase, StartupFailure,
    StartupFailureKind, StartupWarning, StartupWarningKind, StoreEvidence, Transport,
};
use schemars::JsonSchema;
use serde_json::Value;
use ts_rs::{Config, TS};

use crate::generate::{documentation, field_order, schemas};

const GENERATED: &str = "// Generated from the Rust types by `cargo xtask generate`, with ts-rs. Do not edit it by hand.\n\n";

/// Returns the module of the contract. It has no imports, so it works with every module resolution of TypeScript.
pub fn contract() -> Result<String, Box<dyn Error>> {
    let notification = schemas::documented_notification()?;
    let definitions = &notification["definitions"];
    let types = [
        declaration::<McpServerStartupFailureReason>(
            &definitions["McpServerStartupFailureReason"],
        )?,
        declaration::<McpServerStartupState>(&definitions["McpServerStartupState"])?,
        declaration::<McpServerStatusUpdatedNotification>(&notification)?,
        documented::<McpAuthStatus>()?,
        documented::<McpServerConnectionStatus>()?,
        documented::<DecodeErrorKind>()?,
    ];
    Ok(GENERATED.to_owned() + &types.join("\n"))
}

/// Returns the module of the verdict and the evidence. It has no imports.
pub fn verdict() -> Result<String, Box<dyn Error>> {
    let failure = schemas::startup_failure()?;
    let types = [
        declaration::<StartupFailure>(&failure)?,
        documented::<StartupFailureKind>()?,
        documented::<Recovery>()?,
        documented::<McpAuthRequiredReason>()?,
        documented::<StartupWarning>()?,
        documented::<StartupWarningKind>()?,
        documented::<Evidence>()?,
        documented::<Transport>()?,
        documented::<StartPhase>()?,
        documented::<ConfigurationEvidence>()?,
        documented::<CredentialEvidence>()?,
        documented::<CredentialSource>()?,
        documented::<ClientSource>()?,
        documented::<HeldSignInEvidence>()?,
        documented::<HeldSignInState>()?,
        documented::<StoreEvidence>()?,
        documented::<CredentialStoreTrouble>()?,
        documented::<RequestEvidence>()?,
        documented::<RequestTarget>()?,
        documented::<CredentialSent>()?,
        documented::<IoTrouble>()?,
        documented::<CertificateProblem>()?,
        documented::<DiscoveryEvidence>()?,
        documented::<DiscoveryOutcome>()?,
        documented::<DiscoveryProblem>()?,
        documented::<ProcessEvidence>()?,
        documented::<SpawnFailure>()?,
        documented::<ProtocolEvidence>()?,
        documented::<ExceededLimit>()?,
        documented::<CredentialFacts>()?,
        documented::<CredentialWorth>()?,
        documented::<AccessTokenWorth>()?,
        documented::<FirstRequest>()?,
    ];
    Ok(GENERATED.to_owned() + &types.join("\n"))
}

fn documented<T: TS + JsonSchema>() -> Result<String, Box<dyn Error>> {
    declaration::<T>(&schemas::documented::<T>()?)
}

/// Returns the declaration of a type after a comment with its documentation and that of its values or fields.
fn declaration<T: TS>(documentation: &Value) -> Result<String, Box<dyn Error>> {
    let name = T::ident(&Config::new());
    let summary = documentation["description"]
        .as_str()
        .and_then(|description| description.split("\n\n").next())
        .ok_or_else(|| format!("{name} has no documentation"))?;
    let declared = exported::<T>();
    let mut comment = format!("/**\n * {summary}\n");
    let described = |described: &Value| described["description"].as_str().map(str::to_owned);
    let mut has_list = false;
    let mut list = |item: &str, text: Option<String>| -> Result<(), Box<dyn Error>> {
        let text = text.ok_or_else(|| format!("`{item}` of {name} has no documentation"))?;
        if !std::mem::replace(&mut has_list, true) {
            comment.push_str(" *\n");
        }
        comment.push_str(&format!(" * - `{item}`: {text}\n"));
        Ok(())
    };
    // If the fields have comments of their own, ts-rs has put them into the declaration.
    if documentation["properties"].is_object() && !declared.contains("/**") {
        for field in field_order::field_names(&name)? {
            list(&field, described(&documentation["properties"][&field]))?;
        }
    }
    for variant in documentation["oneOf"].as_array().into_iter().flatten() {
        let value = variant["const"].as_str().ok_or("a variant has no value")?;
        list(value, described(variant))?;
    }
    Ok(format!("{comment} */\n{declared}\n"))
}

/// Returns the declaration of a type by ts-rs, formatted.
fn exported<T: TS>() -> String {
    let declared = format!("export {}", T::decl(&Config::new()));
    let (first, inner) = declared.split_once('\n').unwrap_or((&declared, ""));
    let mut exported = first.trim_end().to_owned();
    // The lines of the fields and of their comments.
    for line in inner.lines().map(str::trim_end) {
        exported.push_str("\n  ");
        match line.strip_prefix(" * ") {
            Some(text) => {
                exported.push_str(&format!(" * {}", documentation::language_neutral(text)))
            }
            None => exported.push_str(line),
        }
    }
    exported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_contract() {
        let expected = [
            r#"export type McpServerStartupFailureReason = "reauthenticationRequired";"#,
            r#"export type McpServerStartupState = "starting" | "ready" | "failed" | "cancelled";"#,
            "export type McpServerStatusUpdatedNotification = { threadId: string | null, name: string, status: McpServerStartupState, error: string | null, failureReason: McpServerStartupFailureReason | null, };",
            r#"export type McpAuthStatus = "unknown" | "unsupported" | "notLoggedIn" | "bearerToken" | "oAuth";"#,
            r#"export type McpServerConnectionStatus = "notStarted" | "starting" | "connected" | "authenticationRequired" | "failed" | "cancelled" | "disabled";"#,
            r#"export type DecodeErrorKind = "invalidJson" | "notAnObject" | "missingField" | "invalidType" | "tooLong";"#,
        ];
        let contract = contract().unwrap();
        let exported: Vec<&str> = contract
            .lines()
            .filter(|line| line.starts_with("export "))
            .collect();
        assert_eq!(exported, expected);
    }

    #[test]
    fn comments_are_well_formed_and_every_type_is_declared() {
        for module in [contract().unwrap(), verdict().unwrap()] {
            assert_eq!(module.matches("/**").count(), module.matches("*/").count());
            for (before, _) in module.match_indices("export type ") {
                assert!(module[..before].ends_with("*/\n"), "{}", &module[before..]);
            }
        }
        let module = verdict().unwrap();
        let schema = schemas::startup_failure().unwrap();
        for name in schema["definitions"].as_object().unwrap().keys() {
            assert!(
                module.contains(&format!("\nexport type {name} = ")),
                "{name}"
            );
        }
        // Fields that are omitted if empty, and numbers that are not `bigint`.
        for field in [
            "requests?: Array<RequestEvidence>",
            "configurationWarnings?: Array<ConfigurationEvidence>",
            "limitMs?: number",
            "elapsedMs?: number",
        ] {
            assert!(module.contains(field), "{field}");
        }
    }
}
