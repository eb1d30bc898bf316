//! Processes: starts each in a new process group, looks them up, and kills them even if the test fails.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time limit for events whose duration a test does not check. It is long enough for a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `holds` returns true. Returns whether it did before the deadline.
pub fn soon(deadline: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if began.elapsed() > deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends a signal to a process, or to a group if `target` is negative. Returns whether the process or group exists.
pub fn signal(target: i64, name: &str) -> bool {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", name]);
    shell.arg(target.to_string()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

/// The living processes of a group, without zombies.
pub fn members(group: u32) -> Vec<u32> {
    let all = processes();
    let members = all.into_iter().filter(|process| process.group == group);
    members.map(|process| process.id).collect()
}

/// Whether a process is alive.
pub fn lives(id: u32) -> bool {
    processes().iter().any(|process| process.id == id)
}

struct Process {
    id: u32,
    group: u32,
}

/// Every process that is alive.
fn processes() -> Vec<Process> {
    let parse = |id: &str, group: &str, state: &str| {
        let (id, group) = (id.parse().ok()?, group.parse().ok()?);
        (!state.starts_with(['Z', 'X'])).then_some(Process { id, group })
    };
    if let Ok(folder) = std::fs::read_dir("/proc")
        && std::path::Path::new("/proc/self/stat").exists()
    {
        let read = |entry: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `ID (NAME) STATE PARENT GROUP …`. The name may contain any character.
            let (_, rest) = stat.rsplit_once(')')?;
            let mut words = rest.split_whitespace();
            let state = words.next()?;
            parse(entry.file_name().to_str()?, words.nth(1)?, state)
        };
        return folder.flatten().filter_map(read).collect();
    }
    let listed = Command::new("ps")
        .args(["-A", "-o", "pid=,pgid=,stat="])
        .output()
        .expect("ps lists the processes");
    let text = String::from_utf8_lossy(&listed.stdout);
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            parse(words.next()?, words.next()?, words.next()?)
        })
        .collect()
}

/// A process that leads a process group. The group is killed when this is dropped.
pub struct Group {
    pub child: Child,
}

impl Group {
    pub fn start(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The number of a group that has ended may have been reused.
        if !members(self.child.id()).is_empty() {
            signal(-i64::from(self.child.id()), "KILL");
        }
        let _ = self.child.wait();
    }
}
