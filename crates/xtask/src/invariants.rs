//! Checks the invariants of `ARCHITECTURE.md` that are about the source code: the dependencies of a crate, and the paths that it never
//! uses.
//!
//! Code of tests does not count: the items with `#[cfg(test)]`, and the files and folders with the name `tests`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use serde_json::Value;

/// The crates that others use, and the crates of the workspace that each one may use.
const FLOORS: [(&str, &[&str]); 12] = {
    const CORE: &str = "mcp-startup-core";
    const CONFIG: &str = "mcp-startup-config";
    const AUTH: &str = "mcp-startup-auth";
    const POSTGRES: &str = "mcp-startup-store-postgres";
    const ENGINE: &str = "mcp-startup";
    const APP_SERVER: &str = "mcp-startup-app-server";
    const CLI: &str = "mcp-startup-cli";
    const LAB: &str = "mcp-startup-lab";
    const HOST: &str = "mcp-startup-host";
    [
        (CORE, &[]),
        (CONFIG, &[CORE]),
        (AUTH, &[CORE]),
        (POSTGRES, &[AUTH, CORE]),
        (ENGINE, &[AUTH, CONFIG, CORE]),
        (APP_SERVER, &[CORE, ENGINE]),
        (LAB, &[]),
        (CLI, &[APP_SERVER, CONFIG, CORE, ENGINE, LAB, POSTGRES]),
        (HOST, &[AUTH, CORE, ENGINE, POSTGRES]),
        // Those of Node and Python carry the program.
        ("mcp-startup-node", &[CLI, CORE, HOST]),
        ("mcp-startup-python", &[CLI, CORE, HOST]),
        ("mcp-startup-uniffi", &[CORE, HOST]),
    ]
};

/// All that core depends on. None of them does I/O, runs tasks or reads a clock, and none is for secrets.
const DEPENDENCIES_OF_CORE: [&str; 8] = [
    "foldhash",
    "hashbrown",
    "memchr",
    "schemars",
    "serde",
    "serde_json",
    "thiserror",
    "ts-rs",
];

const PRINTS: [&str; 7] = [
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
    "io::stdout",
    "io::stderr",
];

/// Folders with sources, the paths that they never use, and exceptions: a path, or a path in a file.
const UNUSED: [(&[&str], &[&str], &[&str]); 6] = [
    // Core does no I/O, starts no task and reads no clock.
    (
        &["crates/core/src"],
        &[
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "std::env",
            "std::os",
            "std::time",
            "io::stdin",
            "async",
        ],
        // The kind of a file whose metadata the caller has read.
        &[
            "std::fs::FileType",
            "std::os::unix::fs::FileTypeExt",
            "std::time::Duration",
        ],
    ),
    // Config accesses no network, starts nothing and writes nothing.
    (
        &["crates/config/src"],
        &[
            "std::net",
            "std::process",
            "tokio",
            "async",
            "OpenOptions",
            "File::create",
            "File::create_new",
            "File::options",
            "fs::write",
            "fs::copy",
            "fs::rename",
            "fs::hard_link",
            "fs::create_dir",
            "fs::create_dir_all",
            "fs::remove_file",
            "fs::remove_dir",
            "fs::remove_dir_all",
            "fs::set_permissions",
        ],
        &[],
    ),
    // Auth knows no MCP transport and no configuration format. The SDK has its OAuth client in the module `transport`.
    (
        &["crates/auth/src"],
        &[
            "rmcp::transport",
            "rmcp::service",
            "rmcp::model",
            "toml_edit",
            "granit_parser",
        ],
        &["rmcp::transport::auth"],
    ),
    // The engine judges nothing: it passes on the kinds that `judge` returns.
    (
        &["crates/engine/src"],
        &["StartupFailureKind"],
        &["mcp_startup_core::StartupFailureKind"],
    ),
    // The SDK's transport never sees a credential: it is created only from the URL, and a header that it passes on is ignored.
    (
        &["crates/engine/src"],
        &[
            "StreamableHttpClientTransportConfig",
            "auth_header",
            "custom_headers",
        ],
        &[
            "rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig",
            "StreamableHttpClientTransportConfig::with_uri",
            "crates/engine/src/transport/http/sdk_client.rs: auth_header",
            // The transport adds the headers of the protocol to a request.
            "crates/engine/src/transport/http/sdk_client.rs: custom_headers",
            "crates/engine/src/transport/http.rs: custom_headers",
        ],
    ),
    // Only core decides what a refused refresh means.
    (
        &["crates/auth/src", "crates/engine/src", "bindings/host/src"],
        &["\"invalid_grant\"", "\"unauthorized_client\""],
        // The list of the registered error codes.
        &[
            "crates/auth/src/oauth/sign_in/error.rs: \"invalid_grant\"",
            "crates/auth/src/oauth/sign_in/error.rs: \"unauthorized_client\"",
        ],
    ),
];

