//! Collects the leaks of many runs. Secrets that appear in the same location are reported together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use crate::echo_server::EchoServer;
use crate::places::Place;
use crate::run::Leak;

#[derive(Default)]
pub struct Findings {
    /// By location and description of the secret.
    findings: Mutex<BTreeMap<(String, String), Finding>>,
    /// The places whose secrets were echoed, by echo.
    echoed: Mutex<BTreeMap<&'static str, BTreeSet<&'static str>>>,
    /// The numbers of runs, started servers, and servers that echoed their secret.
    counts: Mutex<[usize; 3]>,
}

#[derive(Default)]
struct Finding {
    places: BTreeSet<&'static str>,
    echoes: BTreeSet<&'static str>,
    example: String,
}

impl Findings {
    pub fn add(&self, echo: &'static str, servers: &[EchoServer], leaks: Vec<Leak>) {
        for leak in leaks {
            let server = leak.server.map(|number| &servers[number]);
            let description = server.map_or_else(String::new, |server| server.description.clone());
            let mut findings = self.findings.lock().unwrap();
            let finding = findings.entry((leak.location, description)).or_default();
            finding
                .places
                .extend(server.map(|server| server.place.name));
            finding.echoes.insert(echo);
            finding.example = leak.example;
        }
        let echoed = servers
            .iter()
            .filter(|server| server.has_echoed.load(Ordering::SeqCst));
        let echoed: Vec<_> = echoed.map(|server| server.place.name).collect();
        let mut counts = self.counts.lock().unwrap();
        for (count, more) in counts.iter_mut().zip([1, servers.len(), echoed.len()]) {
            *count += more;
        }
        self.echoed
            .lock()
            .unwrap()
            .entry(echo)
            .or_default()
            .extend(echoed);
    }

    /// Asserts that no secret leaked, that every echo was used, and that the secret of every place except `not_echoed` was
    /// echoed.
    pub fn assert_none(self, places: &[Place], not_echoed: &[&str]) {
        let [runs, servers, echoing] = self.counts.into_inner().unwrap();
        println!("{runs} runs with {servers} servers, of which {echoing} echoed their secret");
        let echoed = self.echoed.into_inner().unwrap();
        let unused: Vec<_> = echoed
            .iter()
            .filter(|(_, places)| places.is_empty())
            .collect();
        assert!(unused.is_empty(), "no server used these echoes: {unused:?}");
        let echoed: BTreeSet<_> = echoed.into_values().flatten().collect();
        let missing = places
            .iter()
            .map(|place| place.name)
            .filter(|place| !echoed.contains(place));
        assert_eq!(
            missing.collect::<Vec<_>>(),
            not_echoed,
            "places whose secrets were not echoed"
        );
        let findings = self.findings.into_inner().unwrap();
        let mut report = String::new();
        for ((location, description), finding) in &findings {
            let Finding {
                places,
                echoes,
                example,
            } = finding;
            writeln!(
                report,
                "{location} ({description}): {example}\n  from {places:?}\n  echoed by {echoes:?}"
            )
            .unwrap();
        }
        assert!(
            findings.is_empty(),
            "secrets leak in {} locations:\n{report}",
            findings.len()
        );
    }
}
