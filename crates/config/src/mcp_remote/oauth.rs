//! The OAuth client of the options of `mcp-remote`. Never replaces a client secret that is missing with a blank one.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::arguments::{Argument, Arguments};
use super::entry_environment::unusable_variable;
use super::{Unread, Wrapper};
use crate::error::EntryProblem;
use crate::format::oauth::PROMPTS;
use crate::server::OAuthClient;
use crate::validation;

/// The fields of a client's metadata that describe the client to the user. A sign-in works without them.
const DESCRIPTIONS: [&str; 9] = [
    "client_name",
    "client_uri",
    "contacts",
    "logo_uri",
    "policy_uri",
    "scope",
    "software_id",
    "software_version",
    "tos_uri",
];

/// The OAuth client of an entry, and the parts of the key of its sign-in.
#[derive(Default)]
pub(super) struct OAuthOptions<'a> {
    pub client: OAuthClient,
    pub scopes: Option<Vec<String>>,
    /// The value of `--resource`, if it is used.
    pub resource: Option<&'a str>,
    /// The values of `--authorize-param`.
    pub authorize_parameters: BTreeMap<&'a str, &'a str>,
}

impl Wrapper<'_> {
    pub(super) fn oauth<'a>(&self, arguments: &Arguments<'a>) -> Result<OAuthOptions<'a>, Unread> {
        let mut found = OAuthOptions::default();
        for Argument { text, .. } in &arguments.authorize_parameters {
            let parameter = text.split_once('=').map(|(key, value)| (key.trim(), value));
            let prompt = parameter
                .filter(|(key, value)| *key == "prompt" && is_prompt(value))
                .ok_or(Unread::AsWritten)?;
            found.client.prompt = Some(prompt.1.to_owned());
            found.authorize_parameters.extend([prompt]);
        }
        if let Some(info) = arguments.option("--static-oauth-client-info") {
            self.client_info(info, &mut found.client)?;
        }
        if let Some(metadata) = arguments.option("--static-oauth-client-metadata") {
            let metadata = self.json(metadata, false)?;
            if metadata
                .keys()
                .any(|key| !DESCRIPTIONS.contains(&key.as_str()))
            {
                return Err(Unread::AsWritten);
            }
            let scope = metadata.get("scope").and_then(Value::as_str);
            let scopes = scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect());
            found.scopes = scopes.filter(|scopes: &Vec<String>| !scopes.is_empty());
        }
        if let Some(Argument { text, .. }) = arguments.option("--client-metadata-url") {
            // `mcp-remote` ignores any other URL.
            let url = Url::parse(text.trim()).ok();
            if url.is_some_and(|url| url.scheme() == "https" && url.path() != "/") {
                found.client.client_metadata_url = Some(text.trim().to_owned());
            }
        }
        let resource = arguments.option("--resource");
        let is_blank = resource.is_some_and(|resource| resource.text.trim().is_empty());
        if arguments.disables_resource || is_blank {
            found.client.resource = Some(String::new());
        } else if let Some(Argument { text, path }) = resource {
            let text = text.trim();
            let Ok(url) = Url::parse(text) else {
                let problem = "the resource must be an absolute URI (RFC 8707), for example https://example.com/mcp";
                return Err(path.problem(problem).into());
            };
            found.client.resource = Some(url.into());
            found.resource = Some(text);
        }
        Ok(found)
    }

    /// Reads the client ID and the client secret.
    fn client_info(
        &self,
        info: &Argument<'_>,
        client: &mut OAuthClient,
    ) -> Result<(), EntryProblem> {
        let fields = self.json(info, true)?;
        let path = &info.path;
        let Some(id) = fields.get("client_id").and_then(Value::as_str) else {
            return Err(path.problem("the JSON has no `client_id`; add it"));
        };
        validation::oauth_value(path, id, info.text)?;
        client.client_id = Some(id.to_owned());
        if let Some(secret) = fields.get("client_secret").and_then(Value::as_str) {
            validation::oauth_value(path, secret, info.text)?;
            client.client_secret = Some(SecretString::from(secret));
        }
        Ok(())
    }

    /// Parses the JSON of an option, or of the file that it names as `@file`. `replaces` is whether its variables are replaced.
    fn json(
        &self,
        option: &Argument<'_>,
        replaces: bool,
    ) -> Result<Map<String, Value>, EntryProblem> {
        let path = &option.path;
        let file;
        let mut text = option.text;
        if let Some(name) = text.strip_prefix('@') {
            file = self.read_text(path, name)?;
            text = &file;
        }
        let replaced;
        if replaces {
            replaced = self.environment.replace(text, false);
            if let Some(missing) = replaced.missing {
                return Err(unusable_variable(path, missing, "not set"));
            }
            if let Some(blank) = replaced.blank {
                return Err(unusable_variable(path, blank, "blank"));
            }
            text = &replaced.text;
        }
        // The error of the parser may quote a secret.
        serde_json::from_str(text).map_err(|_| {
            path.problem("the value is not a JSON object; write {\"client_id\": \"…\"}, or @ and the path of a file")
        })
    }
}

/// Whether a text is one or more prompts that a sign-in can request.
fn is_prompt(text: &str) -> bool {
    let mut words = text.split(' ').peekable();
    words.peek().is_some() && words.all(|word| PROMPTS.contains(&word))
}
