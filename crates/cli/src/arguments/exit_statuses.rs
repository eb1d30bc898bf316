//! The exit statuses in the help of each command.

pub const EXIT_STATUSES: &str = "\
Exit status:
  0    every server is ready
  1    at least one server failed for another reason
  2    the arguments or the configuration can't be used
  3    at least one server needs a sign-in (again) or more access, even if others failed for other reasons
  130  interrupted by Ctrl-C, or you answered no: every started program has ended, except package runners (up to 60 s)
  141  output pipe closed";

pub const EXIT_STATUSES_OF_EXPLAIN: &str = "\
Exit status:
  0    the server is ready
  1    the server failed for another reason
  2    the arguments or the configuration can't be used
  3    the server needs a sign-in (again) or more access
  130  interrupted by Ctrl-C; the steps so far were shown
  141  output pipe closed";

pub const EXIT_STATUSES_OF_DEMO: &str = "\
Exit status:
  0    every server ended as its scenario specifies
  1    some server did not
  2    the arguments can't be used
  130  interrupted by Ctrl-C
  141  output pipe closed";

pub const EXIT_STATUSES_OF_FOLLOW: &str = "\
Exit status:
  0    every server is ready
  1    at least one server failed for another reason, or is not ready, or no line is a valid message
  2    the arguments can't be used
  3    at least one server needs a sign-in again, even if others failed for other reasons
  130  interrupted by Ctrl-C; the state so far was shown
  141  output pipe closed";

pub const EXIT_STATUSES_OF_LOGIN: &str = "\
Exit status:
  0    signed in
  1    not signed in; an earlier sign-in is unchanged
  2    the arguments or the configuration can't be used, or the server has nothing to sign in to
  130  interrupted by Ctrl-C; an earlier sign-in is unchanged, unless a new one was granted
  141  output pipe closed";

pub const EXIT_STATUSES_OF_LOGOUT: &str = "\
Exit status:
  0    signed out: nothing is stored
  1    the stored sign-in could not be read or removed
  2    the arguments or the configuration can't be used, or the server has nothing to sign out of
  130  interrupted by Ctrl-C
  141  output pipe closed";

pub const EXIT_STATUSES_OF_CLIENTS: &str = "\
Exit status:
  0    the files that were found were listed
  1    at least one file can't be read
  2    the arguments can't be used
  141  output pipe closed";

pub const EXIT_STATUSES_OF_LAB: &str = "\
Exit status:
  0    interrupted by Ctrl-C
  1    the servers could not be started, for example because the port is in use
  2    the arguments or the file of --write-config can't be used
  141  output pipe closed

With --stdio, the exit status is that of the scenario.";

#[cfg(feature = "app-server")]
pub const EXIT_STATUSES_OF_OPEN: &str = "\
Exit status:
  1    the page could not be served
  2    the arguments or the configuration can't be used
  130  interrupted by Ctrl-C, or you answered no: every started program has ended, except package runners (up to 60 s)
  141  output pipe closed";

#[cfg(feature = "app-server")]
pub const EXIT_STATUSES_OF_APP_SERVER: &str = "\
Exit status:
  0    the client has closed its end
  1    the app-server could not be started
  2    the arguments or the configuration can't be used
  130  interrupted by Ctrl-C; every started program has ended, except package runners (up to 60 s)
  141  output pipe closed";

pub const EXIT_STATUSES_OF_STATUS: &str = "\
Exit status:
  0    the status of every server was shown
  1    the stored sign-in of at least one server could not be read
  2    the arguments or the configuration can't be used
  130  interrupted by Ctrl-C
  141  output pipe closed";

/// The greatest width of the help, in columns.
pub const MAX_HELP_COLUMNS: usize = 100;

/// The list of exit statuses, wrapped. The lines that continue an entry are indented as its text.
pub fn with_hanging_indent(statuses: &str) -> String {
    let columns = match terminal_size::terminal_size() {
        Some((columns, _)) => Some(usize::from(columns.0)),
        None => std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok()),
    };
    hanging(
        statuses,
        columns.unwrap_or(MAX_HELP_COLUMNS).min(MAX_HELP_COLUMNS),
    )
}

fn hanging(statuses: &str, columns: usize) -> String {
    const INDENT: &str = "       ";
    let lines = statuses.lines().map(|line| match line.starts_with("  ") {
        true => {
            let options = textwrap::Options::new(columns)
                .subsequent_indent(INDENT)
                .break_words(false)
                .word_splitter(textwrap::WordSplitter::NoHyphenation);
            textwrap::fill(line, options)
        }
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
