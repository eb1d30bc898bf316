//! Where the sign-ins for the servers of clients are stored: where Codex stores its own.

use super::{Client, ClientFile, Scope};
use crate::configuration::CredentialSettings;
use crate::environment::{Environment, codex_home};

/// Returns where sign-ins for the servers of clients are stored: in the place that the user's configuration of Codex specifies. Without
/// one, in Codex's file.
///
/// `files` are the files of the clients ([`discover`](super::discover)). If they have no file of Codex, its `config.toml` is read.
pub fn credentials(files: &[ClientFile], environment: &dyn Environment) -> CredentialSettings {
    let in_codex_file = || CredentialSettings::in_codex_file(environment);
    if let Some(file) = files.iter().find(|file| is_codex(file)) {
        return file.credentials.clone().unwrap_or_else(in_codex_file);
    }
    let path = codex_home(environment).map(|home| home.join("config.toml"));
    let codex = path.and_then(|path| crate::read(&path, environment).ok());
    codex.map_or_else(in_codex_file, |codex| codex.credentials)
}

/// Whether this is the user's `config.toml` of Codex.
fn is_codex(file: &ClientFile) -> bool {
    file.client == Client::Codex && file.scope == Scope::User && file.path.ends_with("config.toml")
}
