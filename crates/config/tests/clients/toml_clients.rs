//! The clients whose files are TOML, other than Codex: Grok Build and Mistral Vibe.

use mcp_startup_config::clients::{Client, System};

use crate::fake_machine::{FakeMachine, shown};
use crate::server_details::details;

const SHOP: &str = "/home/sam/work/shop";
const GROK: &str = "/home/sam/.grok/config.toml";
const VIBE: &str = "/home/sam/.vibe/config.toml";

fn with_variables(variables: &[(&str, &str)]) -> FakeMachine {
    let home = [("HOME", "/home/sam")];
    FakeMachine::new(System::Linux, &[&home, variables].concat())
}

#[test]
fn the_samples_are_read() {
    let machine = FakeMachine::linux()
        .with_sample(GROK, "grok-build/config.toml")
        .with_sample(VIBE, "mistral-vibe/config.toml");
    let grok = machine.files_of(Client::GrokBuild, SHOP);
    assert_eq!(
        shown(&grok),
        "user /home/sam/.grok/config.toml (toml)\n  docs http\n  tool stdio\n"
    );
    assert_eq!(
        details(&grok, "docs"),
        "https://docs.example.com/mcp (or SSE)"
    );
    assert_eq!(details(&grok, "tool"), "tool-mcp");
    let vibe = machine.files_of(Client::MistralVibe, SHOP);
    assert_eq!(
        shown(&vibe),
        "user /home/sam/.vibe/config.toml (toml)\n  docs http\n  tool stdio\n"
    );
    assert_eq!(
        details(&vibe, "docs"),
        "https://docs.example.com/mcp (no SSE)"
    );
    assert_eq!(details(&vibe, "tool"), "tool-mcp");
}

#[test]
fn a_variable_moves_the_files() {
    let text = "mcp_servers = 1\n";
    for (client, variable, folder) in [
        (Client::GrokBuild, "GROK_HOME", ".grok"),
        (Client::MistralVibe, "VIBE_HOME", ".vibe"),
    ] {
        let default = format!("/home/sam/{folder}/config.toml");
        let machine = FakeMachine::linux().with(&default, text);
        assert!(shown(&machine.files_of(client, SHOP)).starts_with(&format!("user {default}")));
        let machine = with_variables(&[(variable, "/moved")])
            .with(&default, text)
            .with("/moved/config.toml", "");
        assert_eq!(
            shown(&machine.files_of(client, SHOP)),
            "user /moved/config.toml (toml)\n"
        );
        let machine = FakeMachine::new(System::Windows, &[("USERPROFILE", "C:\\Users\\sam")])
            .with(&format!("C:/Users/sam/{folder}/config.toml"), "");
        assert_eq!(
            shown(&machine.files_of(client, "C:\\work")),
            format!("user C:/Users/sam/{folder}/config.toml (toml)\n")
        );
    }
}

