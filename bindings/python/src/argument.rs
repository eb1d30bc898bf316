//! Arguments of the native functions that an application calls directly. A wrong type raises the package's own error, which names the
//! argument.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Returns the text of the argument `name`.
pub fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    value
        .extract()
        .map_err(|_| refused(name, "a string", value))
}

/// Returns the text of the argument `name`, which may be `None`.
pub fn optional_text(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    value.map(|value| text(name, value)).transpose()
}

/// The error for an argument that must be `takes`.
pub fn refused(name: &str, takes: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let made = value
        .py()
        .import("mcp_startup._arguments")
        .and_then(|module| module.call_method1("refused", (name, takes, value)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Returns the argument `name`, which must be `takes`. It is `None` if the caller left it out.
pub fn required<'a, 'py>(
    py: Python<'py>,
    (name, takes): (&str, &str),
    value: Option<&'a Bound<'py, PyAny>>,
) -> PyResult<&'a Bound<'py, PyAny>> {
    value.ok_or_else(|| refused(name, takes, py.None().bind(py)))
}

/// Checks that a call has no keyword arguments but those that it `takes`. `unknown` are the others.
///
/// Without it, they would be a `TypeError` of Python, which suggests no name.
pub fn all_known(unknown: Option<&Bound<'_, PyDict>>, takes: &[&str]) -> PyResult<()> {
    let Some((name, _)) = unknown.and_then(|unknown| unknown.iter().next()) else {
        return Ok(());
    };
    let made = name
        .py()
        .import("mcp_startup._arguments")
        .and_then(|module| module.call_method1("unknown", (name, takes)));
    Err(made.map_or_else(|error| error, PyErr::from_value))
}
