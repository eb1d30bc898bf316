//! Chores of this repository: `cargo xtask --help`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers: printing is its job"
)]

mod documentation;
mod examples;
mod failures_page;
mod field_order;
mod generate;
mod guide;
mod markdown;
mod protocol_page;
mod python;
mod schemas;
mod typescript;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Writes what is derived from the types: JSON Schemas, TypeScript, Python, docs/protocol.md, docs/failures.md; and the code in
    /// docs/guide.md, from the files where it is tested
    ///
    /// The types of crates/core are the only definition. What is written here is committed, so that nobody needs Rust to
    /// use it, and a test fails when it no longer fits the types. Files that are no longer generated are removed.
    Generate {
        /// Write nothing; name each file that is stale, missing or left over, and exit with 1 if there is any
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let Chore::Generate { check } = Arguments::parse().chore;
    let done = workspace_root().and_then(|root| match check {
        true => check_generated(&root),
        false => write_generated(&root),
    });
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
    println!(
        "{} files are generated, {} changed",
        files.len(),
        changes.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn check_generated(root: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let differences = generate::check(root)?;
    if differences.is_empty() {
        println!("what is generated is fresh");
        return Ok(ExitCode::SUCCESS);
    }
    eprint!("{}", generate::report(&differences));
    Ok(ExitCode::FAILURE)
}

/// The root of the workspace that this program was started in by Cargo, else of the one that it was built in.
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
