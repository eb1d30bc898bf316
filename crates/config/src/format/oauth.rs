//! The keys of the table `oauth`, which both formats have in their own spelling.

use secrecy::SecretString;

use crate::error::EntryProblem;
use crate::server::OAuthClient;
use crate::spanned::{Field, Table};

/// The prompts that a sign-in can request (OpenID Connect Core, section 3.1.2.1). With `none`, the user would not see the sign-in.
pub(crate) const PROMPTS: [&str; 4] = ["consent", "login", "select_account", "create"];

/// Reads the keys of the table that need no variables. A key can have several spellings, of which the first one wins.
pub(crate) fn read(table: &Table<'_>, client: &mut OAuthClient) -> Result<(), EntryProblem> {
    let owned = |field: Field<&str>| field.value.to_owned();
    let allows = either(
        |key| table.boolean(key),
        &["allow_unpublished_pkce", "allowUnpublishedPkce"],
    )?;
    client.allow_unpublished_pkce = allows.unwrap_or_default();
    let prompt = table
        .string("prompt")?
        .filter(|field| !field.value.trim().is_empty());
    client.prompt = prompt.map(prompt_of).transpose()?;
    let port = either(|key| table.integer(key), &["callback_port", "callbackPort"])?;
    if let Some(port) = port {
        client.callback_port = Some(port_of(&port)?);
    }
    let urls = ["callback_url", "callbackUrl", "redirect_uri", "redirectUri"];
    if let Some(url) = either(|key| table.string(key), &urls)? {
        client.callback_url = Some(url_of(&url)?);
    }
    let documents = ["client_metadata_url", "clientMetadataUrl"];
    let document = either(|key| table.string(key), &documents)?;
    if let Some(document) = document {
        if !document.value.starts_with("https://") {
            let problem =
                "must be an https:// URL, where the metadata document of the client is published";
            return Err(document.path.problem(problem));
        }
        client.client_metadata_url = Some(owned(document));
    }
    Ok(())
}

/// The first of several spellings of a key that is present.
pub(crate) fn either<T>(
    read: impl Fn(&str) -> Result<Option<T>, EntryProblem>,
    keys: &[&str],
) -> Result<Option<T>, EntryProblem> {
    for key in keys {
        if let Some(found) = read(key)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A client secret that is not blank.
pub(crate) fn secret(text: &str) -> Option<SecretString> {
    (!text.trim().is_empty()).then(|| SecretString::from(text))
}

/// The port of the callback.
pub(crate) fn port_of(field: &Field<i64>) -> Result<u16, EntryProblem> {
    match u16::try_from(field.value) {
        Ok(port @ 1..) => Ok(port),
        _ => Err(field
            .path
            .problem("must be a port: a number from 1 to 65535")),
    }
}

/// The URL of the callback. Its scheme is checked when a sign-in begins.
pub(crate) fn url_of(field: &Field<&str>) -> Result<String, EntryProblem> {
    match url::Url::parse(field.value) {
        Ok(_) => Ok(field.value.to_owned()),
        Err(_) => Err(field
            .path
            .problem("is not a URL; set it to the redirect URI that is registered for the client")),
    }
}

fn prompt_of(field: Field<&str>) -> Result<String, EntryProblem> {
    let words: Vec<&str> = field.value.split_whitespace().collect();
    match words.iter().all(|word| PROMPTS.contains(word)) {
        true => Ok(words.join(" ")),
        false => {
            let problem = format!("must be one or more of `{}`", PROMPTS.join("`, `"));
            Err(field.path.problem(problem))
        }
    }
}
