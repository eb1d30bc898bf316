//! Properties of the tracker.

use std::collections::HashSet;

use mcp_startup_core::{
    AppliedLines, LineError, McpServerStatusUpdatedNotification, ServerKey, StartupTracker, decode,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::any_lines::{any_line, joined};

fn key(notification: &McpServerStatusUpdatedNotification) -> ServerKey {
    ServerKey {
        thread_id: notification.thread_id().map(str::to_owned),
        environment_id: notification.environment_id().map(str::to_owned),
        name: notification.name().to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_single_lines_and_single_notifications_have_the_same_effect(
        lines in vec(any_line(), 0..40),
        ends in vec(any::<bool>(), 40),
        last_end in any::<bool>(),
        limit in 1_usize..6,
    ) {
        let bytes = joined(&lines, &ends, last_end);
        let mut batch = StartupTracker::with_limit(limit);
        let applied = batch.apply_lines(&bytes);

        let mut by_line = StartupTracker::with_limit(limit);
        let mut by_notification = StartupTracker::with_limit(limit);
        let mut expected = AppliedLines::default();
        let mut seen = HashSet::new();
        for (number, line) in (1..).zip(&lines) {
            let one = by_line.apply_lines(line);
            match decode(line) {
                Ok(Some(notification)) => {
                    let update = by_notification.apply(&notification);
                    prop_assert_eq!(update.changed, !one.changed.is_empty());
                    prop_assert_eq!(update.prompt, !one.prompts.is_empty());
                    prop_assert!(one.errors.is_empty());
                    expected.notifications += 1;
                    let key = key(&notification);
                    if update.changed && seen.insert(key.clone()) {
                        expected.changed.push(key.clone());
                    }
                    if update.prompt {
                        expected.prompts.push(key);
                    }
                }
                Ok(None) => prop_assert_eq!(one, AppliedLines::default()),
                Err(error) => {
                    prop_assert_eq!(&one.errors, &vec![LineError { line: 1, error: error.clone() }]);
                    expected.errors.push(LineError { line: number, error });
                }
            }
        }
        prop_assert_eq!(&applied.prompts, &expected.prompts);
        prop_assert_eq!(&applied.errors, &expected.errors);
        prop_assert_eq!(applied.notifications, expected.notifications);
        prop_assert_eq!(batch.servers(), by_line.servers());
        prop_assert_eq!(batch.servers(), by_notification.servers());
        prop_assert_eq!(batch.reauthentication_required(), by_line.reauthentication_required());
        prop_assert_eq!(batch.reauthentication_required(), by_notification.reauthentication_required());
        prop_assert_eq!(&applied.changed, &expected.changed);
    }

    #[test]
    fn a_tracker_never_exceeds_its_limit(
        steps in vec((any_line(), option::weighted(0.1, select(vec!["t1", "t2", ""]))), 0..80),
        limit in 0_usize..5,
    ) {
        let mut tracker = StartupTracker::with_limit(limit);
        let limit = limit.max(1);
        for (line, removed) in steps {
            tracker.apply_lines(&line);
            let servers: Vec<_> = tracker.servers().into_iter().cloned().collect();
            prop_assert!(servers.len() <= limit);
            prop_assert!(tracker.reauthentication_required().len() <= limit);
            let keys: HashSet<_> = servers.iter().map(|server| (&server.thread_id, &server.environment_id, &server.name)).collect();
            prop_assert_eq!(keys.len(), servers.len(), "one entry for each thread, environment and name");
            if let Ok(Some(notification)) = decode(&line) {
                let found = tracker.server(notification.thread_id(), notification.environment_id(), notification.name());
                prop_assert_eq!(found.map(|server| &server.status), Some(notification.status()), "the latest state is kept");
            }
            for server in &servers {
                let found = tracker.server(server.thread_id.as_deref(), server.environment_id.as_deref(), &server.name);
                prop_assert_eq!(found, Some(server));
            }
            if let Some(thread) = removed {
                let of_thread = servers.iter().filter(|server| server.thread_id.as_deref() == Some(thread)).count();
                prop_assert_eq!(tracker.remove(thread), of_thread);
                prop_assert_eq!(tracker.servers().len(), servers.len() - of_thread);
            }
        }
    }
}
