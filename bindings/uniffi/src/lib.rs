//! The native library of the Swift package and the Kotlin library, over UniFFI.
//!
//! Most functions take JSON and return `{"ok":…}` or `{"error":…}` ([`mcp_startup_host::answer`]). The types that an app uses are in
//! `bindings/swift` and `bindings/kotlin`. They are generated from the same definition, and each language parses the JSON itself.

mod contract;
#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "engine")]
mod store;
mod verdict;

uniffi::setup_scaffolding!();

/// Returns the version of this library.
#[uniffi::export]
fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
