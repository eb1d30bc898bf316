//! Shows the state of the servers, and prompts the user for a sign-in.

use futures::StreamExt;
use mcp_startup::auth::MemoryStore;
use mcp_startup_lab::Lab;

use crate::{host, server, store_for};

// guide: button
use mcp_startup::{Recovery, StartupFailure};

/// The label of the button next to the message of a failed server.
fn button(failure: &StartupFailure) -> Option<&'static str> {
    match failure.recovery() {
        Recovery::SignIn => Some("Sign in"),
        Recovery::Reauthenticate => Some("Reconnect"),
        Recovery::GrantScope => Some("Allow more"),
        Recovery::OpenClient => Some("Open the other client"),
        Recovery::Retry | Recovery::FixCredentialStore => Some("Try again"),
        Recovery::FixConfiguration => Some("Open the configuration"),
        Recovery::None => None,
    }
}
// guide end

// guide: tracker
use mcp_startup::{McpServerStatusUpdatedNotification, StartupTracker};

/// Applies a notification. Returns the question to show the user now, if there is one.
fn apply(
    tracker: &mut StartupTracker,
    notification: &McpServerStatusUpdatedNotification,
) -> Option<String> {
    let update = tracker.apply(notification);
    if update.changed {
        // Redraw `tracker.servers()`: the latest state of each server, in the order of their first notifications.
    }
    let name = notification.name();
    let question = || format!("{name} needs you to sign in again. Reconnect?");
    update.prompt.then(question)
}
// guide end

// guide: tracker-lines
/// Applies complete lines that an app-server has written, such as Codex's. Returns the servers to ask the user about now.
fn apply_lines(tracker: &mut StartupTracker, lines: &[u8]) -> Vec<String> {
    // Lines of other messages are ignored. `applied.errors` has the bad lines, each with its number.
    let applied = tracker.apply_lines(lines);
    applied.prompts.into_iter().map(|key| key.name).collect()
}
// guide end

#[test]
fn the_lines_of_codex_are_followed() {
    let lines = include_bytes!("../../../../tests/fixtures/codex-app-server-0.171.0.jsonl");
    let mut tracker = StartupTracker::default();
    assert_eq!(
        apply_lines(&mut tracker, lines),
        [
            "expired-blank-refresh",
            "revoked-refresh-rejected",
            "expired-no-refresh",
            "revoked-no-refresh",
            "refresh-invalid-grant"
        ]
    );
    assert!(apply_lines(&mut tracker, lines).is_empty());
    assert!(!tracker.servers().is_empty());
}

#[tokio::test]
async fn the_user_is_prompted_once() {
    let lab = Lab::start(0).await.unwrap();
    let store = MemoryStore::default();
    let names = ["ready", "first-sign-in", "expired-no-refresh", "server-500"];
    store_for(&store, &lab, "expired-no-refresh").await;
    let startup = host(&store);
    let mut tracker = StartupTracker::default();
    let (mut questions, mut buttons) = (Vec::new(), Vec::new());
    // Check twice, as two threads of the host or a retry would do.
    for _ in 0..2 {
        let mut check = startup.check(names.map(|name| server(&lab, name)).into());
        while let Some(event) = check.next().await {
            questions.extend(apply(&mut tracker, &event.notification));
            let name = event.notification.name().to_owned();
            buttons.extend(event.failure.map(|failure| (name, button(&failure))));
        }
    }
    assert_eq!(
        questions,
        ["expired-no-refresh needs you to sign in again. Reconnect?"]
    );
    let [required] = tracker.reauthentication_required()[..] else {
        panic!("{:?}", tracker.reauthentication_required());
    };
    assert_eq!(required.name, "expired-no-refresh");
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
