//! The tracker, fed with bytes: one batch is line by line is decoding and applying, and its memory is bounded. The first
//! byte is its limit, and says whether a thread is taken out.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use mcp_startup_core::{AppliedLines, LineError, StartupTracker, decode};
use mcp_startup_fuzz::{Layout, json_mutator, lines_of};

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
    let mut by_hand = StartupTracker::with_limit(limit);
    let mut expected = AppliedLines::default();
    let mut changed = HashSet::new();
    let mut threads = HashSet::new();
    for (number, line) in lines_of(bytes) {
        // With its end: without one, a carriage return of its own would be taken for a part of that.
        let one = by_line.apply_lines(&[line, b"\n"].concat());
        match decode(line) {
            Ok(Some(said)) => {
                let update = by_hand.apply(&said);
                assert_eq!(update.changed, !one.changed.is_empty());
                assert_eq!(update.prompt, !one.prompts.is_empty());
                assert!(one.errors.is_empty());
                expected.notifications += 1;
                let key = (said.thread_id().map(str::to_owned), said.name().to_owned());
                if update.changed && changed.insert(key.clone()) {
                    expected.changed.push(key);
                }
                if update.prompt {
                    expected.prompts.push(said.name().to_owned());
                }
                threads.extend(said.thread_id().map(str::to_owned));
                let held = by_hand.server(said.thread_id(), said.name());
                let held = held.expect("what was just said is held");
                assert_eq!(&held.status, said.status());
            }
            Ok(None) => assert_eq!(one, AppliedLines::default()),
            Err(error) => expected.errors.push(LineError {
                line: number,
                error,
            }),
        }
        assert!(by_hand.servers().len() <= limit);
        assert!(by_hand.reauthentication_required().len() <= limit);
    }
    assert_eq!(applied, expected);
    for other in [&by_line, &by_hand] {
        assert_eq!(batch.servers(), other.servers());
        assert_eq!(
            batch.reauthentication_required(),
            other.reauthentication_required()
        );
    }

    let servers: Vec<_> = batch.servers().into_iter().cloned().collect();
    for server in &servers {
        let held = batch.server(server.thread_id.as_deref(), &server.name);
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
        // What was freed is used again, and nothing of it is left.
        batch.apply_lines(bytes);
        assert!(batch.servers().len() <= limit);
    }
});
