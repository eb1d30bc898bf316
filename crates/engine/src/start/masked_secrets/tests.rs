use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use mcp_startup_config::ServerConfig;

use super::*;

/// Words without a digit, so that no shape gives them away.
const SECRET: &str = "hunterxqzvkwpl";
const OTHER: &str = "gatekeeperplumdune";

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// Panics unless the mask of a server hides these secrets in a text.
fn assert_hidden(what: &str, config: ServerConfig, secrets: &[&str]) {
    let mask = mask(&ServerEntry::from(config));
    for secret in secrets {
        let text = format!("the key {secret} is refused");
        let hidden = mask.foreign(&text, 100);
        assert_eq!(hidden, "the key [masked] is refused", "{what}");
    }
}

fn program(arguments: &[&str]) -> ServerConfig {
    ServerConfig::stdio("x", "acme", arguments.iter().copied()).unwrap()
}

#[test]
fn the_secrets_within_a_variable_are_hidden() {
    let both = &[SECRET, OTHER][..];
    let one = &both[..1];
    for (name, value, secrets) in [
        (
            "OPENAPI_MCP_HEADERS",
            format!(r#"{{"Authorization":"Bearer {SECRET}","Notion-Version":"2022-06-28"}}"#),
            one,
        ),
        ("CONFIG", format!(r#"{{"a":{{"secret":"{SECRET}"}}}}"#), one),
        (
            "CONFIG",
            format!(r#"[{{"url":"https://me:{SECRET}@acme.example"}},"password={OTHER}"]"#),
            both,
        ),
        ("API_KEYS", format!(r#"["{SECRET}","{OTHER}"]"#), both),
        ("API_AUTH", format!("me:{SECRET}"), one),
        ("API_KEYS", format!("{SECRET},{OTHER}"), both),
        ("API_KEYS", format!("{SECRET}|{OTHER}"), both),
        ("API_KEYS", format!("{SECRET}; {OTHER}"), both),
        ("API_KEYS", format!("one {SECRET}\n{OTHER}"), both),
        ("API_KEY", format!("\"{SECRET}\""), one),
        ("API_KEY", format!("'Bearer {SECRET}'"), one),
        ("API_KEYS", format!("a=\"{SECRET}\", b='{OTHER}'"), both),
        ("DB", format!("Driver={{x}};Pwd={{{SECRET}}}"), one),
        ("DB", format!("Server=db;User=me;Password={SECRET}"), one),
        (
            "PEM",
            format!(r"-----BEGIN KEY-----\n{SECRET}\r\n{OTHER}\n-----END KEY-----"),
            both,
        ),
        ("AUTH", base64(&format!("me:{SECRET}")), one),
        (
            "AUTH",
            BASE64_URL_SAFE_NO_PAD.encode(format!("m:{SECRET}")),
            one,
        ),
        (
            "AUTH",
            base64(&format!(r#"{{"a":"{}"}}"#, base64(&format!("me:{SECRET}")))),
            one,
        ),
    ] {
        let config = program(&[]).with_env(name, value.clone()).unwrap();
        assert_hidden(&value, config, secrets);
    }
}

#[test]
fn the_secrets_within_an_argument_are_hidden() {
    for arguments in [
        vec![
            "--header".to_owned(),
            format!("Authorization:Bearer {SECRET}"),
        ],
        vec!["--header".to_owned(), format!("X-Api-Key:{SECRET}")],
        vec![format!("--header=X-Api-Key:{SECRET}")],
        vec![format!("note:x Authorization: Bearer {SECRET}")],
        vec![format!("Server=db;User=me;Password={SECRET}")],
        vec![format!("host=db user=me password='{SECRET}'")],
        vec!["--config".to_owned(), format!(r#"{{"apiKey":"{SECRET}"}}"#)],
        vec![format!(r#"--config={{"apiKey":"{SECRET}"}}"#)],
        vec!["--api-keys".to_owned(), format!("{OTHER},{SECRET}")],
        vec!["/usr/bin/mysql".to_owned(), format!("-p{SECRET}")],
    ] {
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        assert_hidden(&arguments.join(" "), program(&words), &[SECRET]);
    }
}

#[test]
fn the_secrets_within_a_header_and_a_url_are_hidden() {
    let url = "https://acme.example/mcp";
    for (name, value) in [
        ("X-Config", format!(r#"{{"k":"{SECRET}"}}"#)),
        (
            "Authorization",
            format!(r#"Token token="{SECRET}", nonce="a""#),
        ),
        ("Authorization", format!("Bearer:{SECRET}")),
        ("X-Auth", format!("me:{SECRET}")),
        ("X-Config", base64(&format!(r#"{{"k":"{SECRET}"}}"#))),
    ] {
        let config = ServerConfig::http("x", url).unwrap();
        let config = config.with_header(name, value.clone()).unwrap();
        assert_hidden(&value, config, &[SECRET]);
    }
    let random = "hq7ZpXw2kVrT9mB4n";
    for (url, secret) in [
        (format!("{url}?config=%7B%22k%22:%22{SECRET}%22%7D"), SECRET),
        (
            format!("{url}?config={}", base64(&format!(r#"{{"k":"{SECRET}"}}"#))),
            SECRET,
        ),
        (format!("{url}#tok={SECRET}"), SECRET),
        (format!("{url}/s/{random}/sse"), random),
    ] {
        assert_hidden(&url, ServerConfig::http("x", &url).unwrap(), &[secret]);
    }
}

/// Names and words that messages have, in values of which a part is a secret or that only seem to be one.
#[test]
fn ordinary_parts_of_a_value_are_not_hidden() {
    let google = r#"{"type":"service_account","auth_uri":"https://accounts.example/o/oauth2","private_key":"hunterxqzvkwpl"}"#;
    let mut config = program(&[
        "--oauth-scopes",
        "offline_access,repository",
        "server:filesystem",
    ]);
    for (name, value) in [
        ("OAUTH_SCOPES", "offline_access,repository"),
        ("LOG_FORMAT", "compact,timestamps"),
        (
            "SERVICE",
            r#"{"database":"production","host":"localhost.example"}"#,
        ),
        ("GOOGLE_CREDENTIALS", google),
        ("SHORT_KEYS", "one,two,default"),
    ] {
        config = config.with_env(name, value.to_owned()).unwrap();
    }
    let mask = mask(&ServerEntry::from(config));
    let http = ServerConfig::http(
        "x",
        "https://acme.example/projects/documentation-server/mcp?features=development,documentation",
    );
    let http = http
        .unwrap()
        .with_header("Accept", "application/json, text/event-stream".to_owned());
    let http = super::mask(&ServerEntry::from(http.unwrap()));
    for text in [
        "the scopes offline_access and repository are missing",
        "compact timestamps of production at localhost.example",
        "service_account https://accounts.example/o/oauth2 filesystem default",
        "application/json of the documentation-server in development mode",
    ] {
        assert_eq!(mask.foreign(text, 200), text);
        assert_eq!(http.foreign(text, 200), text);
    }
    assert_eq!(mask.foreign(SECRET, 200), "[masked]");
}

#[test]
fn a_deep_or_large_value_is_read_in_bounded_time() {
    let mut nested = format!("me:{SECRET}");
    for _ in 0..8 {
        nested = base64(&format!(r#"{{"a":"{nested}"}}"#));
    }
    let began = std::time::Instant::now();
    for value in [
        nested,
        "[".repeat(100_000),
        "'".repeat(100_000),
        "a=b;".repeat(100_000),
        r#"{"a":"#.repeat(2_000),
        "\"'".repeat(8_000),
    ] {
        let config = program(&[]).with_env("API_KEY", value).unwrap();
        mask(&ServerEntry::from(config));
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
