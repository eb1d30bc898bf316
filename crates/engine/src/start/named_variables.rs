//! Finds the variable in the configuration of a program that is blank, or whose name differs a little from one that the program names.

use std::collections::HashSet;

use mcp_startup_config::{EntryProblem, ServerConfig, TransportConfig};
use secrecy::ExposeSecret;

/// How many names in the output are compared with the variables.
const MAX_NAMES: usize = 50;
/// How many variables of the configuration are compared.
const MAX_VARIABLES: usize = 50;
/// The maximum length of a name that is compared, in bytes.
const MAX_BYTES: usize = 100;

/// Returns the problem of a blank variable that the program names, or of one that it does not name, but a similar one: another case, a
/// missing or superfluous letter or underscore.
pub(super) fn problem(config: &ServerConfig, output: &str) -> Option<EntryProblem> {
    let TransportConfig::Stdio(stdio) = &config.transport else {
        return None;
    };
    let names: HashSet<&str> = names_of_variables(output).take(MAX_NAMES).collect();
    let mut blank = stdio.env.iter().filter(|(name, value)| {
        names.contains(name.as_str()) && value.expose_secret().trim().is_empty()
    });
    if let Some((name, _)) = blank.next() {
        return Some(config.problem("env", format!("`{name}` is blank; set its value")));
    }
    let variables = stdio.env.iter().map(|(name, _)| name.as_str());
    let variables: Vec<&str> = variables.take(MAX_VARIABLES).collect();
    let missing = names.iter().filter(|name| !variables.contains(name));
    let mut similar = missing.filter_map(|name| {
        let is_meant = |variable: &&&str| !names.contains(**variable) && is_similar(variable, name);
        Some((*name, *variables.iter().find(is_meant)?))
    });
    let (name, variable) = similar.next()?;
    let problem =
        format!("it has `{variable}`, and the program names `{name}`; did you mean this?");
    Some(config.problem("env", problem))
}

/// The names of environment variables in a text, as programs write them: in upper case, with an underscore.
fn names_of_variables(text: &str) -> impl Iterator<Item = &str> {
    let words =
        text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| {
        (6..=MAX_BYTES).contains(&word.len())
            && word.contains('_')
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && !word.bytes().any(|byte| byte.is_ascii_lowercase())
    })
}

/// Whether two names are the same without their case and underscores, or one has one more letter than the other.
fn is_similar(variable: &str, name: &str) -> bool {
    if variable.len() > MAX_BYTES || variable == name {
        return false;
    }
    let plain = |text: &str| text.replace('_', "").to_ascii_uppercase();
    let (variable, name) = (plain(variable), plain(name));
    let (longer, shorter) = match variable.len() > name.len() {
        true => (variable.as_bytes(), name.as_bytes()),
        false => (name.as_bytes(), variable.as_bytes()),
    };
    let same = longer
        .iter()
        .zip(shorter)
        .take_while(|(left, right)| left == right)
        .count();
    longer.len() == shorter.len() && same == longer.len()
        || longer.len() == shorter.len() + 1 && longer[same + 1..] == shorter[same..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_variable_is_named() {
        let rows = [
            ("ACME_KEYS", "Error: ACME_KEY is not set", true),
            ("ACME_API_TOKEN", "ACMEAPI_TOKEN is required", true),
            (
                "acme_api_key",
                "ACME_API_KEY environment variable is required",
                true,
            ),
            ("ACME_API_KEY", "ACME_APIKEY is required", true),
            ("ACME_KEY", "ACME_KEY is invalid", false),
            ("ACME_URL", "ACME_KEY is not set", false),
            ("ACME_KEYS", "set ACME_KEY or ACME_KEYS", false),
            ("ACME_KEYS", "no key", false),
            ("BLANK_KEY", "BLANK_KEY is not set", true),
            ("BLANK_KEY", "no key", false),
        ];
        for (variable, output, expected) in rows {
            let mut config = ServerConfig::stdio("acme", "acme", Vec::<String>::new()).unwrap();
            if let TransportConfig::Stdio(stdio) = &mut config.transport {
                let value = if variable == "BLANK_KEY" { " " } else { "v" };
                stdio.env = vec![(variable.to_owned(), value.into())];
            }
            assert_eq!(problem(&config, output).is_some(), expected, "{output}");
        }
    }
}
