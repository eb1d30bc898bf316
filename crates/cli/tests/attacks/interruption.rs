//! Ctrl-C while a hostile server keeps the program busy.

use std::thread;
use std::time::{Duration, Instant};

use crate::attack::{Transport, named};
use crate::harness::configuration::entry;
use crate::harness::lab::lab;
use crate::harness::run::Running;
use crate::hostile_server::HostileServer;
use crate::trial::{Hostile, check, entry_of, working_user};

/// The program may take this long to end after the first Ctrl-C.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn the_first_interruption_ends_the_program_during_an_attack() {
    for name in ["backslashes in an error", "pings over an event stream"] {
        let lab = lab();
        let user = working_user(&lab);
        let mut attack = named(name);
        attack.entry.timeout_seconds = Some(60);
        let server = HostileServer::start(&attack);
        let hostile = Hostile {
            attack,
            transport: Transport::Http,
        };
        let (body, _) = entry_of(&hostile, &server.server.base());
        let mut config = std::fs::read_to_string(user.config()).unwrap();
        config.push_str(&entry("hostile", &body));
        user.write("home/.codex/config.toml", config);
        let mut running = check(&user).spawn();
        // An unread report would keep the program alive.
        let mut stdout = running.child.stdout.take().unwrap();
        let reading = thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let began = Instant::now();
        while server.requests() == 0 && began.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        // By now the answer has arrived. A program that works it off quickly has ended, and one that does not is busy.
        thread::sleep(Duration::from_millis(500));
        running.signal("INT");
        let began = Instant::now();
        let code = wait(&mut running);
        println!("{name}: {:.1} s", began.elapsed().as_secs_f64());
        reading.join().unwrap().unwrap();
        // The program may have finished before the signal arrived.
        assert!(matches!(code, Some(130 | 1 | 0)), "{name}: {code:?}");
    }
}

/// Waits for the exit and returns the exit code. Panics if it takes longer than the limit.
fn wait(running: &mut Running) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            return status.code();
        }
        assert!(
            began.elapsed() < LIMIT,
            "the program did not end within {LIMIT:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
