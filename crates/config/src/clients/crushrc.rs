//! The scripts of Crush, which may configure servers. They are named, and neither read nor run.
//!
//! Source: `docs/config/README.md` in <https://github.com/charmbracelet/crush>.

use super::ClientFile;
use super::client::Client;
use super::places::Places;
use super::profile::{FileFormat, Scope};
use super::reading::Contents;

const PLACES: &[(Scope, &str)] = &[
    (Scope::User, "<xdg-config>/crush/crushrc"),
    (Scope::User, "<$CRUSH_GLOBAL_CONFIG>/crushrc"),
    (Scope::Project, "<folder>/crushrc"),
    (Scope::Project, "<folder>/.crushrc"),
];

/// Names the scripts that exist.
pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let paths = PLACES.iter().flat_map(|(scope, template)| {
        let paths = places.paths(template).into_iter();
        paths.map(|path| (*scope, path))
    });
    let files = paths.filter(|(_, path)| places.machine.exists(path));
    files
        .map(|(scope, path)| ClientFile {
            not_read: Some("it is a script of Crush, which is not run here".to_owned()),
            ..ClientFile::new(
                Client::Crush,
                scope,
                path,
                FileFormat::Script,
                Ok(Contents::default()),
            )
        })
        .collect()
}
