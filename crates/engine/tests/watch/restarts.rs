//! Restarts after temporary failures and at the request of the host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use mcp_startup::auth::{CredentialStores, MemoryStore};
use mcp_startup::{Startup, StartupFailureKind as Kind, StartupOptions, Update};

use crate::counting_store::CountingStore;
use crate::{
    handshakes, http, key_of, lab_with, next_pause, next_state, record_of, remaining_states, save,
    scenario, startup, state_of, within,
};

#[tokio::test]
async fn a_server_that_is_temporarily_down_is_restarted_until_it_is_ready() {
    let rules = r#"{"when": {"method": "initialize"}, "times": 2, "reply": {"status": 503}}"#;
    let lab = lab_with(&format!("[{}]", scenario("down", rules))).await;
    let mut watch = startup(None).watch(vec![http(&lab, "down")]);
    let mut states = Vec::new();
    let live = loop {
        let (update, live) = within(watch.update()).await.unwrap();
        match update {
            Update::Event(event) => {
                let kind = event.failure.as_ref().map(|failure| failure.kind());
                assert!(
                    kind.is_none_or(|kind| kind == Kind::ServerError),
                    "{event:?}"
                );
                states.push(state_of(&event));
            }
            Update::Waiting { name, retry_in_ms } => {
                // At most 1 s, then 2 s.
                let most = if states.len() == 2 { 1000 } else { 2000 };
                assert!(retry_in_ms.is_some_and(|ms| ms <= most), "{retry_in_ms:?}");
                states.push(format!("{name} waits"));
            }
            _ => {}
        }
        if let Some(live) = live {
            break live;
        }
    };
    let expected = "starting failed waits starting failed waits starting ready";
    let expected: Vec<_> = expected
        .split(' ')
        .map(|word| format!("down {word}"))
        .collect();
    assert_eq!(states, expected);
    assert_eq!(handshakes(&lab, "down"), 3);
    // The live server belongs to the host and outlives the watch.
    watch.cancel();
    assert_eq!(remaining_states(&mut watch).await, [""; 0]);
    assert_eq!(live.peer().list_all_tools().await.unwrap().len(), 1);
    live.close().await;
}

