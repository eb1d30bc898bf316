//! Writes the Swift and Kotlin sources for `mcp_startup_ffi`: UniFFI's own program, in the version of the library.

fn main() {
    uniffi::uniffi_bindgen_main();
}
