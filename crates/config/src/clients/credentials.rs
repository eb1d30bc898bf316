//! Where the sign-ins for the servers of clients are stored: where Codex stores its own.

use super::{Client, ClientFile, Scope};
use crate::configuration::{Configuration, CredentialSettings};
use crate::environment::{Environment, codex_home};

/// Returns where sign-ins for the servers of clients are stored: in the place that the user's configuration of Codex specifies. Without
/// one, in Codex's file.
///
/// `files` are the files of the clients ([`discover`](super::discover)). If they have no file of Codex, its `config.toml` is read.
pub fn credentials(files: &[ClientFile], environment: &dyn Environment) -> CredentialSettings {
    let mut users = files
        .iter()
        .filter(|file| file.client == Client::Codex && file.scope == Scope::User);
    let path = match users.find(|file| file.path.ends_with("config.toml")) {
        Some(file) => Some(file.path.clone()),
        None => codex_home(environment).map(|home| home.join("config.toml")),
    };
    let codex: Option<Configuration> = path.and_then(|path| crate::read(&path, environment).ok());
    match codex {
        Some(codex) => codex.credentials,
        None => CredentialSettings::in_codex_file(environment),
    }
}
