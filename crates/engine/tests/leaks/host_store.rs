//! A store of a host that fails, and exposes its secrets in the error or in a panic.

use std::fmt::{self, Debug};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::future::join_all;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, RecordLock, ReplaceOutcome,
    StoreError, StoreFuture, now_ms,
};
use mcp_startup::{CredentialStoreTrouble, Rejected, Startup, StartupOptions};
use mcp_startup_lab::Lab;

use crate::{Leaks, inspect_event, inspect_failure, lab, secret, server};

/// Every message of the store begins with this text.
const VAULT: &str = "the vault";

/// The method of the store that fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Load,
    /// `load` under the lock.
    LoadAgain,
    Lock,
    ProveWritable,
    Replace,
}

/// How the method fails. Each variant exposes all secrets that the store knows, which a store must not do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    SecretsInDetail,
    SecretsInName,
    Panic,
}

const METHODS: [Method; 5] = [
    Method::Load,
    Method::LoadAgain,
    Method::Lock,
    Method::ProveWritable,
    Method::Replace,
];
const FAULTS: [Fault; 3] = [Fault::SecretsInDetail, Fault::SecretsInName, Fault::Panic];

struct HostStore {
    record: CredentialRecord,
    method: Method,
    fault: Fault,
    loads: AtomicUsize,
}

impl Debug for HostStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostStore")
    }
}

impl HostStore {
    fn fail_in(&self, method: Method) -> Result<(), StoreError> {
        if method != self.method {
            return Ok(());
        }
        let mut known = vec!["header"];
        // Before the first load, only the store knows the record, so the engine can't mask it. Not to expose it is a guarantee of
        // the store.
        if method != Method::Load {
            known.extend(["access", "refresh", "client"]);
        }
        if method == Method::Replace {
            known.extend(["new-access", "new-refresh"]);
        }
        let known: Vec<_> = known.into_iter().map(secret).collect();
        let message = format!("{VAULT}\u{1b}[2J has {}", known.join(", "));
        let trouble = CredentialStoreTrouble::Unreadable;
        match self.fault {
            Fault::SecretsInDetail => Err(StoreError::new("vault", trouble, message)),
            Fault::SecretsInName => Err(StoreError::new(&message, trouble, "it is closed")),
            Fault::Panic => panic!("{message}"),
        }
    }
}

impl CredentialStore for HostStore {
    fn load<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async {
            match self.loads.fetch_add(1, Ordering::SeqCst) {
                0 => self.fail_in(Method::Load)?,
                _ => self.fail_in(Method::LoadAgain)?,
            }
            Ok(Some(self.record.clone()))
        })
    }

    fn replace<'a>(
        &'a self,
        _: &'a CredentialKey,
        _: Option<&'a CredentialRecord>,
        _: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(async {
            self.fail_in(Method::Replace)
                .map(|()| ReplaceOutcome::Stored)
        })
    }

    fn lock<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async { self.fail_in(Method::Lock).map(|()| RecordLock::new(())) })
    }

    fn prove_writable<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async { self.fail_in(Method::ProveWritable) })
    }
}

/// The messages of panics outside of this test program, such as those that the engine reports about a store.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn message_of<'a>(panic: &'a std::panic::PanicHookInfo<'_>) -> Option<&'a str> {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Collects the panics of other code. Hides those of the store, and passes those of this test program to the usual hook.
fn collect_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let folder = |file| Path::new(file).parent();
        let is_of_this_test = folder(panic.location().unwrap().file()) == folder(file!());
        let is_of_the_store = message_of(panic).is_some_and(|text| text.starts_with(VAULT));
        if !is_of_this_test {
            PANICS.lock().unwrap().push(panic.to_string());
        } else if !is_of_the_store {
            usual(panic);
        }
    }));
}

/// Runs a start and a request of the host, with a store that fails in one method and in one way.
async fn run_with_faulty_store(lab: &Lab, method: Method, fault: Fault) -> Leaks {
    let mut leaks = Leaks::default();
    let what = format!("{method:?} {fault:?}");
    let row = lab
        .scenarios()
        .iter()
        .find(|row| row.name == "host")
        .unwrap();
    let record = row.stored_record(&lab.base_url(), now_ms()).unwrap();
    let startup = || {
        let store = HostStore {
            record: CredentialRecord::from_json(&record).unwrap(),
            method,
            fault,
            loads: AtomicUsize::new(0),
        };
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::from_store(Arc::new(store)));
        Startup::new(options).unwrap()
    };
    let events: Vec<_> = startup().check(vec![server(lab, "host")]).collect().await;
    let last = events.last().unwrap();
    let is_reported = last.failure.is_some() || last.not_saved.is_some();
    assert!(is_reported, "the fault is not reported: {what}");
    inspect_event(&mut leaks, &what, last);
    let evidence = last.failure.as_ref().map(|failure| failure.evidence());
    if let Some(store) = evidence.and_then(|evidence| evidence.store.as_ref()) {
        leaks.check_printable(&what, store.kind.as_deref());
        leaks.check_printable(&what, store.detail.as_deref());
    }
    leaks.check_printable(&what, last.not_saved.as_deref());
    // `authorization` passes a panic to its caller, and returns a token even if it could not be saved.
    if fault != Fault::Panic && method != Method::Replace {
        let rejected = Rejected::new(Some(&format!("Bearer {}", secret("access"))));
        let authorized = startup()
            .authorization(&server(lab, "host"), Some(&rejected))
            .await;
        if let Err(failure) = authorized {
            inspect_failure(&mut leaks, &format!("{what}, authorization"), &failure);
        }
    }
    leaks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_exposes_its_secrets_or_panics_leaks_none() {
    collect_panics();
    let lab = lab().await;
    let rows = METHODS
        .iter()
        .flat_map(|method| FAULTS.map(|fault| (*method, fault)));
    // Run them at the same time: the engine retries for seconds to save a record.
    let rows = rows.map(|(method, fault)| run_with_faulty_store(&lab, method, fault));
    let mut all = Leaks::default();
    for leaks in join_all(rows).await {
        all.inspected += leaks.inspected;
        all.found.extend(leaks.found);
    }
    for message in PANICS.lock().unwrap().iter() {
        all.inspect("the output of a panic", message);
    }
    all.assert_none();
}
