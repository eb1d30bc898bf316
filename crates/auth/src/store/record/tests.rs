use super::*;
use serde_json::json;

/// Comparing each field with every other one would take many minutes.
#[test]
fn a_record_with_two_hundred_thousand_fields_costs_linear_time() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = std::thread::spawn(move || {
        let fields = (0..200_000).map(|n| format!("\"field-{n}\":{n}"));
        let fields: Vec<String> = fields.collect();
        let json = format!("{{\"access_token\":\"t\",{}}}", fields.join(","));
        let record = CredentialRecord::parse(&json).unwrap();
        assert!(record.to_json().expose_secret() == json);

        let change = json!({"access_token": "t", "field-199999": 199_999, "added": null});
        let same = record.with(change.as_object().unwrap()).unwrap();
        assert!(record == same);
        let change = (0..200_000).map(|n| (format!("field-{n}"), json!(n + 1)));
        let other = record.with(&change.collect()).unwrap();
        assert!(record != other && other.has_same_tokens(&record));
        sender.send(()).unwrap();
    });
    let result = receiver.recv_timeout(std::time::Duration::from_secs(60));
    assert_eq!(result, Ok(()), "the work must take linear time");
    work.join().unwrap();
}

#[test]
fn facts_reflect_the_record() {
    let fact = |access_token, refresh_token, expires_at_ms| CredentialFacts {
        access_token,
        refresh_token,
        expires_at_ms,
    };
    let cases = [
        (
            json!({"access_token": "a", "refresh_token": "r", "expires_at": 5, "issuer": "https://a"}),
            fact(true, true, Some(5)),
        ),
        (
            json!({"access_token": "a", "refresh_token": null, "expires_at": null}),
            fact(true, false, None),
        ),
        (
            json!({"access_token": "  ", "refresh_token": ""}),
            fact(false, false, None),
        ),
        (
            json!({"access_token": "a", "expires_at": -7}),
            fact(true, false, Some(-7)),
        ),
        (
            json!({"access_token": "a", "expires_at": 1e300}),
            fact(true, false, Some(i64::MAX)),
        ),
        (
            json!({"access_token": "a", "expires_at": 18446744073709551615u64}),
            fact(true, false, Some(i64::MAX)),
        ),
        (
            json!({"access_token": "a", "expires_at": 1500.9}),
            fact(true, false, Some(1500)),
        ),
        (
            json!({"access_token": "a", "from_the_future": {"x": 1}}),
            fact(true, false, None),
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(
            CredentialRecord::from_json(&value).unwrap().facts(),
            expected,
            "{value}"
        );
    }
}

#[test]
fn a_field_of_the_wrong_type_is_corrupt_and_the_error_shows_no_value() {
    for (value, field) in [
        (json!("secret"), "value"),
        (json!({"access_token": 42_424_242}), "access_token"),
        (json!({"refresh_token": ["secret"]}), "refresh_token"),
        (json!({"expires_at": "secret"}), "expires_at"),
        (json!({"scopes": "secret"}), "scopes"),
    ] {
        let error = CredentialRecord::from_json(&value).unwrap_err();
        assert_eq!(error.field, field);
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("4242"));
    }
}

#[test]
fn debug_output_contains_no_secret() {
    let record = CredentialRecord::from_json(
        &json!({"access_token": "at-canary", "refresh_token": "rt-canary", "client_secret": "cs-canary", "x": "x-canary"}),
    )
    .unwrap();
    assert!(!format!("{record:?}").contains("canary"));
    assert_eq!(
        record.secrets().collect::<Vec<_>>(),
        ["at-canary", "rt-canary", "cs-canary"]
    );
}

#[test]
fn every_field_is_written_back_unchanged() {
    let json = r#"{"access_token":"t","big":123456789012345678901234567890.10,"issuer":null,"client_secret":"cs","odd\n":{"b":[1.0, 2e5],"a":"\u00e9"},"expires_at":1500.0}"#;
    let record = CredentialRecord::parse(json).unwrap();
    assert_eq!(record.to_json().expose_secret(), json);

    let change = json!({"access_token": "t2", "issuer": "https://a", "added": 1});
    let changed = record.with(change.as_object().unwrap()).unwrap();
    assert_eq!(
        changed.to_json().expose_secret(),
        json.replace("\"t\"", "\"t2\"")
            .replace("null", "\"https://a\"")
            .replace("1500.0}", "1500.0,\"added\":1}")
    );
    assert_eq!(changed.issuer(), Some("https://a"));
    let wrong_type = json!({"access_token": 1});
    assert_eq!(
        record
            .with(wrong_type.as_object().unwrap())
            .unwrap_err()
            .field,
        "access_token"
    );
}

#[test]
fn records_with_the_same_meaning_are_equal() {
    let record = |json: &str| CredentialRecord::parse(json).unwrap();
    let one = record(r#"{"access_token":"a","expires_at":1500,"x":{"y":1,"z":[2]}}"#);
    for same in [
        r#"{"x": {"z":[ 2 ],"y":1}, "expires_at":1500.0, "access_token": "a"}"#,
        r#"{"access_token":"a","refresh_token":null,"scopes":[],"unknown":null,"expires_at":1500,"x":{"y":1,"z":[2]}}"#,
        r#"{"access_token":"b","access_token":"a","expires_at":1500,"x":{"y":1,"z":[2]}}"#,
    ] {
        assert_eq!(one, record(same));
    }
    for (other, has_same_tokens) in [
        (r#"{"access_token":"a","expires_at":1500}"#, true),
        (
            r#"{"access_token":"a","expires_at":1500,"x":{"y":1,"z":[3]}}"#,
            true,
        ),
        (
            r#"{"access_token":"a","expires_at":1501,"x":{"y":1,"z":[2]}}"#,
            true,
        ),
        (
            r#"{"access_token":"a","expires_at":1500,"x":{"y":1,"z":[2]},"scopes":["s"]}"#,
            true,
        ),
        (
            r#"{"access_token":"b","expires_at":1500,"x":{"y":1,"z":[2]}}"#,
            false,
        ),
        (
            r#"{"access_token":"a","refresh_token":"r","expires_at":1500,"x":{"y":1,"z":[2]}}"#,
            false,
        ),
    ] {
        assert_ne!(one, record(other));
        assert_eq!(one.has_same_tokens(&record(other)), has_same_tokens);
    }
}
