//! `store migrate`, `rotate` and `stats`.

use crate::harness::lab::{lab, scenarios_named, user_of};
use crate::harness::user::User;
use crate::server::{KEY_1, KEY_2};
use crate::{Database, without_secret};

#[test]
fn the_tables_are_created_and_counted_without_a_key() {
    let Some(database) = Database::new("the_tables_are_created_and_counted_without_a_key") else {
        return;
    };
    let user = User::new();
    for _ in 0..2 {
        let run = database.program(&user, &["store", "migrate"]);
        let migrated = run.env_remove("MCP_STARTUP_STORE_KEYS").finish();
        assert_eq!(
            migrated.assert_exit(0).stdout,
            "The tables have version 1.\n"
        );
    }
    let run = database.program(&user, &["store", "stats", "--format", "json"]);
    let counted = run.env_remove("MCP_STARTUP_STORE_KEYS").finish();
    let expected = serde_json::json!({
        "schemaVersion": 1, "users": 0, "recordsByKey": {}, "locks": 0, "openAttempts": 0,
    });
    assert_eq!(counted.json(), expected);
}

#[test]
fn the_key_of_all_records_is_changed() {
    let Some(database) = Database::new("the_key_of_all_records_is_changed") else {
        return;
    };
    let lab = lab();
    let scenarios = scenarios_named(&lab, &["ready-stored-token", "expired-rotates"]);
    let user = user_of(&lab, &scenarios);
    database.run(&user, &["store", "import", "--user", "ann"]);
    let stats = database.run(&user, &["store", "stats"]).stdout;
    assert!(stats.contains("2 with the key k1"), "{stats}");

    // The keys are in a file.
    let file = user.write("keys", format!("{KEY_2}\n{KEY_1}\n"));
    let rotate = ["store", "rotate", "--store-keys", file.to_str().unwrap()];
    let rotated = database.run(&user, &rotate);
    assert_eq!(rotated.stdout, "Encrypted 2 records with the first key.\n");
    let rotated = database.run(&user, &rotate);
    assert_eq!(rotated.stdout, "Encrypted 0 records with the first key.\n");
    let status = |keys: &str| {
        let arguments = ["status", "--client", "codex", "--user", "ann"];
        let run = database.program(&user, &arguments);
        without_secret(run.env("MCP_STARTUP_STORE_KEYS", keys).finish())
    };
    status(KEY_2).assert_exit(0);
    let missing = status(KEY_1).assert_exit(1);
    let text = missing
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        text.contains("the key `k2`, which encrypts the record, is missing"),
        "{missing:#?}"
    );
    // A record whose key is lost does not stop the others.
    let rotate = database.program(&user, &["store", "rotate"]);
    let failed = without_secret(rotate.finish()).assert_exit(1);
    assert!(
        failed.stderr.starts_with("2 records can't be decrypted"),
        "{failed:#?}"
    );
}
