//! Splits a command line into words, as Python's `shlex.split` does. Nothing in it is replaced or run.

/// Returns the words, or `None` if a quotation mark is not closed or a backslash is the last character.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if matches!(character, ' ' | '\t' | '\r' | '\n') {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match character {
            '\\' => word.push(characters.next()?),
            '\'' => loop {
                match characters.next()? {
                    '\'' => break,
                    other => word.push(other),
                }
            },
            '"' => loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => {
                        let is_escape = matches!(characters.peek()?, '"' | '\\');
                        match is_escape {
                            true => word.extend(characters.next()),
                            false => word.push('\\'),
                        }
                    }
                    other => word.push(other),
                }
            },
            other => word.push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_python_does() {
        let cases: [(&str, Option<&[&str]>); 11] = [
            ("npx -y x", Some(&["npx", "-y", "x"])),
            ("  a\t b\n", Some(&["a", "b"])),
            ("'a b' \"c d\"e", Some(&["a b", "c de"])),
            ("a\\ b", Some(&["a b"])),
            ("\"a\\\"b\\n\\\\\"", Some(&["a\"b\\n\\"])),
            ("'a\\'", Some(&["a\\"])),
            ("''", Some(&[""])),
            ("$HOME `x` $(y)", Some(&["$HOME", "`x`", "$(y)"])),
            ("", Some(&[])),
            ("'a", None),
            ("a\\", None),
        ];
        for (text, expected) in cases {
            let words = split(text);
            let words: Option<Vec<&str>> = words
                .as_ref()
                .map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(words.as_deref(), expected, "{text}");
        }
    }
}
