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
mod kotlin;
mod markdown;
mod model;
mod protocol_page;
mod python;
mod schemas;
mod swift;
mod typescript;
mod versions;

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
    /// Gives every package another version: crates, npm, wheel, jar
    Bump {
        /// The version, such as 1.2.3
        version: String,
    },
    /// Writes the types of the contract and of the verdict for a language whose generated sources are not committed
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
    let done = match Arguments::parse().chore {
        Chore::Generate { check: true } => workspace_root().and_then(|root| check_generated(&root)),
        Chore::Generate { check: false } => {
            workspace_root().and_then(|root| write_generated(&root))
        }
        Chore::Bump { version } => workspace_root().and_then(|root| bump(&root, &version)),
        Chore::Types { language, out } => write_types(language, &out),
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
    println!(
        "{} files are generated, {} changed",
        files.len(),
        changes.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn bump(root: &Path, version: &str) -> Result<ExitCode, Box<dyn Error>> {
    for file in versions::bump(root, version)? {
        println!("{version:<9} {file}");
    }
    println!("the lock files follow: cargo check, and npm install in bindings/");
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
    // A file that is the same stays as old as it is, and nothing is built again for it.
    if std::fs::read_to_string(out).ok().as_ref() != Some(&types) {
        std::fs::write(out, types)?;
    }
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
