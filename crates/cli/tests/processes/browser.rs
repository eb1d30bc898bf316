//! `login` opens a browser without running a program from the current folder.

use mcp_startup_lab::Lab;

use crate::harness::cases::for_each_case;
use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::lab;
use crate::harness::run::Run;
use crate::harness::time::eventually;
use crate::harness::user::User;

/// A user who can sign in, with a script at every relative place that a browser is searched in. It creates `temporary/ran`.
fn user(lab: &Lab) -> User {
    let config = entry("server", &url(&lab.url("first-sign-in")));
    let user = User::with(&format!("{FILE_STORE}{config}"));
    for folder in ["bin", "here/relative", "here/applications"] {
        std::fs::create_dir(user.path(folder)).unwrap();
    }
    let script = format!("echo \"$0\" >{}", user.path("temporary/ran").display());
    for folder in ["here", "here/relative"] {
        for program in ["xdg-settings", "xdg-open", "x-www-browser", "own-browser"] {
            user.write_script(&format!("{folder}/{program}"), &script);
        }
    }
    let program = user.path("here/own-browser");
    let desktop = format!("[Desktop Entry]\nExec={}\n", program.display());
    user.write("here/applications/own.desktop", desktop);
    user
}

fn login(user: &User) -> Run {
    user.program(&["login", "server", "--timeout", "2"])
}

fn bin(user: &User) -> String {
    user.path("bin").to_str().unwrap().to_owned()
}

#[test]
fn browser_is_not_searched_for_in_relative_folders() {
    let lab = lab();
    for path in ["", ".", "relative", "{bin}:", ":{bin}", ".:{bin}"] {
        let user = user(&lab);
        let path = path.replace("{bin}", &bin(&user));
        for browser in [None, Some("own-browser")] {
            let mut run = login(&user).env("PATH", &path);
            if let Some(browser) = browser {
                run = run.env("BROWSER", browser);
            }
            let finished = run.finish().assert_exit(1);
            assert!(
                finished.stderr.contains("No browser could be opened"),
                "{finished:#?}"
            );
            assert!(!user.path("temporary/ran").exists(), "{path:?} {browser:?}");
        }
    }
}

/// The description of the default browser contains a command.
#[test]
fn description_of_the_browser_is_not_read_from_a_relative_folder() {
    let lab = lab();
    for (variable, value) in [
        ("XDG_DATA_DIRS", ""),
        ("XDG_DATA_DIRS", "."),
        ("XDG_DATA_DIRS", "/nonexistent:"),
        ("XDG_DATA_HOME", "."),
    ] {
        let user = user(&lab);
        user.write_script("bin/xdg-settings", "echo own.desktop");
        let run = login(&user).env("PATH", bin(&user)).env(variable, value);
        run.finish().assert_exit(1);
        assert!(!user.path("temporary/ran").exists(), "{variable}={value:?}");
    }
}

#[test]
fn browser_is_found_after_relative_folders() {
    let lab = lab();
    let user = user(&lab);
    let opened = user.path("temporary/opened");
    let script = format!("echo \"$1\" >{0}.new; mv {0}.new {0}", opened.display());
    user.write_script("bin/own-browser", &script);
    let path = format!(".:relative:{}:/usr/bin:/bin", bin(&user));
    let run = login(&user).env("PATH", path).env("BROWSER", "own-browser");
    let finished = run.finish().assert_exit(1);
    assert!(
        !finished.stderr.contains("No browser could be opened"),
        "{finished:#?}"
    );
    let url = eventually("the browser is opened", || {
        std::fs::read_to_string(&opened).ok()
    });
    assert!(finished.stderr.contains(url.trim_end()), "{url}");
    assert!(!user.path("temporary/ran").exists());
}

#[test]
fn program_that_fails_to_open_the_browser_is_noticed() {
    let lab = lab();
    for_each_case(&["exit 3", "kill -9 $$"], |script| {
        let user = user(&lab);
        user.write_script("bin/xdg-open", script);
        // The program is noticed before this time limit even on a busy machine.
        let finished = user
            .program(&["login", "server", "--timeout", "8"])
            .env("PATH", format!("{}:/usr/bin:/bin", bin(&user)))
            .env("BROWSER", "/nonexistent/browser")
            .finish()
            .assert_exit(1);
        assert!(
            finished.stderr.contains("No browser could be opened"),
            "{script}: {finished:#?}"
        );
    });
}
