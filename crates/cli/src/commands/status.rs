//! `mcp-startup status`: how the user is signed in to each server.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use futures::StreamExt;
use futures::stream;
use mcp_startup::auth::{CredentialStores, now_ms};
use mcp_startup::config::{ServerEntry, TransportConfig};
use mcp_startup::{
    AccessTokenWorth, AuthStatus, ClientChoice, ClientSource, McpAuthStatus, Startup,
    configuration_warnings,
};
use unicode_width::UnicodeWidthStr;

use crate::CommandError;
use crate::arguments::{self, StatusFormat};
use crate::documents::{ServerStatus, StatusReport, StoredSignIn};
use crate::interruption::until_interrupted;
use crate::output::exit_status::ExitStatus;
use crate::output::one_line::one_line;
use crate::output::report;
use crate::output::stdout;
use crate::output::suggestions::Suggestions;
use crate::output::table::{cut, wrapped};
use crate::output::warnings;
use crate::selection;
use crate::stores::{self, Stores};

/// The words about servers with longer names are on a line of their own.
const NAME_COLUMNS: usize = 40;
/// The limit if stdout is not a terminal. A program that reads the lines needs the whole name.
const NAME_COLUMNS_OF_A_LINE: usize = 200;
const INDENT: &str = "    ";
const STORE_CHARS: usize = 20;
const DETAIL_CHARS: usize = 300;

pub fn status(arguments: arguments::Status) -> Result<ExitStatus, CommandError> {
    let mut selection = selection::select(&arguments.source, &arguments.servers)?;
    Stores::add_options(
        &arguments.stored_user,
        &arguments.client_document,
        &mut selection.suggestions,
    );
    let servers = selection.entries();
    let runtime = crate::runtime()?;
    let stores = runtime.block_on(Stores::open(&arguments.stored_user))?;
    let mut options = stores.options(&selection.credentials);
    options.client_metadata_url = arguments.client_document.url;
    options.limit = arguments.timeout;
    options.limit_option = Some("--timeout");
    let used = options.stores.clone();
    let shown_before = used.as_ref().map(CredentialStores::warnings);
    let shown_before = shown_before.unwrap_or_default();
    let startup = Startup::new(options)?;
    let asked = servers.iter().enumerate().map(async |(at, server)| {
        let status = startup.auth_status(server, arguments.online).await;
        let client = match arguments.explain {
            true => Some(startup.sign_in_client(server).await),
            false => None,
        };
        (at, server_status(server, status, client))
    });
    // A line is printed as soon as it is known, so that one slow server does not hold up the others. Without requests there is none to wait
    // for, and the lines are in the order of the configuration.
    let sends_requests = arguments.online || arguments.explain;
    let (asked, all) = (stream::iter(asked), servers.len().max(1));
    let mut asked = match sends_requests {
        true => asked.buffer_unordered(all).left_stream(),
        false => asked.buffered(all).right_stream(),
    };
    let mut found: Vec<Option<ServerStatus>> = servers.iter().map(|_| None).collect();
    let suggestions = selection.suggestions.take().unwrap_or_default();
    let table = (arguments.format == StatusFormat::Table)
        .then(|| StatusTable::new(&servers, arguments.online, &suggestions));
    let printed = until_interrupted(runtime, async {
        while let Some((at, status)) = asked.next().await {
            if let Some(table) = &table {
                table.print(&status)?;
            }
            found[at] = Some(status);
        }
        Ok::<(), std::io::Error>(())
    })?;
    match printed {
        Some(printed) => printed?,
        None => return Ok(ExitStatus::Interrupted),
    }
    drop(asked);
    if let Some(used) = &used {
        stores::show_new_warnings(used, &shown_before);
    }
    let found: Vec<_> = found.into_iter().flatten().collect();
    let unreadable = found.iter().any(|server| server.store_error.is_some());
    if table.is_none() {
        report::print(&StatusReport {
            configuration: selection.configuration.path,
            servers: found,
            not_checked: selection.not_checked,
        })?;
    } else if found.is_empty() && selection.is_discovered {
        let _ = writeln!(crate::output::stderr::styled(), "No servers are enabled.");
    }
    Ok(match unreadable {
        true => ExitStatus::Failed,
        false => ExitStatus::AllReady,
    })
}

