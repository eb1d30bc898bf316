//! Reads a file with environment variables: one `NAME=value` a line. Nothing in it is replaced or run.

use secrecy::SecretString;

/// Returns the variables of a text. Lines without `=` and comments are skipped.
pub(super) fn parse(text: &str) -> impl Iterator<Item = (String, SecretString)> + '_ {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || name.starts_with('#') || name.contains(['\0', ' ']) {
            return None;
        }
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?;
            inner.split_once(*quote).map(|(inner, _)| inner)
        });
        let value =
            quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim_end());
        let is_valid = !value.contains('\0');
        is_valid.then(|| (name.to_owned(), SecretString::from(value)))
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn names_and_values_are_read() {
        let text = "A=1\n# B=2\nexport C = 'x y' # note\nD=\"q#r\"\nE=a#b # c\nno value\n=x\nF=\n";
        let found: Vec<_> = parse(text)
            .map(|(name, value)| format!("{name}={}", value.expose_secret()))
            .collect();
        assert_eq!(found, ["A=1", "C=x y", "D=q#r", "E=a#b", "F="]);
    }
}
