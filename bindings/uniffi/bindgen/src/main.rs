//! Generates the Swift and Kotlin sources for `mcp_startup_ffi`. This is UniFFI's generator, in the version that the library uses.

fn main() {
    uniffi::uniffi_bindgen_main();
}