fn server_status(
    entry: &ServerEntry,
    status: AuthStatus,
    client: Option<ClientChoice>,
) -> ServerStatus {
    let transport = entry
        .config
        .as_ref()
        .ok()
        .map(|config| match config.transport {
            TransportConfig::Stdio(_) => "stdio",
            TransportConfig::Http(_) => "http",
        });
    ServerStatus {
        name: entry.name.clone(),
        transport,
        auth_status: status.status,
        stored: status.worth.map(|worth| StoredSignIn {
            store: status.store,
            access_token: worth.access_token,
            refresh_token: worth.refresh_token,
            expires_at_ms: status.expires_at_ms,
            scopes: status.scopes,
            issuer: status.issuer,
        }),
        store_error: status.store_error.map(|error| error.to_string()),
        configuration_warnings: configuration_warnings(entry),
        client,
    }
}

/// Prints one line for each server.
struct StatusTable<'a> {
    /// The width of the widest name.
    name_columns: usize,
    most_name_columns: usize,
    /// The width of the terminal; `None` if stdout is not a terminal.
    columns: Option<usize>,
    online: bool,
    suggestions: &'a Suggestions,
}

impl<'a> StatusTable<'a> {
    fn new(servers: &[ServerEntry], online: bool, suggestions: &'a Suggestions) -> Self {
        let columns = std::io::stdout().is_terminal().then(textwrap::termwidth);
        let most_columns = match columns {
            // The mark is before it.
            Some(columns) => columns.saturating_sub(2).max(1),
            None => NAME_COLUMNS_OF_A_LINE,
        };
        let names = servers.iter().map(|server| cut(&server.name, most_columns));
        let widths = names.map(|name| name.width());
        let widths = widths.filter(|width| columns.is_none() || *width <= NAME_COLUMNS);
        Self {
            name_columns: widths.max().unwrap_or_default(),
            most_name_columns: most_columns,
            columns,
            online,
            suggestions,
        }
    }

    fn print(&self, server: &ServerStatus) -> std::io::Result<()> {
        let (look, words) = line(server, self.online, now_ms(), self.suggestions);
        let (mark, style) = (look.mark(), look.style());
        let name = cut(&server.name, self.most_name_columns);
        let padding = " ".repeat(self.name_columns.saturating_sub(name.width()));
        let before = self.name_columns.max(name.width()) + 4;
        let mut text = match self.columns {
            Some(columns) if before + words.width() > columns => {
                let below = wrapped(&words, columns, INDENT);
                format!("{style}{mark}{style:#} {name}\n{below}")
            }
            _ => format!("{style}{mark}{style:#} {name}{padding}  {words}"),
        };
        let explanations = server.client.iter().flat_map(explanations);
        let warnings = warnings::texts(&server.configuration_warnings, "");
        for below in explanations.chain(warnings) {
            text.push('\n');
            match self.columns {
                Some(columns) => text += &wrapped(&below, columns, INDENT),
                None => text += &format!("{INDENT}{below}"),
            }
        }
        let mut stdout = stdout::styled();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }
}

/// The lines of `--explain` for a server.
fn explanations(client: &ClientChoice) -> Vec<String> {
    let source = match client.source {
        Some(ClientSource::Configuration) => "the configured one",
        Some(ClientSource::MetadataDocument) => "a metadata document",
        Some(ClientSource::Registration) => "a registration",
        None => "none",
    };
    let mut lines = vec![format!("client: {source}, because {}", client.reason)];
    let deviations = client.deviations.iter();
    lines.extend(deviations.map(|deviation| format!("deviation: {deviation}")));
    lines
}

