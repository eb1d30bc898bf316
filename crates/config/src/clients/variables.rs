//! Replaces the variables of a text as one client does. Never runs a command.

use std::cell::Cell;

use super::profile::{MissingVariable, VariableForm, Variables};
use crate::environment::Environment;
use crate::foreign_variables;

/// The values that replace the variables of a text.
pub(super) struct Values<'a> {
    pub environment: &'a dyn Environment,
    /// Variables that the client itself sets, such as `workspaceFolder`.
    pub own: &'a [(String, String)],
    /// Reads a file that a text includes by `{file:path}`.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a value is a path in the current project.
    pub is_in_project: &'a dyn Fn(&str) -> bool,
    /// How many more bytes may replace variables. A short text can name a long value many times.
    pub budget: &'a Cell<usize>,
}

/// A text whose variables are replaced.
#[derive(Default)]
pub(super) struct Replaced {
    pub text: String,
    /// The first variable whose value is part of the text.
    pub variable: Option<String>,
    /// The first variable whose value is blank.
    pub blank: Option<String>,
    /// The first variable that is not set.
    pub missing: Option<String>,
    /// The first file that could not be read.
    pub unreadable: Option<String>,
    /// The first variable that only the client can replace, such as a prompt.
    pub only_client: Option<String>,
    /// The value of a variable is a path in the current project.
    pub is_in_project: bool,
    /// The values are longer than the budget.
    pub is_too_long: bool,
}

