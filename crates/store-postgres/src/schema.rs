//! The tables and their migrations.

use mcp_startup_auth::StoreError;
use mcp_startup_core::CredentialStoreTrouble;

use crate::database::Database;
use crate::error;

/// The version of the schema that this program creates and needs.
pub const SCHEMA_VERSION: i32 = MIGRATIONS.len() as i32;

/// The statements that lead to each version. A migration must work while programs of the version before it run: it adds and never
/// removes. If a program of an earlier version can't work with the result, `requires` is the version that a program must know.
const MIGRATIONS: [Migration; 1] = [Migration {
    requires: 1,
    sql: include_str!("../migrations/1.sql"),
}];

struct Migration {
    requires: i32,
    sql: &'static str,
}

/// A number that no other program is likely to use for an advisory lock: "mcpstart" in ASCII.
const MIGRATION_LOCK: i64 = 0x6d63_7073_7461_7274;

/// Makes sure that the tables exist in a version that this program knows.
///
/// It is safe to call from many hosts at once. If the schema is current, it only reads.
pub(crate) async fn migrate(database: &Database) -> Result<(), StoreError> {
    let from = match stored_version(database).await? {
        None => 0,
        Some(stored) => {
            check_supported(stored)?;
            stored.version
        }
    };
    if from >= SCHEMA_VERSION {
        return Ok(());
    }
    database.batch(&script()).await.map_err(|mut error| {
        error.detail += "; the tables of this store could not be created or updated: connect \
                         once with a role that may create tables";
        error
    })?;
    // Another host may have migrated to a later version.
    match stored_version(database).await? {
        Some(stored) => check_supported(stored),
        None => Err(error(
            CredentialStoreTrouble::Unreadable,
            "the tables of this store are not visible after they were created; check the `search_path` of the role",
        )),
    }
}

#[derive(Clone, Copy, Debug)]
struct StoredVersion {
    version: i32,
    requires: i32,
}

fn check_supported(stored: StoredVersion) -> Result<(), StoreError> {
    if stored.requires <= SCHEMA_VERSION {
        return Ok(());
    }
    let StoredVersion { version, requires } = stored;
    Err(error(
        CredentialStoreTrouble::Unsupported,
        format!(
            "the tables of this store have version {version}, which needs a program that knows version {requires}, and this one \
             knows version {SCHEMA_VERSION}; update this program"
        ),
    ))
}

async fn stored_version(database: &Database) -> Result<Option<StoredVersion>, StoreError> {
    let exists = "select to_regclass('mcp_startup_schema') is not null";
    let exists = database.query_one(exists, &[]).await?;
    if !exists.is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let latest = "select version, requires from mcp_startup_schema order by version desc limit 1";
    let latest = database.query_one(latest, &[]).await?;
    Ok(latest.map(|row| StoredVersion {
        version: row.get(0),
        requires: row.get(1),
    }))
}

/// One transaction under an advisory lock. Each migration runs only if its version is missing, which is decided under the lock.
fn script() -> String {
    let mut script = format!(
        "begin;
        select pg_advisory_xact_lock({MIGRATION_LOCK});
        create table if not exists mcp_startup_schema (
            version integer primary key,
            requires integer not null,
            applied_at timestamptz not null default clock_timestamp()
        );"
    );
    for (at, migration) in MIGRATIONS.iter().enumerate() {
        let (version, requires) = (at + 1, migration.requires);
        // `$migration$` is in no migration.
        script += &format!(
            "do $do$ begin
                if not exists (select from mcp_startup_schema where version >= {version}) then
                    execute $migration${}$migration$;
                    insert into mcp_startup_schema (version, requires) values ({version}, {requires});
                end if;
            end $do$;",
            migration.sql
        );
    }
    script += "commit;";
    script
}
