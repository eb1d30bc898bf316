//! Finds variables in a text that are written as another client or a shell writes them, and that are therefore not replaced.
//!
//! A message shows the name of a variable only if it can't be a secret that begins with `$`.
//!
//! Sources: <https://code.visualstudio.com/docs/reference/variables-reference>, <https://cursor.com/docs/mcp>, and the documentation of
//! Windsurf, Continue and opencode.

use crate::environment::Environment;
use crate::shown::{self, MAX_NAME_BYTES};

/// The maximum length of a variable with its braces, in bytes.
const MAX_VARIABLE_BYTES: usize = 200;

/// A variable whose name can be a secret, as a message shows it.
const HIDDEN: &str = "${…}";

/// Prefixes of variables that only an editor or another client replaces, such as `env` in `${env:NAME}`.
const PREFIXES: [&str; 9] = [
    "env",
    "input",
    "inputs",
    "command",
    "config",
    "secret",
    "secrets",
    "file",
    "workspaceFolder",
];

/// Variables that an editor sets by itself.
const EDITOR_VARIABLES: [&str; 20] = [
    "workspaceFolder",
    "workspaceFolderBasename",
    "workspaceRoot",
    "workspacePath",
    "userHome",
    "pathSeparator",
    "fileBasename",
    "fileBasenameNoExtension",
    "fileDirname",
    "fileDirnameBasename",
    "fileExtname",
    "fileWorkspaceFolder",
    "relativeFile",
    "relativeFileDirname",
    "lineNumber",
    "selectedText",
    "execPath",
    "defaultBuildTask",
    "extensionPath",
    "__dirname",
];

/// A variable that only an editor or another client replaces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForeignVariable {
    /// The variable as it is written. Parts that may not be a name are left out.
    pub shown: String,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// `${env:NAME}`
    Environment,
    /// `${input:NAME}`
    Input,
    /// `${workspaceFolder}`
    Editor,
    Other,
}

impl ForeignVariable {
    /// Whether an editor replaces the variable by itself, as it does `${workspaceFolder}`.
    pub fn is_of_editor(&self) -> bool {
        self.kind == Kind::Editor
    }

    /// Describes the problem. `alternative` is what to write in this format in place of a variable.
    pub fn problem(&self, alternative: &str) -> String {
        let Self { shown, kind } = self;
        match kind {
            Kind::Environment => {
                format!(
                    "`{shown}` is a variable of other clients and is not replaced here; {alternative}"
                )
            }
            Kind::Input => format!(
                "`{shown}` is a prompt of an editor such as VS Code, which is not shown here; {alternative}"
            ),
            Kind::Editor => format!(
                "`{shown}` is replaced only by an editor such as VS Code or Cursor; write the value, for example the path of the folder"
            ),
            Kind::Other => {
                format!(
                    "`{shown}` is a variable of another client and is not known here; {alternative}"
                )
            }
        }
    }
}

/// Parses a foreign variable from the text after `${`. Returns the variable and the text after it.
pub(crate) fn parse(text: &str) -> Option<(ForeignVariable, &str)> {
    if !text
        .starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '/' | '{'))
    {
        return None;
    }
    // `${{ secrets.NAME }}`
    let is_double = text.starts_with('{');
    let close = if is_double { "}}" } else { "}" };
    let end = beginning(text).find(close)?;
    let (inner, after) = (
        &text[usize::from(is_double)..end],
        &text[end + close.len()..],
    );
    let inner = inner.trim();
    let end = inner
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let (kind, shown) = match rest.chars().next() {
        None if EDITOR_VARIABLES.contains(&name) => (Kind::Editor, format!("${{{name}}}")),
        Some('/') if inner == "/" => (Kind::Editor, "${/}".to_owned()),
        Some(':') if PREFIXES.contains(&name) => {
            let of_prefix = rest[1..].split(':').next().unwrap_or_default();
            // A shell writes a default like this.
            if of_prefix.is_empty() || of_prefix.starts_with(['-', '=', '?', '+']) {
                return None;
            }
            let of_prefix = match name {
                "env" => shown::variable(of_prefix),
                _ if is_shown(of_prefix) => of_prefix,
                _ => shown::HIDDEN,
            };
            let kind = match name {
                "env" => Kind::Environment,
                "input" | "inputs" => Kind::Input,
                "workspaceFolder" => Kind::Editor,
                _ => Kind::Other,
            };
            (kind, format!("${{{name}:{of_prefix}}}"))
        }
        Some('.') if matches!(name, "secrets" | "inputs" | "user_config") => {
            let name = if is_shown(inner) { inner } else { name };
            let shown = match is_double {
                true => format!("${{{{ {name} }}}}"),
                false => format!("${{{name}}}"),
            };
            (Kind::Other, shown)
        }
        _ => return None,
    };
    Some((ForeignVariable { shown, kind }, after))
}

