//! The native module of the pip package. The Python around it is in `python/mcp_startup`.
//!
//! [`notification`] and [`tracker`] are Python classes, for speed. Everything else passes JSON texts. An answer is `{"ok":…}` or
//! `{"error":…}` ([`mcp_startup_host::answer`]).

mod argument;
mod attach;
mod call;
mod engine;
mod notification;
mod store;
mod tracker;
mod verdict;

use pyo3::prelude::*;

/// The module `mcp_startup._native`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::call::Call;
    #[pymodule_export]
    use super::engine::{
        Events, InteractiveSignIn, auth_status, authorization, begin_sign_in, check_options,
        discover, finish, finish_sign_in, not_checked, open_browser, program,
        request_authorization, sign_out, test_credential_store,
    };
    #[pymodule_export]
    use super::notification::{McpServerStatusUpdatedNotification, decode, decode_lines};
    #[pymodule_export]
    use super::store::Reply;
    #[pymodule_export]
    use super::tracker::StartupTracker;
    #[pymodule_export]
    use super::verdict::{assess, auth_required_reason, auth_status_of, first_request, judge};

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("METHOD", mcp_startup_core::METHOD)?;
        module.add("VERSION", env!("CARGO_PKG_VERSION"))
    }
}
