//! Arguments of the native functions that an application calls directly. A wrong type raises the package's own error, which names the
//! argument.

use pyo3::prelude::*;

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