/// Returns the part of a text in which a variable must end. Without a limit, a text with many beginnings and no end would cost
/// quadratic time.
fn beginning(text: &str) -> &str {
    let mut ends = (0..=MAX_VARIABLE_BYTES.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Returns the name of the variable in `${env:NAME}`, and the text after it. `text` is the text after `${`.
pub(crate) fn parse_env(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix("env:")?;
    let end = beginning(text).find('}')?;
    let (name, after) = (&text[..end], &text[end + 1..]);
    let is_variable = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_variable.then_some((name, after))
}

/// Returns the first foreign variable of a text.
pub(crate) fn find(text: &str) -> Option<ForeignVariable> {
    find_replaced(text, text)
}

/// Returns the first foreign variable of a text in which variables are replaced. It is shown only if it is in `written`, the text
/// before that: otherwise, it can contain the value of another variable.
pub(crate) fn find_replaced(text: &str, written: &str) -> Option<ForeignVariable> {
    let mut references = text.match_indices("${");
    references.find_map(|(at, _)| {
        let (mut variable, after) = parse(&text[at + 2..])?;
        if !written.contains(&text[at..text.len() - after.len()]) {
            variable.shown = HIDDEN.to_owned();
        }
        Some(variable)
    })
}

/// Returns the first variable of a text that no client replaces, as a message shows it: a foreign variable, or one that is written as
/// `${NAME}`. `written` is as for [`find_replaced`].
pub(crate) fn find_left(text: &str, written: &str) -> Option<String> {
    let foreign = find_replaced(text, written).map(|variable| variable.shown);
    foreign.or_else(|| {
        let name = find_in_braces(text)?;
        Some(match written.contains(&format!("${{{name}")) {
            true => format!("${{{}}}", shown::variable(name)),
            false => HIDDEN.to_owned(),
        })
    })
}

/// Returns the name of the first variable that is written as `${NAME}`, if the text has one.
pub(crate) fn find_in_braces(text: &str) -> Option<&str> {
    let mut references = text.match_indices("${");
    references.find_map(|(at, _)| {
        let name = leading_name(beginning(&text[at + 2..]));
        // Not `${env:NAME}`.
        let rest = &text[at + 2 + name.len()..];
        let is_variable = rest.starts_with('}') || rest.starts_with(":-");
        (is_variable && is_name(name)).then_some(name)
    })
}

/// A text that looks like a variable and may be meant as it is written: `$NAME`, `%NAME%`, `{env:NAME}`, `{{NAME}}`.
pub(crate) enum PossibleVariable<'a> {
    /// A variable and its name.
    Named(&'a str),
    /// A variable whose name may be a part of a secret.
    Unnamed,
}

/// Returns the first text that looks like a variable.
pub(crate) fn find_possible<'a>(
    text: &'a str,
    environment: &dyn Environment,
) -> Option<PossibleVariable<'a>> {
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let rest = &text[at + character.len_utf8()..];
        let name = match character {
            '$' if rest.starts_with('{') => {
                let name = leading_name(&rest[1..]);
                let end = &rest[1 + name.len()..];
                // Neither `${NAME}` nor `${NAME:-default}` nor a variable of another client.
                let is_other_form = !end.starts_with(['}', ':', '.'])
                    || [":?", ":=", ":+"].iter().any(|form| end.starts_with(form));
                is_other_form.then_some(name)
            }
            '$' if !before.is_ascii_alphanumeric() => Some(leading_name(rest)),
            '%' if !before.is_ascii_alphanumeric() => {
                let name = leading_name(rest);
                // A shorter name may be percent-encoded text.
                (name.len() >= 3 && rest[name.len()..].starts_with('%')).then_some(name)
            }
            '{' => {
                let of_env = rest.strip_prefix("env:").or_else(|| rest.strip_prefix('{'));
                let name = of_env.map(|rest| leading_name(rest.trim_start()));
                let is_closed = |name: &&str| {
                    let end = of_env.unwrap_or_default().trim_start();
                    end[name.len()..].trim_start().starts_with('}')
                };
                name.filter(is_closed)
            }
            _ => None,
        };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let is_upper_case = || character == '%' && is_upper_case_word(name);
            let is_name =
                environment.get(name).is_some() || is_upper_snake_case(name) || is_upper_case();
            return Some(match is_name && name.len() <= MAX_NAME_BYTES {
                true => PossibleVariable::Named(name),
                false => PossibleVariable::Unnamed,
            });
        }
        before = character;
    }
    None
}