#[test]
fn grok_build_replaces_variables_and_projects_win() {
    let machine = with_variables(&[("TOKEN", "t")])
        .with(&format!("{SHOP}/.git/HEAD"), "")
        .with(
            GROK,
            "[mcp_servers.api]\nurl = \"https://a.example.com/mcp\"\nheaders = { Authorization = \"Bearer ${TOKEN}\" }\nstartup_timeout_sec = 20\ntool_timeouts = { x = 1 }\n\
             [mcp_servers.run]\ncommand = \"run\"\nargs = [\"${MISSING:-x}\"]\nenv = { A = \"${TOKEN}\" }\nenabled = false\n\
             [mcp_servers.session]\nurl = \"https://a.example.com/mcp\"\nheaders = { x-mcp-session-id = \"{{session_id}}\" }\n\
             [mcp_servers.empty]\nargs = []\n\
             [mcp_servers.number]\ncommand = \"run\"\nenv = { PORT = 1 }\n",
        )
        .with(
            &format!("{SHOP}/.grok/config.toml"),
            "[mcp_servers.api]\nurl = \"https://b.example.com/mcp\"\n",
        );
    let files = machine.files_of(Client::GrokBuild, &format!("{SHOP}/src"));
    assert_eq!(
        shown(&files),
        "user /home/sam/.grok/config.toml (toml)\n\
         \x20 api http\n\
         \x20 run stdio off\n\
         \x20 session http | not checked: needs a value that only Grok Build knows: `{{session_id}}`\n\
         \x20 empty unknown | mcp_servers.empty (line 14): the entry has neither `command` nor `url`; add `command` for a program or `url` for an HTTP server\n\
         \x20 number stdio | mcp_servers.number.env.PORT (line 18): must be a string, not a number; write quotation marks around it\n\
         project /home/sam/work/shop/.grok/config.toml (toml)\n\
         \x20 api http\n"
    );
    assert_eq!(
        details(&files, "api"),
        "https://a.example.com/mcp (or SSE); Authorization: Bearer t; 20s"
    );
    assert_eq!(details(&files, "run"), "run \"x\"; A=t");
}

#[test]
fn vibe_servers_are_read_as_vibe_does() {
    let machine = with_variables(&[("TOKEN", "environment"), ("OTHER", "o")])
        .with("/home/sam/.vibe/.env", "TOKEN='file'\n")
        .with(
            VIBE,
            r#"
[[mcp_servers]]
name = "my server!"
transport = "stdio"
command = "uvx 'a b' --flag"
args = ["x"]
cwd = "/srv"
startup_timeout_sec = 2.5
env = { A = "${TOKEN}" }

[[mcp_servers]]
name = "list"
transport = "stdio"
command = ["npx", "-y", "list"]
disabled = true

[[mcp_servers]]
name = "old-keys"
transport = "http"
url = "https://a.example.com/mcp"
headers = { X-Team = "core" }
api_key_env = "TOKEN"

[[mcp_servers]]
name = "auth"
transport = "streamable-http"
url = "https://b.example.com/mcp"
[mcp_servers.auth]
type = "static"
headers = { X-Team = "core" }
api_key_env = "OTHER"
api_key_header = "X-Key"
api_key_format = "Key {token}"

[[mcp_servers]]
name = "oauth"
transport = "streamable-http"
url = "https://c.example.com/mcp"
[mcp_servers.auth]
type = "oauth"
scopes = ["read"]
client_id = "app"
redirect_port = 5000
"#,
        );
    let files = machine.files_of(Client::MistralVibe, SHOP);
    assert_eq!(
        shown(&files),
        "user /home/sam/.vibe/config.toml (toml)\n\
         \x20 my_server stdio\n\
         \x20   possible cause: mcp_servers[0].env.A (line 9): Mistral Vibe does not replace `TOKEN` in braces here and passes it on as written; write the value\n\
         \x20 list stdio off\n\
         \x20 old-keys http\n\
         \x20 auth http\n\
         \x20 oauth http\n"
    );
    assert_eq!(
        details(&files, "my_server"),
        "uvx \"a b\" \"--flag\" \"x\"; A=${TOKEN}; in /srv; 2.5s"
    );
    assert_eq!(details(&files, "list"), "npx \"-y\" \"list\"");
    assert_eq!(
        details(&files, "old-keys"),
        "https://a.example.com/mcp (no SSE); X-Team: core; Authorization: Bearer file"
    );
    assert_eq!(
        details(&files, "auth"),
        "https://b.example.com/mcp (no SSE); X-Team: core; X-Key: Key o"
    );
    let oauth = files[0].servers[4].entry.config.as_ref().expect("valid");
    assert_eq!(oauth.oauth.client_id.as_deref(), Some("app"));
    assert_eq!(oauth.oauth.callback_port, Some(5000));
    assert_eq!(oauth.scopes, Some(vec!["read".to_owned()]));
}

