//! The steps of a sign-out, in the order that the test program `protocol_model` of the crate `mcp-startup-auth` explores.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore, RecordLock,
    ReplaceOutcome, Revocation, StoreFuture,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{Startup, StartupOptions};
use mcp_startup_lab::{Lab, parse_scenarios};
use secrecy::ExposeSecret;
use serde_json::json;

const NAME: &str = "server";

/// A memory store that records its operations, and the revocations that the authorization server has received before each one.
#[derive(Clone, Debug)]
struct RecordingStore {
    memory: MemoryStore,
    lab: Arc<Lab>,
    steps: Arc<Mutex<Vec<String>>>,
}

impl RecordingStore {
    fn record(&self, step: &str) {
        let mut steps = self.steps.lock().unwrap();
        let known = steps.iter().filter(|step| step.starts_with("revoke"));
        let known = known.count();
        let path = format!("/{NAME}/revoke");
        let requests = self.lab.requests(NAME).into_iter();
        let revocations = requests.filter(|request| request.path == path).skip(known);
        steps.extend(
            revocations.map(|request| format!("revoke: {}", request.parameters["token_type_hint"])),
        );
        steps.push(step.to_owned());
    }
}

struct Guard(RecordingStore, Option<RecordLock>);

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.1.take());
        self.0.record("unlock");
    }
}

fn name(record: Option<&CredentialRecord>) -> String {
    let token = record.and_then(CredentialRecord::access_token);
    token.map_or_else(
        || "nothing".to_owned(),
        |token| token.expose_secret().to_owned(),
    )
}

impl CredentialStore for RecordingStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async {
            let record = self.memory.load(key).await?;
            self.record(&format!("load: {}", name(record.as_ref())));
            Ok(record)
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        self.record(&format!("replace {} by {}", name(expected), name(new)));
        self.memory.replace(key, expected, new)
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        self.record("prove writable");
        self.memory.prove_writable(key)
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async {
            let lock = self.memory.lock(key).await?;
            self.record("lock");
            Ok(RecordLock::new(Guard(self.clone(), Some(lock))))
        })
    }
}

#[tokio::test]
async fn a_sign_out_takes_the_steps_that_the_protocol_model_explores() {
    let row = json!([{
        "name": NAME, "about": "", "mcp": { "serves": { "tokens": ["good-token"] } }, "expect": { "state": "ready" },
    }]);
    let rows = parse_scenarios(&row.to_string()).unwrap();
    let lab = Arc::new(Lab::start_with(rows, 0).await.unwrap());
    let store = RecordingStore {
        memory: MemoryStore::default(),
        lab: lab.clone(),
        steps: Arc::default(),
    };
    let record = CredentialRecord::from_json(&json!({
        "issuer": format!("{}/{NAME}", lab.base_url()), "client_id": "client-1",
        "access_token": "good-token", "refresh_token": "good-refresh",
    }));
    let record = record.unwrap();
    let key = CredentialKey::new(NAME, &lab.url(NAME));
    let stored = store.memory.replace(&key, None, Some(&record)).await;
    assert_eq!(stored, Ok(ReplaceOutcome::Stored));

    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::from_store(Arc::new(store.clone())));
    let server: ServerEntry = ServerConfig::http(NAME, &lab.url(NAME)).unwrap().into();
    let startup = Startup::new(options).unwrap();
    let signed_out = startup.sign_out(&server).await.unwrap();
    assert!(signed_out.was_stored);
    assert_eq!(signed_out.revocation, Revocation::Revoked);

    // `the_actors_take_the_steps_of_the_protocol` in the model has the same steps.
    let steps = store.steps.lock().unwrap().clone();
    assert_eq!(
        steps,
        [
            "load: good-token",
            "lock",
            "load: good-token",
            "prove writable",
            "load: good-token",
            "revoke: refresh_token",
            "revoke: access_token",
            "replace good-token by nothing",
            "load: nothing",
            "unlock",
        ]
    );
}