#[derive(Clone, Copy)]
enum Look {
    Authorized,
    Asks,
    Broken,
    Nothing,
}

impl Look {
    fn mark(self) -> char {
        match self {
            Self::Authorized => '✓',
            Self::Asks => '!',
            Self::Broken => '✗',
            Self::Nothing => '-',
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Authorized => AnsiColor::Green.on_default(),
            Self::Asks => AnsiColor::Yellow.on_default(),
            Self::Broken => AnsiColor::Red.on_default(),
            Self::Nothing => Style::new().dimmed(),
        }
    }
}

/// The line for a server.
fn line(
    server: &ServerStatus,
    online: bool,
    now_ms: i64,
    suggestions: &Suggestions,
) -> (Look, String) {
    let Some(transport) = server.transport else {
        let why = suggestions.run("check", &server.name);
        let words = format!("its configuration entry can't be used; {why} to see why");
        return (Look::Broken, words);
    };
    if server.auth_status == Some(McpAuthStatus::BearerToken) {
        return (
            Look::Authorized,
            "the configuration has its token".to_owned(),
        );
    }
    if let Some(error) = &server.store_error {
        return (Look::Broken, one_line(error, DETAIL_CHARS));
    }
    if let Some(stored) = &server.stored {
        return stored_line(&server.name, stored, now_ms, suggestions);
    }
    let offers_sign_in = match (server.auth_status, &server.client) {
        (None, Some(client)) => client.source.is_some(),
        (status, _) => status == Some(McpAuthStatus::NotLoggedIn),
    };
    if offers_sign_in {
        let words = format!("not signed in: {}", suggestions.run("login", &server.name));
        return (Look::Asks, words);
    }
    match server.auth_status {
        Some(McpAuthStatus::Unsupported) if transport == "stdio" => (
            Look::Nothing,
            "a program on this machine; it needs no sign-in".to_owned(),
        ),
        Some(McpAuthStatus::Unsupported) => (Look::Nothing, "offers no sign-in".to_owned()),
        // The lines of `--explain` have the reason.
        _ if server.client.is_some() => (Look::Nothing, "not signed in".to_owned()),
        _ if online => {
            let words =
                "not signed in; it could not be determined whether the server offers a sign-in";
            (Look::Nothing, words.to_owned())
        }
        _ => {
            let words = "not signed in; use --online to see whether it offers a sign-in";
            (Look::Nothing, words.to_owned())
        }
    }
}

fn stored_line(
    name: &str,
    stored: &StoredSignIn,
    now_ms: i64,
    suggestions: &Suggestions,
) -> (Look, String) {
    let place = one_line(stored.store.as_deref().unwrap_or_default(), STORE_CHARS);
    let signed_in = |more: String| (Look::Authorized, format!("signed in ({place}); {more}"));
    match (stored.access_token, stored.expires_at_ms) {
        (AccessTokenWorth::Good, Some(expires_at)) => {
            let left = duration(expires_at.saturating_sub(now_ms));
            signed_in(format!("the token expires in {left}"))
        }
        (AccessTokenWorth::Good | AccessTokenWorth::ExpiryUnknown, _) => {
            signed_in("the expiry of the token is not known".to_owned())
        }
        (AccessTokenWorth::Expired | AccessTokenWorth::Absent, _) if stored.refresh_token => {
            signed_in("the token has expired; the next start renews it".to_owned())
        }
        (AccessTokenWorth::Expired | AccessTokenWorth::Absent, _) => (
            Look::Asks,
            format!(
                "sign-in expired ({place}): {}",
                suggestions.run("login", name)
            ),
        ),
    }
}

fn duration(ms: i64) -> String {
    match ms / 60_000 {
        0 => format!("{} s", ms / 1000),
        minutes @ 1..=119 => format!("{minutes} min"),
        minutes @ 120..=2879 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}
