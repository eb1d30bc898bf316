//! The files of `crates/core` whose text is used, because no derive macro provides what is in them.

macro_rules! core_source {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/", $path))
    };
}

/// The source of `McpServerStatusUpdatedNotification`.
pub const NOTIFICATION: &str = core_source!("notification.rs");

/// The source of `StartupTracker`.
pub const TRACKER: &str = core_source!("tracker.rs");

/// The source of `StartupFailure`.
pub const VERDICT: &str = core_source!("verdict.rs");

/// The examples of failures as JSON, from which `StartupFailure::examples` is made.
pub const FAILURE_EXAMPLES: &str = core_source!("verdict/examples.json");

/// The table of OAuth error codes, with tab-separated columns: code, meaning, source.
pub const REFUSALS: &str = core_source!("refusals.tsv");
