//! An empty or relative element of `PATH` is not searched for the program of a server, here or by the server's own interpreter.

use crate::harness::cases::for_each_case;
use crate::harness::configuration::{entry, quoted};
use crate::harness::user::User;

/// Values of `PATH`. `{bin}` is an absolute folder without the program.
const PATHS: [&str; 9] = [
    "",
    ".",
    "..:.",
    "relative",
    "./relative",
    ":{bin}",
    "{bin}:",
    "{bin}::{bin}",
    "relative:{bin}",
];

/// A user whose current folder has the program in every relative folder of [`PATHS`]. The program creates `temporary/ran`.
fn user() -> User {
    let user = User::new();
    for folder in ["here/relative", "bin"] {
        std::fs::create_dir(user.path(folder)).unwrap();
    }
    let script = format!("echo \"$0\" >{}", user.path("temporary/ran").display());
    for path in ["here/prog", "here/relative/prog", "prog"] {
        user.write_script(path, &script);
    }
    user
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Process,
    Entry,
}

#[test]
fn program_is_not_searched_for_in_relative_folders() {
    let cases: Vec<_> = PATHS
        .iter()
        .flat_map(|path| [(*path, Place::Process), (*path, Place::Entry)])
        .collect();
    for_each_case(&cases, |(path, place)| {
        let user = user();
        let path = path.replace("{bin}", user.path("bin").to_str().unwrap());
        let mut body = "command = \"prog\"".to_owned();
        if let Place::Entry = place {
            body += &format!("\nenv = {{ PATH = {} }}", quoted(&path));
        }
        user.write("home/.codex/config.toml", entry("server", &body));
        let check = user.check("json");
        let check = match place {
            Place::Process => check.env("PATH", &path),
            Place::Entry => check,
        };
        let finished = check.finish().assert_exit(1);
        let failure = &finished.server("server")["failure"];
        assert_eq!(failure["kind"], "programNotFound", "{path:?} {place:?}");
        // Only the folders that were searched.
        let searched = failure["evidence"]["process"]["path"].as_str().unwrap();
        let is_absolute = |folder: &str| folder.starts_with('/');
        assert!(
            searched.is_empty() || searched.split(':').all(is_absolute),
            "{searched}"
        );
        assert!(!user.path("temporary/ran").exists(), "{path:?} {place:?}");
    });
}

/// `#!/usr/bin/env` and the server itself search the `PATH` that they get.
#[test]
fn server_gets_a_path_without_relative_folders() {
    for_each_case(&PATHS, |path| {
        let user = user();
        let path = path.replace("{bin}", user.path("bin").to_str().unwrap());
        let scripts = [
            user.write("env", "#!/usr/bin/env prog\n"),
            user.write("shell", "#!/bin/sh\nprog\n"),
        ];
        let mut config = String::new();
        for script in scripts {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
            let command = quoted(script.to_str().unwrap());
            let body = format!("command = {command}\nenv = {{ PATH = {} }}", quoted(&path));
            let name = script.file_name().unwrap().to_str().unwrap();
            config += &entry(name, &body);
        }
        user.write("home/.codex/config.toml", config);
        let finished = user.check("json").finish().assert_exit(1);
        for name in ["env", "shell"] {
            let failure = &finished.server(name)["failure"];
            assert_eq!(failure["evidence"]["process"]["exit"], 127, "{failure:#}");
        }
        assert!(!user.path("temporary/ran").exists(), "{path:?}");
    });
}

#[test]
fn program_is_found_after_relative_folders() {
    let user = user();
    let found = format!("echo \"$0\" >{}", user.path("temporary/found").display());
    let found = user.write_script("bin/prog", &found);
    let path = format!("::.:relative:{}", user.path("bin").display());
    user.write(
        "home/.codex/config.toml",
        entry("server", "command = \"prog\""),
    );
    user.check("json").env("PATH", path).finish().assert_exit(1);
    let ran = std::fs::read_to_string(user.path("temporary/found")).unwrap();
    assert_eq!(ran.trim_end(), found.to_str().unwrap());
    assert!(!user.path("temporary/ran").exists());
}
