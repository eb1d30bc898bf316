//! A sign-in with a real browser: headless Chromium.

use std::path::PathBuf;

use crate::harness::authorization_server::{AuthorizationServer, installed};
use crate::harness::cases::skip;
use crate::harness::time::eventually;
use crate::session::{failure_kind, login, user_of};

#[test]
fn user_signs_in_with_chromium() {
    let test = "chromium::user_signs_in_with_chromium";
    let Some(auth_server) = AuthorizationServer::start(test) else {
        return;
    };
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let Some(chromium) = programs.find(|program| program.is_file()) else {
        return skip(test, "no Chromium is installed");
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let folder = installed("npm").unwrap();
    let artifacts = std::env::var_os("MCP_STARTUP_ARTIFACTS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../target/test-artifacts"
            ))
        },
        PathBuf::from,
    );
    let screenshot = artifacts.join("sign-in.png");
    let _ = std::fs::remove_file(&screenshot);
    let (output, status) = (user.path("temporary/output"), user.path("temporary/status"));
    let script = format!(
        "{node} {browser} --chromium {chromium} --screenshot {screenshot} \"$1\" >{output} 2>&1\n\
         echo $? >{status}.new && mv {status}.new {status}",
        node = folder.join("bin/node").display(),
        browser = folder.join("npm/browser.mjs").display(),
        chromium = chromium.display(),
        screenshot = screenshot.display(),
        output = output.display(),
        status = status.display(),
    );
    let browser = user.write_script("chromium-with-a-screenshot", &script);
    let finished = login(&user, "linear")
        .env("BROWSER", &browser)
        .finish()
        .assert_exit(0);
    assert_eq!(finished.stdout, "Signed in to linear.\n");
    let status = eventually("the browser is closed", || {
        std::fs::read_to_string(&status).ok()
    });
    let output = std::fs::read_to_string(&output).unwrap();
    assert_eq!(status, "0\n", "{output}");
    assert_eq!(
        output,
        "Signed in\nSigned in\n\nYou are signed in. You can close this page.\n"
    );
    let picture = std::fs::read(&screenshot).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    eprintln!("screenshot of the last page: {}", screenshot.display());
    assert_eq!(failure_kind(&user, "linear"), None);
}
