//! The programs of a watch: all of them end with it.

use std::path::Path;
use std::time::Duration;

use mcp_startup::config::ServerConfig;

use crate::{next_state, remaining_states, startup, within};

#[tokio::test]
async fn all_programs_end_with_the_watch() {
    for is_cancelled in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        // The first run exits and leaves a child process behind. The second run hangs.
        let script = format!(
            "sleep 1000 & echo $$ $! >> {0}; [ $(wc -l < {0}) -gt 1 ] || exit 3; sleep 1000",
            pids.display()
        );
        let server = ServerConfig::stdio("program", "sh", ["-c", &script]).unwrap();
        let mut watch = startup(None).watch(vec![server.into()]);
        assert_eq!(next_state(&mut watch).await, "program starting");
        assert_eq!(next_state(&mut watch).await, "program failed");
        wait_for_exit(&process_ids(&pids, 1).await).await;
        watch.retry("program");
        assert_eq!(next_state(&mut watch).await, "program starting");
        let both = process_ids(&pids, 2).await;
        if is_cancelled {
            watch.cancel();
            assert_eq!(remaining_states(&mut watch).await, ["program cancelled"]);
        }
        drop(watch);
        wait_for_exit(&both).await;
    }
}

/// Waits until the file has at least `lines` complete lines. Returns the process IDs in it.
async fn process_ids(path: &Path, lines: usize) -> Vec<i32> {
    within(async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.matches('\n').count() >= lines {
                let pids = text.split_whitespace();
                return pids.map(|pid| pid.parse().unwrap()).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

async fn wait_for_exit(pids: &[i32]) {
    let lives = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    within(async {
        while pids.iter().any(lives) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
