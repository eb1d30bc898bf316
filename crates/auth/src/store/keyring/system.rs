//! The keyring of the operating system: the connection to it, and whether an operation would prompt the user.

use std::sync::Arc;

use keyring_core::api::CredentialStore as System;

use super::thread::Operation;

#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
pub fn connect() -> keyring_core::Result<Arc<System>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
pub fn connect() -> keyring_core::Result<Arc<System>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
pub fn connect() -> keyring_core::Result<Arc<System>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(
    target_os = "macos",
    windows,
    all(unix, not(any(target_vendor = "apple", target_os = "android")))
)))]
pub fn connect() -> keyring_core::Result<Arc<System>> {
    Err(keyring_core::Error::NotSupportedByStore(
        "this system has no supported keyring".to_owned(),
    ))
}

/// Whether an error means that there is no keyring: no bus of a desktop session, no program on it that keeps secrets, or no support by
/// the system.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
pub fn is_absent(error: &keyring_core::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};

    use secret_service::Error as ServiceError;
    use zbus::Error as BusError;
    use zbus::fdo::Error as Reply;

    let keyring_core::Error::PlatformFailure(error) = error else {
        return false;
    };
    let is_missing =
        |reply: &Reply| matches!(reply, Reply::ServiceUnknown(_) | Reply::NameHasNoOwner(_));
    match error.downcast_ref::<ServiceError>() {
        Some(ServiceError::Unavailable) => true,
        Some(ServiceError::Zbus(BusError::InputOutput(error) | BusError::Connection(error, _))) => {
            matches!(error.kind(), NotFound | ConnectionRefused)
        }
        Some(ServiceError::Zbus(BusError::FDO(reply))) => is_missing(reply),
        Some(ServiceError::ZbusFdo(reply)) => is_missing(reply),
        Some(ServiceError::Zbus(BusError::MethodError(name, ..))) => matches!(
            name.as_str(),
            "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner"
        ),
        _ => false,
    }
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
pub fn is_absent(error: &keyring_core::Error) -> bool {
    cfg!(not(any(target_os = "macos", windows)))
        && matches!(error, keyring_core::Error::NotSupportedByStore(_))
}

/// Whether an operation would prompt the user; `None` if the system does not reveal that. It shows no prompt itself.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
pub fn would_prompt(operation: &Operation) -> Option<bool> {
    use std::collections::HashMap;

    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;

    // The search returns locked items without unlocking them. No secret is transferred, so the session needs no encryption.
    let service = SecretService::connect(EncryptionType::Plain).ok()?;
    let attributes = HashMap::from([
        ("service", super::SERVICE),
        ("username", operation.account()),
        ("target", super::TARGET),
    ]);
    let items = service.search_items(attributes).ok()?;
    if !items.locked.is_empty() {
        return Some(true);
    }
    if !operation.writes() || !items.unlocked.is_empty() {
        return Some(false);
    }
    // A new entry requires an unlocked collection.
    service.get_default_collection().ok()?.is_locked().ok()
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
pub fn would_prompt(_operation: &Operation) -> Option<bool> {
    None
}
