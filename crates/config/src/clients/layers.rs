//! Merges the entries of a client's files, key by key, for clients that build one server from several files.

use std::collections::HashMap;

use crate::spanned::{Spanned, merge};

/// The entries of one file.
pub(super) struct Layer {
    /// Whether the client uses the file. Without an approval, it does not use a project's file.
    pub is_used: bool,
    pub entries: Vec<(String, Spanned)>,
}

/// Returns for each file its servers, each with the keys of all files that are used. The last file has the highest precedence.
pub(super) fn whole_entries(layers: Vec<Layer>) -> Vec<Vec<(String, Spanned)>> {
    let mut whole: HashMap<String, Spanned> = HashMap::new();
    for (name, entry) in layers
        .iter()
        .filter(|layer| layer.is_used)
        .flat_map(|layer| &layer.entries)
    {
        let merged = match whole.remove(name) {
            Some(lower) => merge(lower, entry.clone()),
            None => entry.clone(),
        };
        whole.insert(name.clone(), merged);
    }
    let layers = layers.into_iter();
    layers
        .map(|layer| {
            let entries = layer.entries.into_iter();
            entries
                .map(|(name, entry)| {
                    let entry = match whole.get(&name) {
                        Some(whole) if layer.is_used => whole.clone(),
                        Some(lower) => merge(lower.clone(), entry),
                        None => entry,
                    };
                    (name, entry)
                })
                .collect()
        })
        .collect()
}
