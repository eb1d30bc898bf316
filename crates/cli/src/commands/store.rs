//! `mcp-startup store`: the tables, the keys and the records of a database with the sign-ins of many users.

use std::io::Write;

use mcp_startup::auth::{
    CredentialKey, CredentialStores, DEFAULT_LOCK_LIMIT, FileStore, StoreError,
};
use mcp_startup::config::{CredentialSettings, ProcessEnvironment};
use mcp_startup::printable;
use mcp_startup_store_postgres::Statistics;

use crate::CommandError;
use crate::arguments::StatusFormat;
use crate::arguments::store::{Copy, Store};
use crate::documents::StoreReport;
use crate::interruption::until_interrupted;
use crate::output::exit_status::ExitStatus;
use crate::output::report;
use crate::stores::postgres::{Connection, builder, connect};

const NAME_CHARS: usize = 60;

pub fn run(arguments: Store) -> Result<ExitStatus, CommandError> {
    let runtime = crate::runtime()?;
    let done = until_interrupted(runtime, async {
        match arguments {
            Store::Migrate { database } => {
                let postgres = builder(&database)?.without_keys().connect().await?;
                let version = postgres.statistics().await?.schema_version;
                writeln!(std::io::stdout(), "The tables have version {version}.")?;
                Ok(ExitStatus::AllReady)
            }
            Store::Rotate { database } => {
                let rotation = connect(&database).await?.rotate().await?;
                writeln!(
                    std::io::stdout(),
                    "Encrypted {} with the first key.",
                    records(rotation.rotated)
                )?;
                let Some(error) = rotation.first_error else {
                    return Ok(ExitStatus::AllReady);
                };
                let failed = records(rotation.failed);
                let _ = writeln!(
                    crate::output::stderr::styled(),
                    "{failed} can't be decrypted and did not change; the first one: {}",
                    error.detail
                );
                Ok(ExitStatus::Failed)
            }
            Store::Stats { database, format } => {
                let postgres = builder(&database)?.without_keys().connect().await?;
                print(&postgres.statistics().await?, format)?;
                Ok(ExitStatus::AllReady)
            }
            Store::Import(copy) => {
                let connection = Connection::open(&copy.user).await?;
                let (file, files) = codex_file(&copy)?;
                let copied =
                    copy_all(file.keys().await?, &files, &connection.stores(), &copy).await;
                connection.postgres.close().await;
                copied
            }
            Store::Export(copy) => {
                let connection = Connection::open(&copy.user).await?;
                let (_, files) = codex_file(&copy)?;
                let keys = connection.user.keys().await?;
                let copied = copy_all(keys, &connection.stores(), &files, &copy).await;
                connection.postgres.close().await;
                copied
            }
        }
    });
    done?.unwrap_or(Ok(ExitStatus::Interrupted))
}

fn records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    }
}

fn print(statistics: &Statistics, format: StatusFormat) -> std::io::Result<()> {
    let Statistics {
        schema_version,
        users,
        records_by_key,
        locks,
        open_attempts,
    } = statistics;
    if format == StatusFormat::Json {
        return report::print(&StoreReport {
            schema_version: *schema_version,
            users: *users,
            records_by_key: records_by_key.iter().cloned().collect(),
            locks: *locks,
            open_attempts: *open_attempts,
        });
    }
    let by_key = records_by_key
        .iter()
        .map(|(key, count)| format!("{count} with the key {key}"));
    let by_key = by_key.collect::<Vec<_>>().join(", ");
    let mut stdout = std::io::stdout();
    for (what, count) in [
        ("version of the tables", schema_version.to_string()),
        ("users", users.to_string()),
        (
            "records",
            if by_key.is_empty() {
                "0".to_owned()
            } else {
                by_key
            },
        ),
        ("locks that are held", locks.to_string()),
        (
            "refreshes without a known outcome",
            open_attempts.to_string(),
        ),
    ] {
        writeln!(stdout, "{what:34} {count}")?;
    }
    Ok(())
}

fn codex_file(copy: &Copy) -> Result<(FileStore, CredentialStores), CommandError> {
    let home = match &copy.codex_home {
        Some(home) => home.clone(),
        None => CredentialSettings::in_codex_file(&ProcessEnvironment).home,
    };
    if home.as_os_str().is_empty() {
        let problem = "the folder of Codex is not known; pass `--codex-home FOLDER`";
        return Err(CommandError::Usage(problem.to_owned()));
    }
    let file = FileStore::new(home);
    let stores = CredentialStores::from_store(std::sync::Arc::new(file.clone()));
    Ok((file, stores))
}

/// The result of the copy of one record.
enum Copied {
    Written,
    /// The source no longer has it.
    Gone,
    /// The target has the same tokens.
    Same,
    /// The target has another sign-in for this server.
    Kept,
}

async fn copy_all(
    keys: Vec<CredentialKey>,
    from: &CredentialStores,
    to: &CredentialStores,
    copy: &Copy,
) -> Result<ExitStatus, CommandError> {
    let (mut stdout, mut stderr) = (std::io::stdout(), crate::output::stderr::styled());
    let (mut status, mut is_shared) = (ExitStatus::AllReady, false);
    for key in keys {
        let name = printable(key.server(), NAME_CHARS);
        match copy_one(&key, from, to, copy).await {
            Ok(Copied::Written) => {
                is_shared |= !copy.is_move;
                let done = if copy.is_move { "moved" } else { "copied" };
                writeln!(stdout, "{done}: {name}")?;
            }
            Ok(Copied::Gone) => {}
            Ok(Copied::Same) => writeln!(stdout, "unchanged: {name}")?,
            Ok(Copied::Kept) => {
                writeln!(
                    stdout,
                    "kept: {name} has another sign-in there; to replace it, pass `--replace`"
                )?;
            }
            Err(error) => {
                status = ExitStatus::Failed;
                let _ = writeln!(
                    stderr,
                    "failed: {name}: {}",
                    printable(&error.to_string(), usize::MAX)
                );
            }
        }
    }
    if is_shared {
        let _ = writeln!(
            stderr,
            "Both places now have the same sign-ins. Use only one of them: if two programs refresh the same token, most sign-in services \
             sign the user out. With `--move`, the sign-ins are removed from the first place."
        );
    }
    Ok(status)
}

/// Copies a record under both locks, so that no refresh changes it meanwhile.
async fn copy_one(
    key: &CredentialKey,
    from: &CredentialStores,
    to: &CredentialStores,
    copy: &Copy,
) -> Result<Copied, StoreError> {
    let source = from.lock(key, DEFAULT_LOCK_LIMIT).await?;
    let Some(found) = source.find().await? else {
        return Ok(Copied::Gone);
    };
    let target = to.lock(key, DEFAULT_LOCK_LIMIT).await?;
    let outcome = match target.find().await? {
        Some(there) if there.record == found.record => Copied::Same,
        Some(_) if !copy.replace => return Ok(Copied::Kept),
        _ => {
            target.save(&found.record).await?;
            Copied::Written
        }
    };
    if copy.is_move {
        source.remove().await?;
    }
    Ok(outcome)
}
