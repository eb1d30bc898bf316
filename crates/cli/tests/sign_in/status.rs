//! `status`: the stored sign-in of each server, and the details that `--online` adds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::authorization_server::AuthorizationServer;
use crate::harness::configuration::{FILE_STORE, QUOTE, entry, quoted, steps, url};
use crate::harness::lab::lab;
use crate::harness::time::now_ms;
use crate::session::{status, status_of, user_of};

#[test]
fn status_shows_the_stored_sign_in_and_sends_requests_only_with_online() {
    let Some(auth_server) = AuthorizationServer::start(
        "status::status_shows_the_stored_sign_in_and_sends_requests_only_with_online",
    ) else {
        return;
    };
    let user = user_of(&[]);
    let on_auth_server = |name: &str| entry(name, &url(&auth_server.mcp_url(name)));
    let lab = lab();
    let entries = [
        on_auth_server("good"),
        on_auth_server("old"),
        on_auth_server("over"),
        on_auth_server("forever"),
        on_auth_server("none"),
        entry("odd name", &url(&auth_server.mcp_url("odd"))),
        entry(
            "key",
            &format!(
                "{}\nhttp_headers = {{ Authorization = \"Bearer k\" }}",
                url(&auth_server.mcp_url("key"))
            ),
        ),
        entry("program", &steps(&["exit", "1"])),
        entry("broken", "url = \"no URL\""),
        entry("open", &url(&lab.url("api-key"))),
        entry("gone", &url("http://127.0.0.1:1/mcp")),
        entry(
            "disabled",
            &format!("{}\nenabled = false", url(&auth_server.mcp_url("disabled"))),
        ),
    ];
    user.write(
        "home/.codex/config.toml",
        format!("{FILE_STORE}{}", entries.concat()),
    );
    let record = |name: &str, more: Value| {
        let mut record = json!({
            "server_name": name, "server_url": auth_server.mcp_url(name.split(' ').next().unwrap()), "client_id": "c",
            "access_token": format!("secret-{name}"), "refresh_token": null, "scopes": [],
        });
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        record
    };
    let in_days = |days: i64| now_ms() + days * 86_400_000 + 3_600_000;
    let expires_at = in_days(3);
    user.store([
        record("good", json!({"expires_at": expires_at, "refresh_token": "secret", "scopes": ["a", "b\u{9b}2J"], "issuer": auth_server.issuer})),
        record("old", json!({"expires_at": 1000, "refresh_token": "secret", "issuer": auth_server.issuer})),
        record("over", json!({"expires_at": 1000})),
        record("odd name", json!({"expires_at": 1000})),
        record("forever", json!({})),
    ]);
    let finished = status(&user, &[]);
    let nothing = "not signed in; use --online to see whether it offers a sign-in";
    let lines = [
        "✓ good      signed in (file); the token expires in 3 days".to_owned(),
        "✓ old       signed in (file); the token has expired; the next start renews it".to_owned(),
        "! over      sign-in expired (file): run `mcp-startup login over`".to_owned(),
        "✓ forever   signed in (file); the expiry of the token is not known".to_owned(),
        format!("- none      {nothing}"),
        format!("! odd name  sign-in expired (file): run `mcp-startup login {QUOTE}odd name{QUOTE}`"),
        "✓ key       the configuration has its token".to_owned(),
        "- program   a program on this machine; it needs no sign-in".to_owned(),
        "✗ broken    its configuration entry can't be used; run `mcp-startup check broken` to see why"
            .to_owned(),
        format!("- open      {nothing}"),
        format!("- gone      {nothing}"),
    ];
    assert_eq!(finished.stdout.lines().collect::<Vec<_>>(), lines);
    let colored = user.program(&["status"]).env("CLICOLOR_FORCE", "1");
    assert!(
        colored
            .finish()
            .stdout
            .contains("\u{1b}[32m✓\u{1b}[0m good")
    );
    let plain = user
        .program(&["status"])
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1");
    assert_eq!(plain.finish().stdout, finished.stdout);

    let finished = status(&user, &["disabled", "good", "--format", "json"]);
    let expected = format!(
        r#"{{
  "configuration": {},
  "servers": [
    {{
      "name": "good",
      "transport": "http",
      "authStatus": "oAuth",
      "stored": {{
        "store": "file",
        "accessToken": "good",
        "refreshToken": true,
        "expiresAtMs": {expires_at},
        "scopes": [
          "a",
          "b\u009b2J"
        ],
        "issuer": "{}"
      }},
      "storeError": null,
      "configurationWarnings": []
    }},
    {{
      "name": "disabled",
      "transport": "http",
      "authStatus": null,
      "stored": null,
      "storeError": null,
      "configurationWarnings": []
    }}
  ],
  "notChecked": []
}}
"#,
        quoted(user.config().to_str().unwrap()),
        auth_server.issuer
    );
    assert_eq!(finished.stdout, expected);
    assert_eq!(
        finished.json()["servers"][0]["stored"]["scopes"][1],
        "b\u{9b}2J"
    );
    let names = [
        "good", "old", "over", "forever", "none", "odd name", "key", "program", "broken",
    ];
    let statuses = names.map(|name| status_of(&user, name, &[])["authStatus"].clone());
    let statuses: Vec<_> = statuses
        .iter()
        .map(|status| status.as_str().unwrap_or("-"))
        .collect();
    assert_eq!(
        statuses,
        [
            "oAuth",
            "oAuth",
            "-",
            "oAuth",
            "-",
            "-",
            "bearerToken",
            "unsupported",
            "-"
        ]
    );
    assert_eq!(
        status_of(&user, "over", &[])["stored"]["accessToken"],
        "expired"
    );
    assert_eq!(auth_server.request_count(), 0);

    let finished = status(&user, &["--online", "none", "over", "open", "gone"]);
    let lines = [
        "! over  sign-in expired (file): run `mcp-startup login over`",
        "! none  not signed in: run `mcp-startup login none`",
        "- open  offers no sign-in",
        "- gone  not signed in; it could not be determined whether the server offers a sign-in",
    ];
    // As the servers answer.
    let printed: BTreeSet<_> = finished.stdout.lines().collect();
    assert_eq!(printed, BTreeSet::from(lines));
    assert_eq!(
        status_of(&user, "over", &["--online"])["authStatus"],
        "notLoggedIn"
    );
    assert_ne!(auth_server.request_count(), 0);

    user.write("home/.codex/.credentials.json", "{\"");
    let finished = user
        .program(&["status", "good", "key"])
        .finish()
        .assert_exit(1);
    assert!(
        finished
            .stdout
            .starts_with("✗ good  the credential store (file) can't be used: "),
        "{finished:#?}"
    );
    assert!(
        finished
            .stdout
            .ends_with("\n✓ key   the configuration has its token\n"),
        "{finished:#?}"
    );
    let json = user
        .program(&["status", "good", "--format", "json"])
        .finish()
        .assert_exit(1);
    assert!(
        json.server("good")["storeError"]
            .as_str()
            .unwrap()
            .contains("(file)")
    );
    let finished = user.program(&["logout", "good"]).finish().assert_exit(1);
    assert!(
        finished
            .stderr
            .starts_with("error: the credential store (file) can't be used: "),
        "{finished:#?}"
    );
}