#[test]
fn vibe_refuses_entries() {
    let machine = FakeMachine::linux().with(
        VIBE,
        r#"
[[mcp_servers]]
transport = "stdio"
command = "run"

[[mcp_servers]]
name = "--"
transport = "stdio"
command = "run"

[[mcp_servers]]
name = "untyped"
url = "https://a.example.com/mcp"

[[mcp_servers]]
name = "sse"
transport = "sse"
url = "https://a.example.com/mcp"

[[mcp_servers]]
name = "quote"
transport = "stdio"
command = "run 'x"

[[mcp_servers]]
name = "token"
transport = "http"
url = "https://a.example.com/mcp"
api_key_env = "GONE"

[[mcp_servers]]
name = "twice"
transport = "stdio"
command = "a"

[[mcp_servers]]
name = "twice"
transport = "stdio"
command = "b"
"#,
    );
    assert_eq!(
        shown(&machine.files_of(Client::MistralVibe, SHOP)),
        "user /home/sam/.vibe/config.toml (toml)\n\
         \x20 mcp_servers[0] unknown | mcp_servers[0] (line 2): Mistral Vibe needs a `name` with letters or digits; write it\n\
         \x20 -- unknown | mcp_servers[1] (line 6): Mistral Vibe needs a `name` with letters or digits; write it\n\
         \x20 untyped unknown | mcp_servers[2] (line 11): Mistral Vibe refuses a server that has no `transport`; write `transport = \"stdio\"` or `transport = \"streamable-http\"`\n\
         \x20 sse unknown | mcp_servers[3].transport (line 17): Mistral Vibe does not know the transport `sse`; use `stdio`, `http`, `streamable-http`\n\
         \x20 quote unknown | mcp_servers[4].command (line 23): a quotation mark is not closed, or a backslash is the last character; correct it\n\
         \x20 token http | mcp_servers[5].api_key_env (line 29): the environment variable GONE is not set; set it\n\
         \x20 twice stdio\n\
         \x20 twice stdio | not checked: an earlier server of the list has the same name; rename one of them\n"
    );
    let machine = FakeMachine::linux().with(VIBE, "[mcp_servers.a]\ncommand = \"a\"\n");
    let text = shown(&machine.files_of(Client::MistralVibe, SHOP));
    assert!(
        text.contains(
            "`mcp_servers` must be a list with one item for each server, which has a `name`"
        ),
        "{text}"
    );
}

#[test]
fn vibe_uses_the_nearest_file_of_a_trusted_project() {
    let server = |name: &str| {
        format!("[[mcp_servers]]\nname = \"{name}\"\ntransport = \"stdio\"\ncommand = \"{name}\"\n")
    };
    let machine = || {
        FakeMachine::linux()
            .with(&format!("{SHOP}/.git/HEAD"), "")
            .with(VIBE, server("user"))
            .with(&format!("{SHOP}/.vibe/config.toml"), server("root"))
            .with(&format!("{SHOP}/a/.vibe/config.toml"), server("near"))
    };
    let trust = |text: &str| {
        let machine = machine().with("/home/sam/.vibe/trusted_folders.toml", text);
        let files = machine.files_of(Client::MistralVibe, &format!("{SHOP}/a/b"));
        assert_eq!(files.len(), 2);
        assert_eq!(files[1].servers[0].entry.name, "near");
        files[1].approved
    };
    assert_eq!(trust(""), Some(false));
    assert_eq!(trust("not valid"), Some(false));
    assert_eq!(trust("trusted = [\"/home/sam/work\"]\n"), Some(true));
    assert_eq!(
        trust("trusted = [\"/home/sam/work\"]\nuntrusted = [\"/home/sam/work/shop/a\"]\n"),
        Some(false)
    );
    let files = machine().files_of(Client::MistralVibe, "/home/sam");
    assert_eq!(
        shown(&files),
        "user /home/sam/.vibe/config.toml (toml)\n  user stdio\n"
    );
}