/// The sources of the crates that print nothing.
const SILENT: [&str; 10] = [
    "crates/core/src",
    "crates/config/src",
    "crates/auth/src",
    "crates/store-postgres/src",
    "crates/engine/src",
    "crates/app-server/src",
    "bindings/host/src",
    "bindings/node/src",
    "bindings/python/src",
    "bindings/uniffi/src",
];

/// The paths, macros and literals of a text, without the code of its tests. A path in braces of a `use` is complete.
fn words(tokens: TokenStream, prefix: &str, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut path = String::new();
    // Whether the path ends with this number of colons.
    let mut colons = 0;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    end(&mut path, found);
                    path.push_str(prefix);
                }
                path.push_str(&name.to_string());
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() && colons < 2 => {
                colons += 1;
                if colons == 2 {
                    path.push_str("::");
                }
            }
            TokenTree::Punct(mark) => {
                if mark.as_char() == '!' && colons == 0 && !path.is_empty() {
                    path.push('!');
                }
                end(&mut path, found);
                colons = 0;
                let is_of_tests = |group: &Group| {
                    let text = group.stream().to_string().replace(' ', "");
                    text.starts_with("cfg(") && text.contains("test") && !text.contains("not(test")
                };
                if mark.as_char() == '#'
                    && let Some(TokenTree::Group(group)) = tokens.peek()
                    && is_of_tests(group)
                {
                    // The item that follows.
                    tokens.find(|token| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(mark) => mark.as_char() == ';',
                        _ => false,
                    });
                }
            }
            TokenTree::Group(group) => {
                let prefix = if colons == 2 { &*path } else { "" };
                words(group.stream(), prefix, found);
                if colons != 2 {
                    end(&mut path, found);
                }
                path.clear();
                colons = 0;
            }
            TokenTree::Literal(literal) => {
                end(&mut path, found);
                found.push(literal.to_string());
                colons = 0;
            }
        }
    }
    end(&mut path, found);
}

fn end(path: &mut String, found: &mut Vec<String>) {
    let path = std::mem::take(path);
    let path = path.trim_end_matches("::").trim_end_matches("::self");
    if !path.is_empty() {
        found.push(path.to_owned());
    }
}

/// The words of a text in Rust.
fn words_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    words(text.parse().unwrap(), "", &mut found);
    found
}

/// The files with sources in a folder, without those of tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The uses of `unused` in the sources of a folder, as `FILE: PATH`.
fn uses(root: &Path, folder: &str, unused: &[&str], exceptions: &[&str]) -> Vec<String> {
    let mut files = Vec::new();
    sources(&root.join(folder), &mut files).unwrap();
    assert!(!files.is_empty(), "{folder}");
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let file = file.strip_prefix(root).unwrap().to_string_lossy();
        let file = file.replace('\\', "/");
        for word in words_of(&text) {
            // Not within a literal, such as the text of documentation.
            let is_part = |part: &&str| {
                word == **part
                    || (!word.contains('"')
                        && format!("::{word}::").contains(&format!("::{part}::")))
            };
            let use_of_it = format!("{file}: {word}");
            let is_exception = |exception: &&str| {
                use_of_it == **exception
                    || word == **exception
                    || word.starts_with(&format!("{exception}::"))
            };
            if unused.iter().any(is_part) && !exceptions.iter().any(is_exception) {
                found.push(use_of_it);
            }
        }
    }
    found
}

