//! The lab: servers that fail in a defined way, from the built-in scenarios or from scenarios of a test.

use mcp_startup_lab::{Lab, Scenario, config_toml, parse_scenarios};
use serde_json::{Value, json};

use super::run::program;
use super::time::now_ms;
use super::user::User;

/// The lab with its built-in scenarios.
pub fn lab() -> Lab {
    runtime().block_on(Lab::start(0)).unwrap()
}

/// A lab with these scenarios, in the format of `scenarios.json`. `about` and `expect` may be left out.
pub fn lab_with(scenarios: Value) -> Lab {
    let scenarios: Vec<Value> = scenarios
        .as_array()
        .unwrap()
        .iter()
        .map(|scenario| {
            let mut scenario = scenario.clone();
            for (field, value) in [
                ("about", json!("")),
                ("expect", json!({ "state": "failed" })),
            ] {
                if scenario.get(field).is_none() {
                    scenario[field] = value;
                }
            }
            scenario
        })
        .collect();
    let scenarios: Vec<Scenario> = parse_scenarios(&Value::from(scenarios).to_string()).unwrap();
    runtime().block_on(Lab::start_with(scenarios, 0)).unwrap()
}

/// The scenarios with these names.
pub fn scenarios_named<'a>(lab: &'a Lab, names: &[&str]) -> Vec<&'a Scenario> {
    let named = |name: &&str| {
        lab.scenarios()
            .iter()
            .find(|scenario| scenario.name == *name)
    };
    names.iter().map(|name| named(name).unwrap()).collect()
}

/// A user who has configured these scenarios as servers, with their stored credentials.
pub fn user_of(lab: &Lab, scenarios: &[&Scenario]) -> User {
    let config = config_toml(scenarios.iter().copied(), &lab.base_url(), &[program()]);
    let user = User::with(&config);
    let stored = scenarios.iter();
    user.store(stored.filter_map(|scenario| scenario.stored_record(&lab.base_url(), now_ms())));
    user
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
