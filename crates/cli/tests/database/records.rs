//! The sign-ins of users in the database.

use std::fs;

use crate::Database;
use crate::harness::authorization_server::AuthorizationServer;
use crate::harness::browser::{Browser, Consent, authorize};
use crate::harness::http_client::get;
use crate::harness::lab::{lab, scenarios_named, user_of};
use crate::harness::user::User;
use crate::server::{KEY_1, PASSWORD};
use crate::session::RunningLogin;

const FILE: &str = "home/.codex/.credentials.json";

#[test]
fn a_command_uses_the_sign_ins_of_the_user_and_of_nobody_else() {
    let Some(database) = Database::new("a_command_uses_the_sign_ins_of_the_user") else {
        return;
    };
    let lab = lab();
    let user = user_of(&lab, &scenarios_named(&lab, &["ready-stored-token"]));
    let imported = database.run(&user, &["store", "import", "--user", "ann", "--move"]);
    assert_eq!(imported.stdout, "moved: ready-stored-token\n");
    assert_eq!(fs::read_to_string(user.path(FILE)).unwrap(), "{}");

    let status = |arguments: &[&str]| {
        let all = [&["status", "--client", "codex"], arguments].concat();
        database.run(&user, &all).stdout
    };
    assert!(status(&["--user", "ann"]).contains("signed in (postgres)"));
    for other in [
        &["--user", "bob"][..],
        &["--user", "ann", "--tenant", "other"],
        &[],
    ] {
        let printed = status(other);
        assert!(printed.contains("not signed in"), "{printed}");
    }
    let check = |name: &str, code: i32| {
        let arguments = ["check", "--yes", "--client", "codex", "--user", name];
        let checked = database.program(&user, &arguments).finish();
        checked.assert_exit(code)
    };
    check("ann", 0);
    let failed = check("bob", 3);
    let suggestion = "run `mcp-startup login ready-stored-token --client codex --user bob`";
    let text = failed
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(text.contains(suggestion), "{failed:#?}");
    let url = database.0.url();
    user.write("here/keys", KEY_1);
    let arguments = ["check", "--yes", "--client", "codex", "--user", "bob"];
    let stores = ["--store", &url, "--store-keys", "keys"];
    let run = user.program(&[&arguments[..], &stores].concat());
    let failed = run.finish().assert_exit(3);
    assert!(!failed.all_output().contains(PASSWORD), "{failed:#?}");
    let suggestion = "login ready-stored-token --client codex --user bob --store-keys keys` with the same `--store`";
    assert!(failed.stdout.contains(suggestion), "{failed:#?}");
    let explain = [
        "explain",
        "ready-stored-token",
        "--client",
        "codex",
        "--user",
        "ann",
    ];
    database.run(&user, &explain);

    let out = [
        "logout",
        "ready-stored-token",
        "--client",
        "codex",
        "--user",
        "ann",
    ];
    let signed_out = database.run(&user, &out);
    assert!(
        signed_out.stdout.starts_with("Signed out"),
        "{signed_out:#?}"
    );
    assert!(status(&["--user", "ann"]).contains("not signed in"));
    // Nothing is left of the locks.
    let locks = database
        .0
        .sql("select count(*) from mcp_startup_lease where holder is not null");
    assert_eq!(locks, "0");
}

#[test]
fn records_are_copied_in_both_directions_and_replaced_only_on_request() {
    let Some(database) = Database::new("records_are_copied_in_both_directions") else {
        return;
    };
    let lab = lab();
    let scenarios = scenarios_named(&lab, &["ready-stored-token", "expired-rotates"]);
    let user = user_of(&lab, &scenarios);
    let before = user.records();
    let import = ["store", "import", "--user", "ann"];
    let imported = database.run(&user, &import);
    assert_eq!(
        imported.stdout,
        "copied: expired-rotates\ncopied: ready-stored-token\n"
    );
    assert!(
        imported.stderr.contains("Use only one of them"),
        "{imported:#?}"
    );
    let again = database.run(&user, &import);
    assert_eq!(
        again.stdout,
        "unchanged: expired-rotates\nunchanged: ready-stored-token\n"
    );
    assert_eq!(user.records(), before);

    let other = User::new();
    let exported = database.run(&other, &["store", "export", "--user", "ann"]);
    assert!(exported.stdout.contains("copied: expired-rotates\n"));
    assert_eq!(other.records(), before);

    let mut changed = before["ready-stored-token"].clone();
    changed["access_token"] = "newer".into();
    user.store([changed.clone()]);
    let kept = database.run(&user, &import);
    assert_eq!(
        kept.stdout,
        "kept: ready-stored-token has another sign-in there; to replace it, pass `--replace`\n"
    );
    database.run(&user, &["store", "import", "--user", "ann", "--replace"]);
    let folder = other.path("home/elsewhere");
    let folder = folder.to_str().unwrap();
    let arguments = [
        "store",
        "export",
        "--user",
        "ann",
        "--move",
        "--codex-home",
        folder,
    ];
    database.run(&other, &arguments);
    let text = fs::read_to_string(other.path("home/elsewhere/.credentials.json")).unwrap();
    assert!(text.contains("newer"), "{text}");
    assert_eq!(
        database
            .0
            .sql("select count(*) from mcp_startup_credential"),
        "0"
    );
    let nothing = database.run(&other, &["store", "export", "--user", "ann"]);
    assert_eq!(nothing.all_output(), "");
}

#[test]
fn login_stores_the_sign_in_of_the_user() {
    let test = "login_stores_the_sign_in_of_the_user";
    let (Some(database), Some(auth_server)) =
        (Database::new(test), AuthorizationServer::start(test))
    else {
        return;
    };
    let user = crate::session::user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let browser = Browser::of(&user);
    let login = crate::session::login(&user, "linear")
        .arg("--user")
        .arg("ann");
    let mut running = RunningLogin::start(database.with_database(login).browser(&browser));
    let page = get(&authorize(&running.opened_url(&browser), Consent::Allow));
    assert_eq!(page.status, 200, "{page:?}");
    running.finish().assert_exit(0);
    let found = database
        .0
        .sql("select tenant || ' ' || user_id || ' ' || server from mcp_startup_credential");
    assert_eq!(found, "default ann linear");
    user.assert_unrelated_records_unchanged();
    assert!(!user.records().contains_key("linear"));
    let arguments = ["check", "--yes", "linear", "--user", "ann"];
    database.program(&user, &arguments).finish().assert_exit(0);
}
