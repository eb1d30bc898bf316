//! The messages for arguments that do not have the right shape: each names the field, the values that it takes, and the value that it
//! has.

use mcp_startup_host::{HostError, verdict};

fn evidence_error(json: &str) -> String {
    match verdict::judge(json) {
        Err(HostError::InvalidArgument(message)) => message,
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn a_message_names_the_field_and_both_values() {
    let cases = [
        (
            r#"{"server":7}"#,
            "the evidence: `server` must be a string, not 7",
        ),
        (
            r#"{"requests":"none"}"#,
            r#"the evidence: `requests` must be a list, not "none""#,
        ),
        (
            r#"{"server": "a \"b\" {", "requests": [{"status": 200}, {"status": -1}]}"#,
            "the evidence: `requests[1].status` must be a whole number from 0 to 65535, not -1",
        ),
        (
            "{\"server\":\"ü\",\n \"limitMs\" : 1.5}",
            "the evidence: `limitMs` must be a whole number (0 or more), not 1.5",
        ),
        (
            r#"{"requests":[{"to":[]}]}"#,
            "the evidence: `requests[0].to` has a value of the wrong type",
        ),
        (
            r#"{"transport":7}"#,
            "the evidence: `transport` has a value of the wrong type",
        ),
        (
            r#"{"credential":{"worth":{"refreshToken":{}}}}"#,
            "the evidence: `credential.worth.refreshToken` must be true or false, not an object",
        ),
        ("7", "the evidence must be an object, not 7"),
        ("[]", "the evidence must be an object, not a list"),
        (
            r#"{"server":"a","credential":[]}"#,
            "the evidence: `credential` must be an object, not a list",
        ),
        (
            r#"{"credential":{"worth":["good", true]}}"#,
            "the evidence: `credential.worth` must be an object, not a list",
        ),
        (
            r#"{"requests":[{},[]]}"#,
            "the evidence: `requests[1]` must be an object, not a list",
        ),
        (
            r#"{"request":[]}"#,
            "the evidence: `request` is not known; did you mean `requests`?",
        ),
        (
            r#"{"requests":[{},{"statu":401}]}"#,
            "the evidence: `requests[1].statu` is not known; did you mean `status`?",
        ),
    ];
    for (json, message) in cases {
        assert_eq!(evidence_error(json), message, "{json}");
    }
}

#[test]
fn a_message_lists_the_values_of_an_enum() {
    let message = evidence_error(r#"{"transport":"pigeon"}"#);
    assert_eq!(
        message,
        "the evidence: `transport` must be `stdio` or `http`, not `pigeon`"
    );
}

#[test]
fn text_that_is_not_json_is_reported_as_such() {
    let message = evidence_error("{");
    assert_eq!(
        message,
        "the evidence: not valid JSON: the text ends too early, within an object at line 1 column 1"
    );
}

#[cfg(feature = "clients")]
#[test]
fn an_option_is_named() {
    use mcp_startup_host::Options;

    let store = match cfg!(feature = "store-postgres") {
        true => "store, ",
        false => "",
    };
    let known = format!(
        "the options: `verbose` is not known; the known ones are: config, mcpServers, clients, folder, trustProject, \
         servers, timeoutMs, concurrency, clientMetadataUrl, {store}challenge, scopes, callbackPort, callbackUrl, \
         browserTimeoutMs"
    );
    let cases = [
        (
            r#"{"timeoutMs":-1}"#,
            "the options: `timeoutMs` must be a whole number from 1 to 2592000000, not -1",
        ),
        (
            r#"{"timeoutMs":1e300}"#,
            "the options: `timeoutMs` must be a whole number from 1 to 2592000000, not 1e+300",
        ),
        (
            r#"{"timeoutMs":1.5}"#,
            "the options: `timeoutMs` must be a whole number from 1 to 2592000000, not 1.5",
        ),
        (
            r#"{"timeoutMs":"5"}"#,
            r#"the options: `timeoutMs` must be a whole number from 1 to 2592000000, not "5""#,
        ),
        (
            r#"{"browserTimeoutMs":0}"#,
            "the options: `browserTimeoutMs` must be a whole number from 1 to 2592000000, not 0",
        ),
        (
            r#"{"concurrency":-1}"#,
            "the options: `concurrency` must be a whole number from 1 to 1000000, not -1",
        ),
        (
            r#"{"concurrency":18446744073709551615}"#,
            "the options: `concurrency` must be a whole number from 1 to 1000000, not 18446744073709551615",
        ),
        (
            r#"{"servers":"linear"}"#,
            r#"the options: `servers` must be a list, not "linear""#,
        ),
        (
            r#"{"servers":["linear",null]}"#,
            "the options: `servers[1]` must be a string, not null",
        ),
        (
            r#"{"clients":"cursor"}"#,
            r#"the options: `clients` must be "all" or a list of client IDs, not "cursor""#,
        ),
        (
            r#"{"clients":7}"#,
            r#"the options: `clients` must be "all" or a list of client IDs, not 7"#,
        ),
        (
            r#"{"clients":["cursor",null]}"#,
            "the options: `clients[1]` must be the ID of a client, such as `claude-code`, not null",
        ),
        (
            r#"{"clients":["Cursor"]}"#,
            r#"the options: `clients[0]` must be the ID of a client, such as `claude-code`, not "Cursor""#,
        ),
        (
            r#"{"timout":1}"#,
            "the options: `timout` is not known; did you mean `timeoutMs`?",
        ),
        (r#"{"verbose":true}"#, &known),
        (
            r#"{"timeoutMs":0}"#,
            "the options: `timeoutMs` must be a whole number from 1 to 2592000000, not 0",
        ),
        (
            r#"{"concurrency":0}"#,
            "the options: `concurrency` must be a whole number from 1 to 1000000, not 0",
        ),
        (
            r#"{"mcpServers":[]}"#,
            "the options: `mcpServers` must be an object with the servers by name, not a list",
        ),
        (
            r#"{"mcpServers":"canary"}"#,
            "the options: `mcpServers` must be an object with the servers by name, not a string",
        ),
        (
            r#"{"mcpServers":7}"#,
            "the options: `mcpServers` must be an object with the servers by name, not a number",
        ),
        (
            r#"{"clientMetadataUrl":"https://app.example"}"#,
            "the options: `clientMetadataUrl` must be an https URL with a path, not `https://app.example`",
        ),
        (
            r#"{"clientMetadataUrl":"http://app.example/client?key=canary"}"#,
            "the options: `clientMetadataUrl` must be an https URL with a path, not `http://app.example/client`",
        ),
        (
            r#"{"clientMetadataUrl":"https://me:canary@app.example/client"}"#,
            "the options: `clientMetadataUrl` must be an https URL with a path, not one with a user name or a password",
        ),
        (
            r#"{"clientMetadataUrl":"https://app.example/client#canary"}"#,
            "the options: `clientMetadataUrl` must be an https URL with a path, not one with a fragment (`#`)",
        ),
    ];
    for (json, message) in cases {
        match Options::parse(json) {
            Err(HostError::InvalidArgument(actual)) => assert_eq!(actual, message, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_options_of_a_sign_in_are_refused_by_the_other_calls() {
    for option in [r#""challenge":"Bearer""#, r#""scopes":["a"]"#] {
        let options =
            format!(r#"{{{option},"mcpServers":{{"a":{{"url":"http://127.0.0.1:1/mcp"}}}}}}"#);
        let status = mcp_startup_host::auth_status(options.clone(), None, "a".to_owned(), false);
        match status.await {
            Err(HostError::InvalidArgument(message)) => assert_eq!(
                message,
                "the options: `challenge` and `scopes` apply only to the start of a sign-in"
            ),
            other => panic!("{option}: {other:?}"),
        }
        let redirect_uri = "http://127.0.0.1/callback".to_owned();
        let begun = mcp_startup_host::begin_sign_in(options, None, "a".to_owned(), redirect_uri);
        // No server listens there.
        let error = begun.await.map(|_| ()).unwrap_err();
        assert!(matches!(error, HostError::SignIn(_)), "{error:?}");
    }
}

#[cfg(feature = "store-postgres")]
#[test]
fn an_invalid_store_is_named_and_none_of_its_secrets_is_shown() {
    use mcp_startup_host::Options;

    let cases = [
        (
            r#"{"store":"postgres://app:canary@db.example/d"}"#,
            "the options: `store` must be an object, not a string",
        ),
        (
            r#"{"store":{"postgres":"postgres://app:canary@db.example/d"}}"#,
            "the options: `store` must have the field `user`",
        ),
        (
            r#"{"store":{"postgres":"canary","user":["ann"]}}"#,
            "the options: `store.user` must be a string, not a list",
        ),
        (
            r#"{"store":{"postgres":"canary","user":"ann","tennant":"acme"}}"#,
            "the options: `store.tennant` is not known; did you mean `tenant`?",
        ),
    ];
    for (json, message) in cases {
        match Options::parse(json) {
            Err(HostError::InvalidArgument(actual)) => assert_eq!(actual, message, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
    let valid = r#"{"store":{"postgres":"canary","user":"ann","keys":"canary"}}"#;
    let shown = format!("{:?}", Options::parse(valid));
    assert!(
        shown.contains("ann") && !shown.contains("canary"),
        "{shown}"
    );
}

#[cfg(feature = "clients")]
#[tokio::test]
async fn the_options_of_discovery_are_named() {
    let cases = [
        (
            r#"{"clients":["none"]}"#,
            r#"the options: `clients[0]` must be the ID of a client, such as `claude-code`, not "none""#,
        ),
        (
            r#"{"folder":7}"#,
            "the options: `folder` must be a string, not 7",
        ),
        (
            r#"{"config":"a"}"#,
            "the options: `config` is not known; the known ones are: folder, clients",
        ),
    ];
    for (json, message) in cases {
        match mcp_startup_host::discover(json.to_owned()).await {
            Err(HostError::InvalidArgument(actual)) => assert_eq!(actual, message, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
    let missing = r#"{"folder":"/no/such/folder"}"#.to_owned();
    let error = mcp_startup_host::discover(missing).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the options: `folder` must be a folder that exists, not `/no/such/folder`"
    );
    let empty = r#"{"folder":""}"#.to_owned();
    let error = mcp_startup_host::discover(empty).await.unwrap_err();
    assert!(error.to_string().contains("`folder`"), "{error}");
}

#[cfg(feature = "clients")]
#[tokio::test]
async fn options_that_exclude_each_other_are_refused() {
    let cases = [
        (
            r#"{"clients":"all","config":"a"}"#,
            "the options: `config`, `mcpServers` and `clients` exclude each other; set only one of them",
        ),
        (
            r#"{"mcpServers":{},"trustProject":true}"#,
            "the options: `folder` and `trustProject` apply only with `clients`",
        ),
        (
            r#"{"mcpServers":{},"folder":"."}"#,
            "the options: `folder` and `trustProject` apply only with `clients`",
        ),
    ];
    for (json, message) in cases {
        let events = mcp_startup_host::Events::of_check(json.to_owned(), None);
        match events.next().await {
            Err(HostError::InvalidArgument(actual)) => assert_eq!(actual, message, "{json}"),
            other => panic!("{json}: {:?}", other.map(|batch| batch.len())),
        }
    }
}

#[cfg(feature = "clients")]
#[tokio::test]
async fn what_is_not_checked_is_an_error_if_a_check_would_be_one() {
    let missing = r#"{"config":"/no/such/config.toml"}"#.to_owned();
    match mcp_startup_host::not_checked(missing).await {
        Err(HostError::Configuration(_)) => {}
        other => panic!("{:?}", other.map(|left| left.len())),
    }
    let servers = r#"{"mcpServers":{"a":{"command":"a"}}}"#.to_owned();
    assert!(
        mcp_startup_host::not_checked(servers)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_problem_of_servers_in_code_names_no_line() {
    let options =
        r#"{"mcpServers":{"a":{"url":"ftp://x"},"b":{"command":"b","arg":[]}}}"#.to_owned();
    let events = mcp_startup_host::Events::of_check(options, None);
    let mut failed = 0;
    loop {
        let batch = events.next().await.unwrap();
        if batch.is_empty() {
            break;
        }
        for failure in batch.iter().filter_map(|event| event.failure.as_ref()) {
            let message = failure.message();
            assert!(!message.contains("line"), "{message}");
            failed += 1;
        }
    }
    assert_eq!(failed, 2);
}

#[tokio::test]
async fn only_a_refused_request_is_accepted_as_rejected() {
    let options = r#"{"mcpServers":{"a":{"url":"http://127.0.0.1:1/mcp"}}}"#.to_owned();
    let rejected = mcp_startup_host::rejected(200, None, None);
    let header = mcp_startup_host::authorization(options, None, "a".to_owned(), Some(rejected));
    match header.await {
        Err(HostError::InvalidArgument(message)) => assert_eq!(
            message,
            "the rejected request: `status` must be 401 or 403, not 200"
        ),
        other => panic!("{:?}", other.map(|_| ())),
    }
}
