//! The tracker over bytes. A batch, single lines, and decoded notifications have the same result, and the number of servers is limited.
//! The first byte is the limit, and whether threads are removed.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use mcp_startup_core::{AppliedLines, LineError, ServerKey, StartupTracker, decode};
use mcp_startup_fuzz::{Layout, json_mutator, numbered_lines};

json_mutator!(
    Layout::Lines { after: 1 },
    "../dictionaries/notification.dict"
);

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let limit = usize::from(first % 8);
    let removes = first >= 128;
    let mut batch = StartupTracker::with_limit(limit);
    let applied = batch.apply_lines(bytes);

    let limit = limit.max(1);
    let mut by_line = StartupTracker::with_limit(limit);
    let mut decoded = StartupTracker::with_limit(limit);
    let mut expected = AppliedLines::default();
    let mut changed = HashSet::new();
    let mut threads = HashSet::new();
    for (number, line) in numbered_lines(bytes) {
        // Each line is passed with a line break, as in the batch.
        let one = by_line.apply_lines(&[line, b"\n"].concat());
        match decode(line) {
            Ok(Some(notification)) => {
                let update = decoded.apply(&notification);
                assert_eq!(update.changed, !one.changed.is_empty());
                assert_eq!(update.prompt, !one.prompts.is_empty());
                assert!(one.errors.is_empty());
                expected.notifications += 1;
                let key = ServerKey {
                    thread_id: notification.thread_id().map(str::to_owned),
                    environment_id: notification.environment_id().map(str::to_owned),
                    name: notification.name().to_owned(),
                };
                if update.changed && changed.insert(key.clone()) {
                    expected.changed.push(key.clone());
                }
                if update.prompt {
                    expected.prompts.push(key);
                }
                threads.extend(notification.thread_id().map(str::to_owned));
                let held = decoded.server(
                    notification.thread_id(),
                    notification.environment_id(),
                    notification.name(),
                );
                let held = held.expect("the tracker has the server");
                assert_eq!(&held.status, notification.status());
            }
            Ok(None) => assert_eq!(one, AppliedLines::default()),
            Err(error) => expected.errors.push(LineError {
                line: number,
                error,
            }),
        }
        assert!(decoded.servers().len() <= limit);
        assert!(decoded.reauthentication_required().len() <= limit);
    }
    assert_eq!(applied, expected);
    for other in [&by_line, &decoded] {
        assert_eq!(batch.servers(), other.servers());
        assert_eq!(
            batch.reauthentication_required(),
            other.reauthentication_required()
        );
    }

    let servers: Vec<_> = batch.servers().into_iter().cloned().collect();
    for server in &servers {
        let held = batch.server(
            server.thread_id.as_deref(),
            server.environment_id.as_deref(),
            &server.name,
        );
        assert_eq!(held, Some(server));
    }
    if removes {
        let mut left = servers.len();
        for thread in &threads {
            left -= batch.remove(thread);
            assert_eq!(batch.servers().len(), left);
        }
        assert!(
            batch
                .servers()
                .iter()
                .all(|server| server.thread_id.is_none())
        );
        // After that, the tracker accepts new servers up to its limit again.
        batch.apply_lines(bytes);
        assert!(batch.servers().len() <= limit);
    }
});
