//! Detects Codex's encrypted store. It never reads it: only Codex has the key.

use std::path::Path;

use mcp_startup_core::CredentialStoreTrouble;

use crate::store::StoreError;

/// The file with Codex's encrypted sign-ins, relative to the folder of `config.toml`. Codex writes it if its feature
/// `secret_auth_storage` is on.
const FILE: &str = "secrets/mcp_oauth.age";

/// Fails if this home has an encrypted store, because that store may contain the record. Otherwise, nothing is stored there.
///
/// # Errors
///
/// [`StoreError`] with [`CredentialStoreTrouble::Unsupported`] if the store exists.
pub(crate) fn refuse(home: &Path) -> Result<(), StoreError> {
    let file = home.join(FILE);
    // Any other error, such as a missing permission, does not prove that the file is absent.
    match file.symlink_metadata() {
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        _ => {
            let detail = format!(
                "{} is Codex's encrypted store, which only Codex can read",
                file.display()
            );
            Err(StoreError::new(
                "secrets",
                CredentialStoreTrouble::Unsupported,
                detail,
            ))
        }
    }
}