/// Returns the name of a variable at the beginning of a text; empty if there is none.
fn leading_name(text: &str) -> &str {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return "";
    }
    let end = text.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Returns a variable as a message shows it. `written` is the variable with its braces.
pub(crate) fn shown(written: &str) -> &str {
    let is_mark = |character: char| matches!(character, '$' | '{' | '}' | ':' | '/' | ' ');
    let mut parts = written.split(is_mark).filter(|part| !part.is_empty());
    match written.len() <= MAX_VARIABLE_BYTES && parts.all(is_shown) {
        true => written,
        false => HIDDEN,
    }
}

/// Whether a message shows a text as a name that an editor or another client has.
fn is_shown(text: &str) -> bool {
    is_name(text) && shown::is_no_token(text)
}

/// Whether a text is a name such as `ACME_TOKEN`. A token does not have this form.
fn is_upper_snake_case(name: &str) -> bool {
    name.contains('_') && name.split('_').all(is_upper_case_word)
}

fn is_upper_case_word(word: &str) -> bool {
    !word.is_empty() && word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn foreign_variables_are_found() {
        let cases = [
            ("${env:TOKEN}", Some("${env:TOKEN}")),
            ("Bearer ${env:TOKEN}x", Some("${env:TOKEN}")),
            ("${input:api-key}", Some("${input:api-key}")),
            ("${input:an odd one}", Some("${input:…}")),
            ("${input:sk-aB3dEfGhIjKlMnOpQrSt}", Some("${input:…}")),
            ("${env:sk-abc}", Some("${env:…}")),
            ("${env:aB3dEfGhIjKlMnOpQrStUv}", Some("${env:…}")),
            ("${env:A:-secret}", Some("${env:A}")),
            ("${workspaceFolder}/x", Some("${workspaceFolder}")),
            ("${workspaceFolder:a}/x", Some("${workspaceFolder:a}")),
            ("${userHome}", Some("${userHome}")),
            ("a${/}b", Some("${/}")),
            ("${{ secrets.KEY }}", Some("${{ secrets.KEY }}")),
            ("${user_config.key}", Some("${user_config.key}")),
            ("${file:/etc/x y}", Some("${file:…}")),
            ("${NAME} ${command:a.b}", Some("${command:a.b}")),
            ("${NAME}", None),
            ("${env:-x}", None),
            ("${env}", None),
            ("${server.port:8080}", None),
            ("${open", None),
            ("$env:NAME", None),
            ("plain", None),
        ];
        for (text, shown) in cases {
            let found = find(text).map(|variable| variable.shown);
            assert_eq!(found.as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn possible_variables_are_named_only_if_they_are_not_secrets() {
        let environment = BTreeMap::from([("known".to_owned(), "x".to_owned())]);
        // `Some("")` is a variable without a name.
        let cases = [
            ("$ACME_TOKEN", Some("ACME_TOKEN")),
            ("Bearer $ACME_TOKEN", Some("ACME_TOKEN")),
            ("$known", Some("known")),
            ("$ecret99", Some("")),
            ("$SECRET9", Some("")),
            ("pa$word", None),
            ("$5", None),
            ("%ACME_TOKEN%", Some("ACME_TOKEN")),
            ("%USERPROFILE%/x", Some("USERPROFILE")),
            ("%AppData%/x", Some("")),
            ("https://example.com/%C3%A9%20", None),
            ("100%", None),
            ("{env:ACME_TOKEN}", Some("ACME_TOKEN")),
            ("{{ACME_TOKEN}}", Some("ACME_TOKEN")),
            ("{\"env\": 1}", None),
            ("${ACME_TOKEN", Some("ACME_TOKEN")),
            ("${ACME_TOKEN:?unset}", Some("ACME_TOKEN")),
            ("${ACME_TOKEN%.txt}", Some("ACME_TOKEN")),
            ("${ACME_TOKEN} ${ACME_TOKEN:-x}", None),
            ("plain", None),
        ];
        for (text, name) in cases {
            let found = match find_possible(text, &environment) {
                Some(PossibleVariable::Named(name)) => Some(name),
                Some(PossibleVariable::Unnamed) => Some(""),
                None => None,
            };
            assert_eq!(found, name, "{text}");
        }
    }
}
