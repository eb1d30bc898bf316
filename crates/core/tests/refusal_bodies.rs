//! Tests of the error code in the body of a refused refresh: only JSON and forms have one, not a page that mentions one.

use mcp_startup_core::refusal::error_code;

#[test]
fn a_page_has_no_error_code() {
    let pages: &[&str] = &[
        "<html><a href=https://auth.example/login?next=/&error=login_required&x=1>again</a></html>",
        "<!doctype html><script>location='/login?a=b&error=interaction_required&c=d'</script>",
        "Please sign in: https://auth.example/login?next=%2F&error=invalid_grant",
        "upstream said: code=7&error=invalid_grant",
        "\"a=b&error=invalid_grant\"",
        "[1]&error=invalid_grant",
    ];
    let read: Vec<_> = pages
        .iter()
        .filter_map(|page| Some((*page, error_code(page.as_bytes())?)))
        .collect();
    assert_eq!(read, [], "these are neither JSON nor form");
}

#[test]
fn other_members_do_not_affect_the_error_code() {
    for body in [
        r#"{"error":"invalid_grant"}"#,
        "\r\n {\"error_description\":\"a & b\",\"error\":\"invalid_grant\",\"error_uri\":null}\n",
        r#"{"ok":false,"error":"invalid_grant","warning":{"a":[1]}}"#,
        r#"{"error":"invalid\u005fgrant"}"#,
        "error=invalid_grant",
        "error_description=The+token+%3Cx%3E+is+gone&error=invalid_grant&error_uri=https%3A%2F%2Fauth.example%2F",
        "a=&error=invalid_grant\n",
    ] {
        assert_eq!(
            error_code(body.as_bytes()).as_deref(),
            Some("invalid_grant"),
            "{body}"
        );
    }
}
