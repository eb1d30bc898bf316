//! `check` and the credential store: an unreadable store is reported, and no file changes unless a token is refreshed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use mcp_startup_lab::Scenario;
use serde_json::Value;

use crate::harness::cases::for_each_case;
use crate::harness::configuration::{entry, quoted, url};
use crate::harness::lab::{lab, scenarios_named, user_of};
use crate::harness::user::User;

#[test]
fn check_changes_no_file_if_no_token_is_refreshed() {
    let lab = lab();
    let refreshes = |scenario: &&Scenario| {
        let stored = scenario.stored.as_ref();
        stored.is_some_and(|stored| {
            stored
                .refresh_token
                .as_ref()
                .is_some_and(|token| !token.trim().is_empty())
        })
    };
    let scenarios: Vec<_> = lab
        .scenarios()
        .iter()
        .filter(|scenario| !refreshes(scenario))
        .collect();
    let user = user_of(&lab, &scenarios);
    let before = snapshot(&user.path(""));
    assert!(before.len() >= 5);
    for format in ["table", "ndjson", "json"] {
        let config = user.config();
        let run = user.program(&["check", "--format", format]);
        let run = match format {
            "ndjson" => run.env("CODEX_HOME", config.parent().unwrap()),
            _ => run,
        };
        run.finish().assert_exit(3);
        assert_eq!(snapshot(&user.path("")), before, "{format}");
    }
}

/// Every file and folder below a folder, with its content and the time of its last change.
fn snapshot(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = match metadata.is_dir() {
                true => {
                    folders.push(path.clone());
                    Vec::new()
                }
                false => std::fs::read(&path).unwrap(),
            };
            let name = path.to_str().unwrap().to_owned();
            found.insert(name, (content, metadata.modified().unwrap()));
        }
    }
    found
}

#[test]
fn unreadable_credential_store_is_not_reported_as_signed_out() {
    let lab = lab();
    // Windows always has a keyring.
    let without_keyring = match cfg!(windows) {
        true => "signInRequired",
        false => "credentialStoreUnavailable",
    };
    let cases = [
        (Some("file"), None, "signInRequired"),
        (Some("file"), Some("{}"), "signInRequired"),
        (Some("file"), Some("{\"cut"), "credentialStoreUnavailable"),
        (Some("file"), Some(""), "credentialStoreUnavailable"),
        (Some("file"), Some("[]"), "credentialStoreUnavailable"),
        // Nothing is stored in a keyring that does not exist.
        (Some("auto"), None, "signInRequired"),
        (Some("auto"), Some("{}"), "signInRequired"),
        (Some("auto"), Some("nonsense"), "credentialStoreUnavailable"),
        (Some("keyring"), Some("{}"), without_keyring),
        (Some("vault"), Some("{}"), "credentialStoreUnavailable"),
        (None, None, "signInRequired"),
        (None, Some("{}"), "signInRequired"),
    ];
    for_each_case(&cases, |(mode, content, kind)| {
        let mode = mode.map(|mode| format!("mcp_oauth_credentials_store = {}\n", quoted(mode)));
        let user = User::with(
            &[
                mode.unwrap_or_default(),
                entry("needs-sign-in", &url(&lab.url("first-sign-in"))),
                entry("open", &url(&lab.url("ready"))),
                entry(
                    "configured",
                    &format!(
                        "{}\nbearer_token_env_var = \"TOKEN\"",
                        url(&lab.url("bearer-ok"))
                    ),
                ),
            ]
            .concat(),
        );
        let file = user.path("home/.codex/.credentials.json");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let run = user.check("json").env("TOKEN", "good-token");
        let finished = run
            .finish()
            .assert_exit(if *kind == "signInRequired" { 3 } else { 1 });
        let server = finished.server("needs-sign-in");
        assert_eq!(server["failure"]["kind"], *kind, "{server:#}");
        assert_eq!(server["failureReason"], Value::Null);
        assert_eq!(finished.server("open")["status"], "ready");
        assert_eq!(finished.server("configured")["status"], "ready");
        match content {
            Some(content) => assert_eq!(std::fs::read_to_string(&file).unwrap(), *content),
            None => assert!(!file.exists()),
        }
    });
    // A record in the file is found in every mode that reads the file.
    for (mode, status) in [("file", "ready"), ("auto", "ready"), ("keyring", "failed")] {
        let user = user_of(&lab, &scenarios_named(&lab, &["ready-stored-token"]));
        let config = std::fs::read_to_string(user.config()).unwrap();
        user.write(
            "home/.codex/config.toml",
            config.replace("\"file\"", &quoted(mode)),
        );
        let finished = user.check("json").finish();
        assert_eq!(
            finished.server("ready-stored-token")["status"],
            status,
            "{mode}"
        );
    }
}

#[cfg(unix)]
#[test]
fn each_command_warns_if_other_users_can_change_the_sign_ins() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let lab = lab();
    let file = "mcp_oauth_credentials_store = \"file\"\n".to_owned();
    let server = entry("needs-sign-in", &url(&lab.url("first-sign-in")));
    let user = User::with(&[file, server].concat());
    user.store([]);
    let config = user.config();
    let config = ["--config", config.to_str().unwrap()];
    for (folder, mode, expected) in [
        ("home/.codex", 0o700, false),
        ("home", 0o702, true),
        ("home", 0o700, false),
        ("home/.codex", 0o702, true),
    ] {
        let folder = user.path(folder);
        set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        for command in [
            &["check"][..],
            &["check", "--format", "json"],
            &["status"],
            &["explain", "needs-sign-in"],
            &["logout", "needs-sign-in"],
        ] {
            let finished = user.program(&[command, &config].concat()).finish();
            let warning = format!("other users can change {}", folder.display());
            let has_warning = finished.stderr.contains(&warning);
            assert_eq!(has_warning, expected, "{mode:o} {command:?}: {finished:#?}");
        }
    }
}
