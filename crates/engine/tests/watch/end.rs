//! The end of a watch: no task outlives it.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mcp_startup::auth::{CredentialStores, MemoryStore};

use crate::{http, lab_with, next_state, remaining_states, scenario, startup, within};

#[tokio::test]
async fn a_watch_ends_in_any_state_of_its_servers() {
    let busy = r#"{"reply": {"status": 503, "headers": {"Retry-After": "3600"}}}"#;
    let rows = [
        scenario("hangs", r#"{"reply": {"hang": true}}"#),
        scenario("busy", busy),
        scenario("refuses", r#"{"reply": {"status": 404}}"#),
        scenario("good", ""),
    ];
    let lab = lab_with(&format!("[{}]", rows.join(","))).await;
    for is_cancelled in [true, false] {
        let store = Arc::new(MemoryStore::default());
        let weak = Arc::downgrade(&store);
        let startup = startup(Some(CredentialStores::from_store(store)));
        let names = ["hangs", "busy", "refuses", "good"];
        let mut watch = startup.watch_check(names.map(|name| http(&lab, name)).into());
        drop(startup);
        let mut states = Vec::new();
        while states.len() < 7 {
            states.push(next_state(&mut watch).await);
        }
        if is_cancelled {
            watch.cancel();
            assert_eq!(remaining_states(&mut watch).await, ["hangs cancelled"]);
        }
        drop(watch);
        // Every task of the watch holds the store.
        within(async {
            while weak.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    // A watch without servers also continues until it is cancelled.
    let mut watch = startup(None).watch(Vec::new());
    assert!(watch.next().now_or_never().is_none());
    watch.cancel();
    assert_eq!(remaining_states(&mut watch).await, [""; 0]);
}
