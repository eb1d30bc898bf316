//! The store of a client, to read the sign-in for one server again.

use std::path::PathBuf;

use super::{HeldSignIn, HeldSignIns, SignInHolder, StoreLocations};
use crate::clients::ThisMachine;
use crate::{ServerConfig, StorageKeys};

/// The store of a client, from which the sign-in for one server can be read again. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSignInSource {
    pub(crate) holder: SignInHolder,
    pub(crate) started_by: Option<&'static str>,
    pub(crate) mcp_remote: Option<StorageKeys>,
    pub(crate) project: Option<PathBuf>,
}

impl HeldSignInSource {
    /// Reads the store on this machine, with the environment of this process. Returns the sign-in for the server, which has this source
    /// as its [`held_sign_in_source`](ServerConfig::held_sign_in_source). `now_ms` is the current time in ms since the Unix epoch.
    pub fn read(&self, server: &ServerConfig, now_ms: i64) -> Option<HeldSignIn> {
        let machine = ThisMachine::default();
        let locations = StoreLocations {
            machine: &machine,
            project: self.project.as_deref(),
        };
        let mut held = HeldSignIns::read(&[self.holder], locations, now_ms);
        self.find(server, &mut held)
    }

    /// Finds the sign-in for the server in stores that were read.
    pub(crate) fn find(
        &self,
        server: &ServerConfig,
        held: &mut HeldSignIns<'_>,
    ) -> Option<HeldSignIn> {
        let keys = self.mcp_remote.as_ref();
        held.of_server(server, &[self.holder], self.started_by, keys)
    }
}
