//! The arguments for the sign-ins of many users in PostgreSQL.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use secrecy::SecretString;

use super::{StatusFormat, path, with_hanging_indent};

pub const EXIT_STATUSES: &str = "\
Exit status:
  0    done
  1    the database or the file can't be used, or at least one record failed
  2    the arguments can't be used
  130  interrupted by Ctrl-C
  141  output pipe closed";

/// The database and its keys.
#[derive(Clone, Debug, Default, Args)]
pub struct Database {
    /// The URL of a PostgreSQL database with the sign-ins of many users [default: MCP_STARTUP_STORE]
    ///
    /// Other users of this machine can see the arguments of a program. If the URL has a password, set MCP_STARTUP_STORE instead.
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub store: Option<SecretString>,
    /// The file with the keys that encrypt the sign-ins, as `ID:KEY` [default: the keys in MCP_STARTUP_STORE_KEYS]
    #[arg(long, value_name = "FILE", value_parser = path(), value_hint = ValueHint::AnyPath)]
    pub store_keys: Option<PathBuf>,
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

/// Whose sign-ins a command uses.
#[derive(Clone, Debug, Default, Args)]
pub struct StoredUser {
    #[command(flatten)]
    pub database: Database,
    /// Use the sign-ins of this user in a database, instead of the ones on this machine
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// The tenant of the user [default: default]
    #[arg(long, value_name = "ID", requires = "user")]
    pub tenant: Option<String>,
}

impl StoredUser {
    /// Whether the command uses the stores of this machine.
    pub fn is_empty(&self) -> bool {
        let Database { store, store_keys } = &self.database;
        self.user.is_none() && store.is_none() && store_keys.is_none()
    }
}

#[derive(Debug, Subcommand)]
pub enum Store {
    /// Create or update the tables
    #[command(after_help = with_hanging_indent(EXIT_STATUSES))]
    Migrate {
        #[command(flatten)]
        database: Database,
    },
    /// Encrypt every record with the first key that is encrypted with another one
    ///
    /// All hosts must have both keys. It is safe to run while they use the database, and to repeat.
    #[command(after_help = with_hanging_indent(EXIT_STATUSES))]
    Rotate {
        #[command(flatten)]
        database: Database,
    },
    /// Count users, records by key, locks, and refreshes whose outcome is not known
    #[command(after_help = with_hanging_indent(EXIT_STATUSES))]
    Stats {
        #[command(flatten)]
        database: Database,
        /// What to print
        #[arg(long, value_enum, default_value_t = StatusFormat::Table)]
        format: StatusFormat,
    },
    /// Copy the sign-ins of Codex's file on this machine to a user in the database
    #[command(after_help = with_hanging_indent(EXIT_STATUSES))]
    Import(Copy),
    /// Copy the sign-ins of a user in the database to Codex's file on this machine
    #[command(after_help = with_hanging_indent(EXIT_STATUSES))]
    Export(Copy),
}

#[derive(Debug, Args)]
#[command(mut_arg("user", |user| user.help("The user in the database").required(true)))]
pub struct Copy {
    #[command(flatten)]
    pub user: StoredUser,
    /// The folder with the file `.credentials.json` [default: CODEX_HOME, or ~/.codex]
    #[arg(long, value_name = "FOLDER", value_parser = path(), value_hint = ValueHint::AnyPath)]
    pub codex_home: Option<PathBuf>,
    /// Remove each sign-in from the place that it was copied from
    #[arg(long = "move")]
    pub is_move: bool,
    /// Replace sign-ins that the target already has
    #[arg(long)]
    pub replace: bool,
}
