//! Development tasks of this repository. `cargo xtask --help` lists them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program"
)]

mod codex;
mod generate;
#[cfg(test)]
mod invariants;
mod picture;
#[cfg(test)]
mod promises;
mod versions;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use generate::languages::{kotlin, swift};

/// Development tasks of this repository
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate JSON Schemas, TypeScript, Python and pages of docs/
    ///
    /// The files are derived from the types of crates/core, which are the only definition. They are committed, so that you can
    /// use them without Rust, and a test fails if they are not up to date. The code in docs/guide.md is copied from
    /// crates/engine/tests/guide. Files that are no longer generated are removed.
    Generate {
        /// Write nothing; list the files that are stale, missing or left over, and exit with 1 if there are any
        #[arg(long)]
        check: bool,
    },
    /// Change the version of every package: crates, npm, wheel, jar
    Bump {
        /// The new version, for example 1.2.3
        version: String,
    },
    /// Add a version of Codex from an installed program: its schemas, and notifications that its app-server writes
    ///
    /// Writes schema/codex-VERSION and tests/fixtures/codex-app-server-VERSION.jsonl, and lists the differences from the newest
    /// supported version. The app-server starts servers of the lab. It needs no account. Install a version with
    /// `npm install --prefix FOLDER @openai/codex@VERSION`; its program is FOLDER/node_modules/.bin/codex.
    Codex {
        /// The program of Codex
        program: PathBuf,
        /// The program of this project, whose lab is started
        #[arg(long, default_value = "target/debug/mcp-startup")]
        lab: PathBuf,
    },
    /// Write a picture of terminal output, read from stdin, as SVG for light and for dark pages
    ///
    /// scripts/picture makes the picture in the README with it.
    Picture {
        /// The folder to write NAME.svg and NAME-dark.svg to
        #[arg(long)]
        out: PathBuf,
        /// The name of the picture
        name: String,
    },
    /// Generate the types for a language whose generated sources are not committed
    Types {
        /// The language
        #[arg(long)]
        language: Language,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Language {
    Swift,
    Kotlin,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Generate { check: true } => workspace_root().and_then(|root| check_generated(&root)),
        Task::Generate { check: false } => workspace_root().and_then(|root| write_generated(&root)),
        Task::Bump { version } => workspace_root().and_then(|root| bump(&root, &version)),
        Task::Codex { program, lab } => workspace_root().and_then(|root| {
            print!("{}", codex::add(&root, &program, &lab)?);
            Ok(ExitCode::SUCCESS)
        }),
        Task::Picture { out, name } => write_picture(&out, &name),
        Task::Types { language, out } => write_types(language, &out),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn write_generated(root: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let files = generate::files()?;
    let changes = generate::write(root, &files)?;
    for change in &changes {
        println!("{change}");
    }
    println!("generated {} files, changed {}", files.len(), changes.len());
    Ok(ExitCode::SUCCESS)
}

fn bump(root: &Path, version: &str) -> Result<ExitCode, Box<dyn Error>> {
    for file in versions::bump(root, version)? {
        println!("{version:<9} {file}");
    }
    println!("to update the lock files, run: cargo check, and npm install in bindings/");
    Ok(ExitCode::SUCCESS)
}

fn write_picture(out: &Path, name: &str) -> Result<ExitCode, Box<dyn Error>> {
    let text = std::io::read_to_string(std::io::stdin())?;
    picture::write(out, name, text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn write_types(language: Language, out: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let types = match language {
        Language::Swift => swift::types()?,
        Language::Kotlin => kotlin::types()?,
    };
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Keep the modification time of an unchanged file, so that it does not cause a rebuild.
    if std::fs::read_to_string(out).ok().as_ref() != Some(&types) {
        std::fs::write(out, types)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check_generated(root: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let differences = generate::check(root)?;
    if differences.is_empty() {
        println!("the generated files are up to date");
        return Ok(ExitCode::SUCCESS);
    }
    eprint!("{}", generate::report(&differences));
    Ok(ExitCode::FAILURE)
}

/// Returns the root of the workspace in which Cargo started this program, or of the workspace in which it was built.
fn workspace_root() -> Result<PathBuf, Box<dyn Error>> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package
        .ancestors()
        .nth(2)
        .filter(|root| root.join("crates/xtask/Cargo.toml").is_file())
        .ok_or_else(|| format!("{} is not in this workspace", package.display()))?;
    Ok(root.to_path_buf())
}