impl Variables {
    pub fn replace(self, text: &str, values: &Values<'_>) -> Replaced {
        let mut replaced = Replaced::default();
        let has = |form| self.forms.contains(&form);
        let mut rest = text;
        let starts: &[char] = match has(VariableForm::Percent) {
            true => &['$', '{', '%'],
            false => &['$', '{'],
        };
        while let Some(at) = rest.find(starts)
            && !replaced.is_too_long
        {
            let (before, reference) = rest.split_at(at);
            replaced.text.push_str(before);
            let found = Reference::parse(reference, has);
            let Some((reference, length)) = found else {
                replaced.text.push_str(&rest[at..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            let written = &rest[at..at + length];
            self.append(&mut replaced, written, &reference, values);
            rest = &rest[at + length..];
        }
        replaced.text.push_str(rest);
        replaced
    }

    fn append(
        self,
        replaced: &mut Replaced,
        written: &str,
        reference: &Reference<'_>,
        values: &Values<'_>,
    ) {
        let budget = values.budget;
        let push = |text: &mut String, value: &str| match budget.get().checked_sub(value.len()) {
            Some(left) => {
                budget.set(left);
                text.push_str(value);
                false
            }
            None => true,
        };
        let first = |place: &mut Option<String>, name: &str| {
            place.get_or_insert_with(|| name.to_owned());
        };
        match reference {
            Reference::OnlyClient => {
                first(&mut replaced.only_client, written);
                replaced.text.push_str(written);
            }
            Reference::File(path) => match (values.read)(path) {
                Some(text) => replaced.is_too_long = push(&mut replaced.text, text.trim()),
                None => first(&mut replaced.unreadable, path),
            },
            Reference::Variable { name, default } => {
                let own = values.own.iter().find(|(own, _)| own == name);
                let value = match own {
                    Some((_, value)) => Some(value.clone()),
                    None => values.environment.get(name),
                };
                // As in a shell, a default also replaces an empty value.
                let value = value.filter(|value| default.is_none() || !value.is_empty());
                match (value, default) {
                    (Some(value), _) => {
                        if value.trim().is_empty() {
                            first(&mut replaced.blank, name);
                        }
                        if own.is_none() {
                            first(&mut replaced.variable, name);
                        }
                        replaced.is_in_project |= (values.is_in_project)(&value);
                        replaced.is_too_long = push(&mut replaced.text, &value);
                    }
                    (None, Some(default)) => replaced.text.push_str(default),
                    (None, None) => {
                        first(&mut replaced.missing, name);
                        if self.missing != MissingVariable::Empty {
                            replaced.text.push_str(written);
                        }
                    }
                }
            }
        }
    }
}

/// A variable in a text.
enum Reference<'a> {
    Variable {
        name: &'a str,
        default: Option<&'a str>,
    },
    File(&'a str),
    /// A prompt, a secret or a setting of an editor, or a variable that the user has to approve in the client.
    OnlyClient,
}

impl<'a> Reference<'a> {
    /// Parses the variable at the beginning of a text. Returns it and its length.
    fn parse(text: &'a str, has: impl Fn(VariableForm) -> bool) -> Option<(Self, usize)> {
        if let Some(inner) = text.strip_prefix("{{")
            && has(VariableForm::DoubleBraces)
        {
            let (inner, rest) = before_brace(inner)?;
            let is_variable = rest.starts_with('}') && !inner.trim().is_empty();
            return is_variable.then_some((Self::OnlyClient, inner.len() + 4));
        }
        if let Some(inner) = text.strip_prefix('{') {
            if !has(VariableForm::EnvInCurlyBraces) {
                return None;
            }
            let (inner, _) = before_brace(inner)?;
            let length = inner.len() + 2;
            if let Some(name) = inner.strip_prefix("env:") {
                return Some((Self::variable(name), length));
            }
            return Some((Self::File(inner.strip_prefix("file:")?), length));
        }
        if let Some(after) = text.strip_prefix('%') {
            let name = leading_name(after);
            let is_variable = !name.is_empty() && after[name.len()..].starts_with('%');
            return is_variable.then(|| (Self::variable(name), name.len() + 2));
        }
        let after = text.strip_prefix('$')?;
        let Some(inner) = after.strip_prefix('{') else {
            if !has(VariableForm::Dollar) {
                return None;
            }
            let name = leading_name(after);
            return (!name.is_empty()).then(|| (Self::variable(name), name.len() + 1));
        };
        if let Some(inner) = inner.strip_prefix('{')
            && has(VariableForm::Secrets)
        {
            let (inner, rest) = before_brace(inner)?;
            let length = inner.len() + 5;
            rest.strip_prefix('}')?;
            let (kind, name) = inner.trim().split_once('.')?;
            return match kind {
                "secrets" if !name.is_empty() => Some((Self::variable(name), length)),
                "inputs" => Some((Self::OnlyClient, length)),
                _ => None,
            };
        }
        if has(VariableForm::Editor)
            && let Some((foreign, rest)) = foreign_variables::parse(inner)
        {
            let length = text.len() - rest.len();
            let inner = &text[2..length - 1];
            return match () {
                () if foreign.is_of_editor() => Some((Self::variable(inner), length)),
                () if has(VariableForm::EnvInBraces) && inner.starts_with("env:") => {
                    Some((Self::variable(&inner[4..]), length))
                }
                () => Some((Self::OnlyClient, length)),
            };
        }
        let (inner, _) = before_brace(inner)?;
        let length = inner.len() + 3;
        if let Some(name) = inner.strip_prefix("env:") {
            let is_replaced = has(VariableForm::EnvInBraces) && leading_name(name) == name;
            return is_replaced.then(|| (Self::variable(name), length));
        }
        if inner == "/" && has(VariableForm::Separator) {
            return Some((Self::variable(inner), length));
        }
        let name = leading_name(inner);
        let rest = &inner[name.len()..];
        if name.is_empty() {
            return None;
        }
        if rest.is_empty() && has(VariableForm::ApprovedBraces) {
            return Some((Self::OnlyClient, length));
        }
        if rest.is_empty() {
            return has(VariableForm::Braces).then(|| (Self::variable(name), length));
        }
        let default = Some(rest.strip_prefix(":-")?);
        has(VariableForm::Default).then_some((Self::Variable { name, default }, length))
    }

    fn variable(name: &'a str) -> Self {
        Self::Variable {
            name,
            default: None,
        }
    }
}

/// Splits a text at its first closing brace. A variable holds no other brace, so texts with many beginnings cost linear time.
fn before_brace(text: &str) -> Option<(&str, &str)> {
    let end = text.find(['{', '}'])?;
    let rest = text[end..].strip_prefix('}')?;
    Some((&text[..end], rest))
}

/// The name of a variable at the beginning of a text.
fn leading_name(text: &str) -> &str {
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    match text.starts_with(|first: char| first.is_ascii_digit()) {
        true => "",
        false => &text[..end],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_form_is_replaced_only_where_the_client_has_it() {
        use VariableForm::{
            Braces, Default as Fallback, Dollar, DoubleBraces, Editor, EnvInBraces,
            EnvInCurlyBraces, Percent, Secrets, Separator,
        };
        let environment = BTreeMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ]);
        let own = [("workspaceFolder", "/w"), ("/", "\\")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let read = |path: &str| (path == "f").then(|| "text\n".to_owned());
        let values = Values {
            environment: &environment,
            own: &own,
            read: &read,
            is_in_project: &|_| false,
            budget: &Cell::new(1000),
        };
        let cases: [(&[VariableForm], MissingVariable, &str, &str); 31] = [
            (&[Braces], MissingVariable::Kept, "x${A}y", "x1y"),
            (&[Braces], MissingVariable::Kept, "${B}", "${B}"),
            (&[Braces], MissingVariable::Empty, "-${B}-", "--"),
            (
                &[Braces],
                MissingVariable::Kept,
                "$A ${A:-2} ${env:A}",
                "$A ${A:-2} ${env:A}",
            ),
            (
                &[Braces, Fallback],
                MissingVariable::Kept,
                "${B:-2}${A:-2}",
                "21",
            ),
            (
                &[Braces, Fallback],
                MissingVariable::Kept,
                "${EMPTY:-2}",
                "2",
            ),
            (
                &[Braces, Fallback],
                MissingVariable::Kept,
                "[${EMPTY}]",
                "[]",
            ),
            (&[Dollar], MissingVariable::Kept, "$A/$B/${A}", "1/$B/${A}"),
            (&[Dollar], MissingVariable::Kept, "$5 $ $$A", "$5 $ $1"),
            (
                &[EnvInBraces],
                MissingVariable::Kept,
                "${env:A}${A}",
                "1${A}",
            ),
            (
                &[EnvInBraces],
                MissingVariable::Kept,
                "${env:B}",
                "${env:B}",
            ),
            (
                &[EnvInBraces, Editor],
                MissingVariable::Kept,
                "${env:A}",
                "1",
            ),
            (
                &[EnvInBraces, Editor],
                MissingVariable::Kept,
                "${workspaceFolder}/x",
                "/w/x",
            ),
            (
                &[EnvInBraces, Editor],
                MissingVariable::Kept,
                "${input:t}",
                "${input:t}",
            ),
            (
                &[EnvInCurlyBraces],
                MissingVariable::Empty,
                "{env:A}{env:B}${A}",
                "1${A}",
            ),
            (
                &[EnvInCurlyBraces],
                MissingVariable::Empty,
                "{file:f}!",
                "text!",
            ),
            (
                &[EnvInCurlyBraces],
                MissingVariable::Empty,
                "{\"a\": {}}",
                "{\"a\": {}}",
            ),
            (
                &[Secrets],
                MissingVariable::Kept,
                "${{ secrets.A }}${{secrets.A}}${{ x }}${A}",
                "11${{ x }}${A}",
            ),
            (
                &[Secrets],
                MissingVariable::Kept,
                "${{ secrets.B }} ${{ secrets.A }",
                "${{ secrets.B }} ${{ secrets.A }",
            ),
            (
                &[Secrets],
                MissingVariable::Kept,
                "${{ inputs.A }}",
                "${{ inputs.A }}",
            ),
            (
                &[Braces, DoubleBraces],
                MissingVariable::Kept,
                "{{A}}${A}{{}}",
                "{{A}}1{{}}",
            ),
            (
                &[DoubleBraces],
                MissingVariable::Kept,
                "{\"a\": {\"b\": 1}}",
                "{\"a\": {\"b\": 1}}",
            ),
            (
                &[Percent],
                MissingVariable::Empty,
                "%A%-%B%-%A-100%",
                "1--%A-100%",
            ),
            (&[Percent, Dollar], MissingVariable::Empty, "%%A%$A", "%11"),
            (&[Dollar], MissingVariable::Empty, "%A%", "%A%"),
            (
                &[Braces, Separator],
                MissingVariable::Kept,
                "a${/}b",
                "a\\b",
            ),
            (&[Braces], MissingVariable::Kept, "${A", "${A"),
            (&[Braces], MissingVariable::Kept, "${}", "${}"),
            (&[Braces], MissingVariable::Kept, "é${A}é", "é1é"),
            (&[Braces], MissingVariable::Kept, "${1A}", "${1A}"),
            (
                &[],
                MissingVariable::Kept,
                "${A} $A {env:A}",
                "${A} $A {env:A}",
            ),
        ];
        for (forms, missing, text, expected) in cases {
            let variables = Variables { forms, missing };
            assert_eq!(variables.replace(text, &values).text, expected, "{text}");
        }
    }

    #[test]
    fn many_references_without_an_end_cost_linear_time() {
        let variables = Variables {
            forms: &[
                VariableForm::Braces,
                VariableForm::DoubleBraces,
                VariableForm::Editor,
                VariableForm::Percent,
                VariableForm::Secrets,
            ],
            missing: MissingVariable::Kept,
        };
        let values = Values {
            environment: &BTreeMap::new(),
            own: &[],
            read: &|_| None,
            is_in_project: &|_| false,
            budget: &Cell::new(0),
        };
        for beginning in ["${A", "${{ secrets.A", "{{A", "%A"] {
            let text = beginning.repeat(200_000);
            assert_eq!(variables.replace(&text, &values).text, text);
        }
    }
}
