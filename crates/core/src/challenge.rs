//! Reads the challenges of a response (RFC 9110, section 11.6.1).

/// Returns whether a challenge has the attribute `error` with this value (RFC 6750, section 3). Ignores quoted text.
pub(crate) fn error_attribute_is(challenge: &str, value: &str) -> bool {
    words_of(challenge)
        .filter_map(|attribute| attribute.split_once('='))
        .any(|(name, found)| name.eq_ignore_ascii_case("error") && found.trim_matches('"') == value)
}

/// Returns the first value of an attribute of a challenge, unless it is blank.
#[doc(hidden)]
pub fn attribute(challenge: &str, name: &str) -> Option<String> {
    let value = attributes(challenge, name).next();
    value.filter(|value| !value.trim().is_empty())
}

/// Returns the values of an attribute in all challenges of a header.
pub(crate) fn attributes(challenge: &str, name: &str) -> impl Iterator<Item = String> {
    words_of(challenge)
        .filter_map(|attribute| attribute.split_once('='))
        .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches('"').replace("\\\"", "\""))
}

/// Returns whether a challenge names this authentication scheme. Ignores quoted text.
pub(crate) fn has_scheme(challenge: &str, scheme: &str) -> bool {
    words_of(challenge).any(|word| word.eq_ignore_ascii_case(scheme))
}

/// Returns the authentication scheme of a gateway that requires a key, such as `AzureApiManagementKey`.
pub(crate) fn key_scheme(challenge: &str) -> Option<&str> {
    words_of(challenge).find(|word| {
        let end = word.len().checked_sub("key".len());
        end.and_then(|end| word.get(end..))
            .is_some_and(|end| end.eq_ignore_ascii_case("key"))
    })
}

/// The words of a challenge: its schemes and attributes. Quoted text stays part of its attribute.
fn words_of(challenge: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    challenge.split(move |character: char| {
        match character {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' | ' ' | '\t' => return !quoted,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_key_is_found() {
        for (challenge, expected) in [
            (
                r#"AzureApiManagementKey realm="x",name="Ocp-Apim-Subscription-Key""#,
                Some("AzureApiManagementKey"),
            ),
            (r#"Key realm="kong""#, Some("Key")),
            ("ApiKey", Some("ApiKey")),
            (r#"Bearer realm="my key""#, None),
            ("Kéy", None),
            ("", None),
        ] {
            assert_eq!(key_scheme(challenge), expected, "{challenge}");
        }
    }
}
