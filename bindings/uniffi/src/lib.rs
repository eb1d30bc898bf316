//! The library below the Swift package and the Kotlin library.
//!
//! Few functions, over JSON texts whose answers are `{"ok":…}` or `{"error":…}` ([`mcp_startup_host::answer`]): the types that an app sees
//! are those of `bindings/swift` and `bindings/kotlin`, generated from the same definition, and each language reads JSON by itself.

mod contract;
#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "engine")]
mod store;
mod verdict;

uniffi::setup_scaffolding!();

/// The version of this library.
#[uniffi::export]
fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
