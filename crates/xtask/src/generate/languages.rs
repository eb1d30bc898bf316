//! The types in other languages, one module each.

pub mod kotlin;
pub mod python;
pub mod swift;
mod type_declarations;
pub mod typescript;
