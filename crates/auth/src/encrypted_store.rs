//! Codex's encrypted store, which is recognised and can't be read.

use std::path::Path;

use mcp_startup_core::CredentialStoreTrouble;

use crate::store::StoreError;

/// Beside `config.toml`, where Codex keeps sign-ins encrypted: its feature `secret_auth_storage`.
const FILE: &str = "secrets/mcp_oauth.age";

/// Whether a record may be in the encrypted store of this home. It can't be read here: that is not "nothing stored".
///
/// # Errors
///
/// [`StoreError`] with [`CredentialStoreTrouble::Unsupported`] where there is such a store.
pub(crate) fn refuse(home: &Path) -> Result<(), StoreError> {
    let file = home.join(FILE);
    // One that can't be looked at may be there.
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
                "{} is Codex's encrypted store, which only Codex reads",
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
