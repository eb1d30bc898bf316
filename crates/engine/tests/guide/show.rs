//! What a host shows of the starts, and when it asks its user.

use futures::StreamExt;
use mcp_startup::auth::MemoryStore;
use mcp_startup_lab::Lab;

use crate::{host, server, store_for};

// guide: button
use mcp_startup::{Recovery, StartupFailure};

/// The button beside the message of a server that did not start.
fn button(failure: &StartupFailure) -> Option<&'static str> {
    match failure.recovery() {
        Recovery::SignIn => Some("Sign in"),
        Recovery::Reauthenticate => Some("Reconnect"),
        Recovery::GrantScope => Some("Allow more"),
        Recovery::Retry | Recovery::FixCredentialStore => Some("Try again"),
        Recovery::FixConfiguration => Some("Open the configuration"),
        Recovery::None => None,
    }
}
// guide end

// guide: tracker
use mcp_startup::{McpServerStatusUpdatedNotification, StartupTracker};

/// Takes what was said of a server. Returns what to ask the user, now.
fn hear(tracker: &mut StartupTracker, said: &McpServerStatusUpdatedNotification) -> Option<String> {
    let update = tracker.apply(said);
    if update.changed {
        // Draw `tracker.servers()` again: the latest state of each, in the order in which they came.
    }
    let question = || format!("{} needs you to sign in again. Reconnect?", said.name());
    update.prompt.then(question)
}
// guide end

#[tokio::test]
async fn the_user_is_asked_once() {
    let lab = Lab::start(0).await.unwrap();
    let store = MemoryStore::default();
    let names = ["ready", "first-sign-in", "expired-no-refresh", "server-500"];
    store_for(&store, &lab, "expired-no-refresh").await;
    let startup = host(&store);
    let mut tracker = StartupTracker::default();
    let (mut questions, mut buttons) = (Vec::new(), Vec::new());
    // Twice, as two threads of the host or two tries would do it.
    for _ in 0..2 {
        let mut check = startup.check(names.map(|name| server(&lab, name)).into());
        while let Some(event) = check.next().await {
            questions.extend(hear(&mut tracker, &event.notification));
            let name = event.notification.name().to_owned();
            buttons.extend(event.failure.map(|failure| (name, button(&failure))));
        }
    }
    assert_eq!(
        questions,
        ["expired-no-refresh needs you to sign in again. Reconnect?"]
    );
    assert_eq!(tracker.reauthentication_required(), ["expired-no-refresh"]);
    assert_eq!(tracker.servers().len(), names.len());
    buttons.sort();
    buttons.dedup();
    assert_eq!(
        buttons,
        [
            ("expired-no-refresh".to_owned(), Some("Reconnect")),
            ("first-sign-in".to_owned(), Some("Sign in")),
            ("server-500".to_owned(), Some("Try again")),
        ]
    );
}
