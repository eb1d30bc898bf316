//! Arbitrary notifications.

use mcp_startup_core::McpServerStatusUpdatedNotification as Notification;
use proptest::prelude::*;
use proptest::sample::select;

use crate::text::text;

/// Returns a notification with arbitrary text.
pub fn any_notification() -> impl Strategy<Value = Notification> {
    notification(text().boxed(), text().boxed())
}

/// Returns a notification with one of few names and threads, so that several lines are about the same server.
pub fn notification_of_few() -> impl Strategy<Value = Notification> {
    notification(
        select(vec!["a", "b", "c", "d"])
            .prop_map(String::from)
            .boxed(),
        select(vec!["", "x"]).prop_map(String::from).boxed(),
    )
}

fn notification(
    name: BoxedStrategy<String>,
    error: BoxedStrategy<String>,
) -> impl Strategy<Value = Notification> {
    let thread = prop_oneof![
        Just(None),
        select(vec!["t1", "t2", ""]).prop_map(|thread| Some(thread.to_owned())),
        text().prop_map(Some)
    ];
    (0..5, name, error, thread).prop_map(|(constructor, name, error, thread)| {
        let built = match constructor {
            0 => Notification::starting(name),
            1 => Notification::ready(name),
            2 => Notification::cancelled(name),
            3 => Notification::failed(name, error),
            _ => Notification::reauthentication_required(name, error),
        };
        match thread {
            Some(thread) => built.with_thread_id(thread),
            None => built,
        }
    })
}