#[tokio::test]
async fn retry_after_is_respected_up_to_a_maximum() {
    let busy = |after: &str| {
        let reply = format!(r#"{{"status": 503, "headers": {{"Retry-After": "{after}"}}}}"#);
        format!(r#"{{"times": 1, "reply": {reply}}}"#)
    };
    let token = r#"{"name": "token", "about": "", "mcp": {"serves": {"tokens": []}},
        "token": {"respond": [{"reply": {"status": 429, "headers": {"Retry-After": "60"}}}]},
        "stored": {"issuer": "{issuer}", "clientId": "c", "accessToken": "expired-token", "expiresInSeconds": -60,
            "refreshToken": "good-refresh"},
        "expect": {"state": "failed"}}"#;
    let rows = [
        scenario("soon", &busy("1")),
        scenario("later", &busy("90")),
        scenario("never", &busy("99999999999999999999")),
        scenario("one-day", &busy("Fri, 31 Dec 9999 23:59:59 GMT")),
        scenario("long-ago", &busy("Sun, 06 Nov 1994 08:49:37 GMT")),
        token.to_owned(),
    ];
    let lab = lab_with(&format!("[{}]", rows.join(","))).await;
    let store = MemoryStore::default();
    save(
        &store,
        &key_of(&lab, "token"),
        record_of(&lab, "token").as_ref(),
    )
    .await;
    let startup = startup(Some(CredentialStores::from_store(Arc::new(store))));
    for (name, least) in [
        ("soon", 1000),
        ("later", 90_000),
        ("never", 3_600_000),
        ("one-day", 3_600_000),
        ("long-ago", 0),
        ("token", 60_000),
    ] {
        let began = Instant::now();
        let mut watch = startup.watch_check(vec![http(&lab, name)]);
        let pause = next_pause(&mut watch).await.unwrap();
        // The random part of the first pause is at most 1 s.
        assert!((least..=least + 1000).contains(&pause), "{name}: {pause}");
        if name != "soon" {
            continue;
        }
        assert_eq!(next_state(&mut watch).await, "soon starting");
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(next_state(&mut watch).await, "soon ready");
    }
}

#[tokio::test]
async fn restarts_count_toward_the_concurrency_limit() {
    let rules = r#"{"when": {"method": "initialize"}, "times": 2, "reply": {"status": 503, "delayMs": 50}}"#;
    let names = ["a", "b", "c"];
    let rows = names.map(|name| scenario(name, rules));
    let lab = lab_with(&format!("[{}]", rows.join(","))).await;
    let mut options = StartupOptions::default();
    options.concurrency = 1;
    let startup = Startup::new(options).unwrap();
    let mut watch = startup.watch_check(names.map(|name| http(&lab, name)).into());
    let (mut ready, mut starts) = (0, 0);
    while ready < names.len() {
        let starting = next_state(&mut watch).await;
        let name = starting.strip_suffix(" starting").unwrap();
        let closing = next_state(&mut watch).await;
        starts += 1;
        match closing.strip_prefix(name).unwrap() {
            " ready" => ready += 1,
            other => assert_eq!(other, " failed"),
        }
    }
    assert_eq!(starts, 9);
    assert!(names.iter().all(|name| handshakes(&lab, name) == 3));
}

#[tokio::test]
async fn retry_restarts_a_failed_server_only() {
    let hangs = scenario("hangs", r#"{"reply": {"hang": true}}"#);
    let refuses = scenario("refuses", r#"{"reply": {"status": 404}}"#);
    let good = scenario("good", "");
    let lab = lab_with(&format!("[{hangs},{refuses},{good}]")).await;
    let store = CountingStore::new(MemoryStore::default());
    let mut watch = startup(store.stores()).watch_check(vec![http(&lab, "refuses")]);
    assert_eq!(next_state(&mut watch).await, "refuses starting");
    // The server is starting, so this call has no effect.
    watch.retry("refuses");
    assert_eq!(next_state(&mut watch).await, "refuses failed");
    assert_eq!(
        next_pause(&mut watch).await,
        None,
        "a later start would fail too"
    );
    store.wait_for_loads(2, &key_of(&lab, "refuses")).await;
    assert!(watch.next().now_or_never().is_none());
    let handle = watch.handle();
    for _ in 0..3 {
        handle.retry("refuses");
        handle.retry("refuses");
        handle.retry("another");
        assert_eq!(next_state(&mut watch).await, "refuses starting");
        assert_eq!(next_state(&mut watch).await, "refuses failed");
    }
    handle.cancel();
    assert_eq!(remaining_states(&mut watch).await, [""; 0]);
    assert_eq!(handshakes(&lab, "refuses"), 4);

    let servers = ["good", "hangs"].map(|name| http(&lab, name));
    let mut watch = startup(None).watch_check(servers.into());
    let mut states = Vec::new();
    while states.len() < 3 {
        states.push(next_state(&mut watch).await);
    }
    assert_eq!(states.pop().unwrap(), "good ready");
    for name in ["good", "hangs"] {
        watch.retry(name);
    }
    watch.cancel();
    assert_eq!(remaining_states(&mut watch).await, ["hangs cancelled"]);
    assert_eq!(handshakes(&lab, "good"), 1);
    handle.retry("refuses");
}

#[tokio::test]
async fn an_unread_failure_delays_the_restart() {
    let lab = lab_with(&format!(
        "[{}]",
        scenario("down", r#"{"reply": {"status": 503}}"#)
    ))
    .await;
    let mut watch = startup(None).watch_check(vec![http(&lab, "down")]);
    assert_eq!(next_state(&mut watch).await, "down starting");
    // This is longer than the maximum of the first pause.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(handshakes(&lab, "down"), 1);
    assert_eq!(next_state(&mut watch).await, "down failed");
    assert_eq!(next_state(&mut watch).await, "down starting");
    assert_eq!(next_state(&mut watch).await, "down failed");
}