/// The packages of the workspace, as `cargo metadata` describes them.
fn packages(root: &Path) -> Vec<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("{other}"),
    }
}

/// The dependencies of a package that are not only for its tests.
fn dependencies<'a>(packages: &'a [Value], name: &str) -> Vec<&'a str> {
    let package = packages.iter().find(|package| package["name"] == name);
    let package = package.unwrap_or_else(|| panic!("there is no package {name}"));
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_crate_uses_only_what_is_below_it() {
    let packages = packages(&crate::workspace_root().unwrap());
    let is_own = |name: &str| packages.iter().any(|package| package["name"] == name);
    for (name, allowed) in FLOORS {
        let used = dependencies(&packages, name).into_iter();
        let not_allowed = used.filter(|used| is_own(used) && !allowed.contains(used));
        assert_eq!(not_allowed.collect::<Vec<_>>(), [""; 0], "{name}");
    }
    let used = dependencies(&packages, FLOORS[0].0).into_iter();
    let others = used.filter(|used| !DEPENDENCIES_OF_CORE.contains(used));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "core");
}

#[test]
fn no_crate_uses_what_its_invariants_exclude() {
    let root = crate::workspace_root().unwrap();
    for (folders, unused, exceptions) in UNUSED {
        for folder in folders {
            let found = uses(&root, folder, unused, exceptions);
            assert_eq!(found, [""; 0], "{folder}");
        }
    }
}

#[test]
fn only_the_program_prints() {
    let root = crate::workspace_root().unwrap();
    for folder in SILENT {
        assert_eq!(uses(&root, folder, &PRINTS, &[]), [""; 0], "{folder}");
    }
    assert!(!uses(&root, "crates/cli/src", &PRINTS, &[]).is_empty());
}

/// The fields are private and no data is read into them, so the module has the only functions that create a value.
#[test]
fn failures_and_notifications_are_created_only_by_their_module() {
    let root = crate::workspace_root().unwrap();
    for (file, name) in [
        ("verdict", "StartupFailure"),
        ("notification", "McpServerStatusUpdatedNotification"),
    ] {
        let file = root.join(format!("crates/core/src/{file}.rs"));
        let file = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let item = file.items.iter().find_map(|item| match item {
            syn::Item::Struct(item) if item.ident == name => Some(item),
            _ => None,
        });
        let item = item.unwrap_or_else(|| panic!("there is no {name}"));
        let is_private = |field: &syn::Field| matches!(field.vis, syn::Visibility::Inherited);
        assert!(item.fields.iter().all(is_private), "{name}");
        let attributes = item
            .attrs
            .iter()
            .filter_map(|it| it.meta.require_list().ok());
        let mut words_of_attributes = attributes.flat_map(|it| words_of(&it.tokens.to_string()));
        assert!(!words_of_attributes.any(|word| word == "Deserialize" || word == "Default"));
    }
}

#[test]
fn the_words_of_a_text_are_complete_paths_without_tests() {
    let text = r#"
        use std::{fs::{self, File}, io::{stdout as out}, time::Duration};
        /// std::net
        fn main() -> io::Result<()> {
            let size: u8 = f(std::env::args(), "text");
            println!("{}", a != b);
            async { File::open(size)?.len() }
        }
        #[cfg(not(test))]
        use a::one;
        #[cfg(test)]
        use std::process::Command;
        #[cfg(all(test, unix))]
        mod tests { use std::thread; }
        use a::two;
    "#;
    let words = words_of(text);
    for expected in [
        "std::fs",
        "std::fs::File",
        "std::io::stdout",
        "std::time::Duration",
        "std::env::args",
        "\"text\"",
        "println!",
        "async",
        "File::open",
        "a::one",
        "a::two",
    ] {
        assert!(
            words.iter().any(|word| word == expected),
            "{expected}: {words:?}"
        );
    }
    let text = words.join(" ");
    for excluded in ["std::net", "std::process", "std::thread"] {
        let is_word = words.iter().any(|word| word.starts_with(excluded));
        assert!(!is_word, "{excluded}: {text}");
    }
}
