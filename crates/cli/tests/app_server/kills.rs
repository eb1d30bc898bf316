//! SIGKILL of the program at the worst moment: the file of sign-ins is whole, no other record has changed, and no server is left.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use mcp_startup_lab::Lab;
use serde_json::{Value, json};

use crate::client::Client;
use crate::harness::browser::{Consent, authorize};
use crate::harness::configuration::{FILE_STORE, entry, shell, url};
use crate::harness::http_client::split_url;
use crate::harness::lab::lab_with;
use crate::harness::output::Finished;
use crate::harness::time::{eventually, now_ms};
use crate::harness::user::{User, unrelated_records};
use crate::marked::Mark;

/// The supervisor ends what a server leaves behind in 0.5 s.
const LIMIT: Duration = Duration::from_secs(10);
/// An MCP server whose child ignores the end of its input. It answers no call of a tool.
const PROGRAM: &str = r#"
    sleep 1000 &
    while read -r line; do
        id=$(echo "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
        case $line in
            *'"initialize"'*)
                result='"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"a","version":"1"}'
                echo '{"jsonrpc":"2.0","id":'$id',"result":{'$result'}}';;
            *'"tools/call"'*) echo called > "$CALLED";;
        esac
    done
"#;

/// A user with the server `remote` of a lab, and the server `program`, whose processes have a mark.
struct Killed {
    lab: Lab,
    user: User,
    mark: Mark,
}

impl Killed {
    /// The first request for a token gets no answer in time, and the next ones do.
    fn new(stored: Option<Value>) -> Self {
        let never = json!({ "delayMs": 600_000, "status": 500 });
        let lab = lab_with(json!([{
            "name": "remote",
            "mcp": { "serves": { "tokens": ["good-token"] } },
            "token": { "respond": [{ "times": 1, "reply": never }] },
            "stored": stored,
        }]));
        let (user, mark) = (User::new(), Mark::new());
        let called = user.path("called").display().to_string();
        let program = shell(&format!("CALLED='{called}'\n{PROGRAM}"));
        let config = [
            FILE_STORE.to_owned(),
            entry("remote", &url(&lab.url("remote"))),
            entry("program", &format!("{program}\n{}", mark.setting())),
        ];
        user.write("home/.codex/config.toml", config.concat());
        let scenario = &lab.scenarios()[0];
        let record = scenario.stored_record(&lab.base_url(), now_ms());
        user.store(unrelated_records().into_iter().chain(record));
        Self { lab, user, mark }
    }

    fn start(&self) -> Client {
        let config = self.user.config();
        let arguments = ["app-server", "--config", config.to_str().unwrap()];
        Client::start(self.user.program(&arguments))
    }

    /// Waits until the lab has a request for a token with this grant type.
    fn wait_for_grant(&self, grant_type: &str) {
        eventually(grant_type, || {
            let requests = self.lab.requests("remote");
            let mut grants = requests
                .iter()
                .map(|request| request.parameters.get("grant_type"));
            grants
                .any(|grant| grant.is_some_and(|grant| grant == grant_type))
                .then_some(())
        });
    }

    /// Kills the program. Nothing that was stored has changed, and no process is left.
    fn kill(&self, client: Client) {
        let before = self.user.records();
        assert!(!self.mark.processes().is_empty(), "the server does not run");
        client.kill();
        assert_eq!(self.user.records(), before);
        self.user.assert_unrelated_records_unchanged();
        assert_eq!(self.mark.left_after(LIMIT), []);
    }

    /// The next program reports this, which also means that no lock is left.
    fn check(&self) -> Finished {
        let finished = self.user.check("json").finish();
        self.user.assert_unrelated_records_unchanged();
        finished
    }
}

fn failure_kind(finished: &Finished, name: &str) -> Value {
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    let servers = report["servers"].as_array().unwrap();
    let server = servers.iter().find(|server| server["name"] == name);
    server.unwrap()["failure"]["kind"].clone()
}

#[test]
fn a_kill_during_a_refresh_loses_nothing() {
    let killed = Killed::new(Some(json!({
        "issuer": "{issuer}", "clientId": "client-1", "accessToken": "expired-token", "expiresInSeconds": -3600,
        "refreshToken": "good-refresh", "scopes": ["mcp:tools"],
    })));
    let mut client = killed.start();
    client.wait_for("program", "ready");
    killed.wait_for_grant("refresh_token");
    killed.kill(client);
    let finished = killed.check();
    assert_eq!(
        failure_kind(&finished, "remote"),
        Value::Null,
        "{finished:#?}"
    );
    let refreshed = &killed.user.records()["remote"];
    assert_eq!(refreshed["access_token"], "fresh-token-1");
}

#[test]
fn a_kill_during_the_exchange_of_a_code_loses_nothing() {
    let killed = Killed::new(None);
    let mut client = killed.start();
    client.wait_for("program", "ready");
    client.wait_for("remote", "failed");
    let login = client.request("mcpServer/oauth/login", &json!({ "name": "remote" }));
    let opened = login["result"]["authorizationUrl"].as_str().unwrap();
    let callback = authorize(opened, Consent::Allow);
    let (host, path) = split_url(&callback);
    let mut browser = TcpStream::connect(host).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    browser.write_all(request.as_bytes()).unwrap();
    killed.wait_for_grant("authorization_code");
    killed.kill(client);
    let finished = killed.check();
    assert_eq!(
        failure_kind(&finished, "remote"),
        "signInRequired",
        "{finished:#?}"
    );
}

#[test]
fn a_kill_during_a_tool_call_leaves_no_server() {
    let killed = Killed::new(None);
    let mut client = killed.start();
    client.wait_for("program", "ready");
    let thread = client.request("thread/start", &json!({}));
    let thread = &thread["result"]["thread"]["id"];
    let call = json!({ "threadId": thread, "server": "program", "tool": "any" });
    client.begin("mcpServer/tool/call", &call);
    let called = killed.user.path("called");
    eventually("a call", || called.exists().then_some(()));
    killed.kill(client);
}
