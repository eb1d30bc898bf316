//! The state of a record that a change requires. It knows no store.

use mcp_startup_core::CredentialStoreTrouble;

use crate::store::{CredentialRecord, StoreError};

/// The state of a record that a change requires.
#[derive(Debug)]
pub(crate) enum Expected {
    /// This record, or none.
    Record(Option<CredentialRecord>),
    /// A record that can't be parsed.
    Damaged,
}

impl Expected {
    /// Whether the stored text is the expected one. `stored` is the result of parsing that text: damage of a whole store must
    /// be reported before, because it is not the damage of one record.
    pub fn is_met_by(&self, stored: &Result<Option<CredentialRecord>, StoreError>) -> bool {
        match (self, stored) {
            (Self::Record(expected), Ok(stored)) => expected == stored,
            (Self::Damaged, Err(error)) => error.trouble == CredentialStoreTrouble::Corrupt,
            _ => false,
        }
    }
}
