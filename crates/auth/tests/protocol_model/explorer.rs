//! Explores every order of the transitions, by depth-first search. A run replays a list of choices from the start and continues
//! until it reaches a known state.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup_auth::network::{GuardedClient, Network};
use tokio_util::task::TaskTracker;

use crate::authorization_server::Policy;
use crate::http::HttpServer;
use crate::processes::{ActorStore, Running, Task};
use crate::promises::Promise;
use crate::steps::{Choice, Defect};
use crate::world::{State, Status, World};

/// The actors of an exploration and the faults that can happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name, the process and the task of each actor.
    pub actors: Vec<(&'static str, usize, Task)>,
    pub policy: Policy,
    /// How many faults a run may have.
    pub faults: usize,
    pub defect: Defect,
    /// Whether the locks are leases, which end with [`Choice::Lapse`] or after a crash.
    pub leases: bool,
    /// The promises that must be broken. The exploration ends when all of them are. If there are none, it ends at the first
    /// violation.
    pub broken: &'static [Promise],
    /// Whether a run ends at a state that an earlier run has reached. If not, the exploration is a tree of all orders.
    pub merges_states: bool,
}

/// The size of an exploration.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    pub runs: usize,
    pub transitions: usize,
    pub longest: usize,
    /// The states in which no transition is possible.
    pub final_states: usize,
    /// Every outcome of every actor.
    pub outcomes: BTreeSet<String>,
    /// The description of every state.
    pub states: HashSet<String>,
    /// The first violation of each promise.
    pub violations: Vec<Violation>,
    /// The steps of the first run.
    pub first_trace: Vec<String>,
    pub time: Duration,
}

/// A broken promise and the steps that lead to it.
#[derive(Clone, Debug)]
pub struct Violation {
    pub promise: Promise,
    pub why: String,
    pub trace: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}: {}", self.promise, self.why)?;
        self.trace
            .iter()
            .try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Explores a scenario, until it finds the violations that it looks for.
pub fn explore(scenario: &Scenario) -> Explored {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let http = HttpServer::start().await;
        let url = crate::http::issuer().parse().unwrap();
        let guarded = Network::new().unwrap().guarded_client(&url).await;
        let mut explorer = Explorer {
            scenario,
            http,
            guarded,
            open: vec![Vec::new()],
            explored: Explored::default(),
        };
        let since = Instant::now();
        while let Some(prefix) = explorer.open.pop() {
            explorer.run(prefix).await;
            let found = &explorer.explored.violations;
            let is_found = |promise: &Promise| found.iter().any(|found| found.promise == *promise);
            if !found.is_empty() && scenario.broken.iter().all(is_found) {
                break;
            }
        }
        explorer.explored.time = since.elapsed();
        explorer.explored
    })
}

struct Explorer<'a> {
    scenario: &'a Scenario,
    http: HttpServer,
    guarded: GuardedClient,
    /// The lists of choices that are still to be explored.
    open: Vec<Vec<Choice>>,
    explored: Explored,
}

impl Explorer<'_> {
    async fn run(&mut self, prefix: Vec<Choice>) {
        let scenario = self.scenario;
        let number = self.explored.runs as u64;
        self.explored.runs += 1;
        let world = World::new(scenario);
        let is_sign_out = |task: &Task| matches!(task, Task::SignOut(_));
        let mut actors = scenario.actors.iter();
        let signs_out = actors.position(|(_, _, task)| is_sign_out(task));
        world.lock().ghosts.signs_out = signs_out;
        self.http.set_run(number, Some(world.clone()));
        let tasks = TaskTracker::new();
        for (name, process, task) in &scenario.actors {
            self.start(&world, &tasks, number, (name, *process, *task));
        }
        self.follow(&world, &tasks, number, prefix).await;
        if number == 0 {
            self.explored.first_trace.clone_from(&world.lock().trace);
        }
        world.close();
        self.http.set_run(number, None);
        tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(30), tasks.wait());
        assert!(ended.await.is_ok(), "an actor does not unwind");
    }

    fn start(
        &self,
        world: &Arc<World>,
        tasks: &TaskTracker,
        run: u64,
        (name, process, task): (&'static str, usize, Task),
    ) {
        let running = Running {
            store: ActorStore {
                world: world.clone(),
                actor: world.add_actor(name, process),
            },
            guarded: self.guarded.clone(),
            run,
            tasks: tasks.clone(),
        };
        tasks.spawn(running.perform(task));
    }

    /// Replays the choices, and then makes the first possible choice until the state is known. Each other choice is explored later.
    async fn follow(
        &mut self,
        world: &Arc<World>,
        tasks: &TaskTracker,
        run: u64,
        prefix: Vec<Choice>,
    ) {
        let scenario = self.scenario;
        let replayed = prefix.len();
        let mut path = prefix;
        let mut at = 0;
        loop {
            world.settle().await;
            let choices = world.lock().choices();
            self.note_violations(&mut world.lock(), choices.is_empty());
            if at >= replayed {
                let is_new = self.note_state(&world.lock());
                if scenario.merges_states && !is_new {
                    return;
                }
                let Some((first, others)) = choices.split_first() else {
                    self.explored.final_states += usize::from(is_new);
                    return;
                };
                for other in others {
                    let mut prefix = path.clone();
                    prefix.push(*other);
                    self.open.push(prefix);
                }
                path.push(*first);
                self.explored.longest = self.explored.longest.max(path.len());
            }
            let choice = path[at];
            assert!(
                choices.contains(&choice),
                "{choice:?} is not in {choices:?}"
            );
            at += 1;
            self.explored.transitions += 1;
            world.lock().apply(choice);
            if choice == Choice::NextStart {
                self.start(world, tasks, run, ("next start", usize::MAX, Task::Start));
            }
        }
    }

    fn note_violations(&mut self, state: &mut State, is_final: bool) {
        let is_running = state.actors.iter().any(|actor| actor.is_running());
        if is_final && is_running {
            state.expect(Promise::NoDeadlock, false, "no step is possible");
        }
        for (promise, why) in std::mem::take(&mut state.ghosts.broken) {
            let mut known = self.explored.violations.iter();
            if known.all(|known| known.promise != promise) {
                let trace = state.trace.clone();
                self.explored.violations.push(Violation {
                    promise,
                    why,
                    trace,
                });
            }
        }
    }

    /// Notes the outcomes of the actors. Returns whether the state is new.
    fn note_state(&mut self, state: &State) -> bool {
        for actor in &state.actors {
            let outcome = match &actor.status {
                Status::Running(_) => continue,
                Status::Ended(outcome) => format!("{}: {outcome:?}", actor.name),
                Status::Crashed => format!("{}: crashed", actor.name),
            };
            self.explored.outcomes.insert(outcome);
        }
        self.explored.states.insert(state.describe())
    }
}
