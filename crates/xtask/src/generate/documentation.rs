//! The documentation of types of `crates/core`: read from the Rust source, and converted to text for readers of any language.

use std::collections::BTreeMap;
use std::error::Error;

use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, Type};

/// Returns the documentation of the methods of a type, by their camelCase name. For an accessor such as `thread_id`, this is
/// the name of the field on the wire, `threadId`.
///
/// The fields of the notification and of the failure are private. The Rust documentation shows only their accessors, and a
/// doc comment on a field would become part of the TypeScript type. So only the accessors are documented. No derive macro
/// sees them, so they are read from the source.
///
/// # Errors
/// Fails if `source` is not valid Rust.
pub fn accessors(
    source: &str,
    type_name: &str,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut found = BTreeMap::new();
    for item in syn::parse_file(source)?.items {
        let Item::Impl(block) = item else { continue };
        let Type::Path(implemented) = &*block.self_ty else {
            continue;
        };
        if block.trait_.is_some() || !implemented.path.is_ident(type_name) {
            continue;
        }
        for item in block.items {
            if let ImplItem::Fn(function) = item
                && let Some(documentation) = doc_comment(&function.attrs)
            {
                let field = camel_case(&function.sig.ident.to_string());
                found.insert(field, language_neutral(without_examples(&documentation)));
            }
        }
    }
    Ok(found)
}

/// Returns the documentation of a struct, without its examples.
///
/// # Errors
/// Fails if `source` is not valid Rust or has no documented struct with this name.
pub fn struct_documentation(source: &str, type_name: &str) -> Result<String, Box<dyn Error>> {
    for item in syn::parse_file(source)?.items {
        if let Item::Struct(found) = item
            && found.ident == type_name
            && let Some(documentation) = doc_comment(&found.attrs)
        {
            return Ok(language_neutral(without_examples(&documentation)));
        }
    }
    Err(format!("{type_name} is not documented").into())
}

/// Returns the text before the first example.
fn without_examples(documentation: &str) -> &str {
    documentation
        .split_once("```")
        .map_or(documentation, |(text, _)| text)
        .trim()
}

/// Returns the doc comment among the attributes of an item, if there is one.
fn doc_comment(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn camel_case(snake_case: &str) -> String {
    let mut words = snake_case.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

/// Converts a Rust doc comment to text for readers of any language.
///
/// Removes examples and sections with a heading, replaces links to items by their names and `None` by `null`, and puts each
/// paragraph on one line.
pub fn language_neutral(documentation: &str) -> String {
    let lines = documentation
        .lines()
        .take_while(|line| !line.starts_with("```") && !line.starts_with("# "));
    let mut text = String::new();
    for line in lines.map(str::trim) {
        if line.is_empty() {
            text = format!("{}\n\n", text.trim_end());
        } else {
            text.push_str(line);
            text.push(' ');
        }
    }
    without_links(text.trim()).replace("`None`", "`null`")
}

/// Replaces links to Rust items by their names. Such a link has no target outside the Rust documentation.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else {
            break;
        };
        plain.push_str(&format!("{before}`{name}`"));
        rest = match after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'))
        {
            Some((_target, after)) => after,
            None => after,
        };
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accessors_are_found_by_the_name_of_their_field() {
        let source = "
            struct Documented;
            impl Documented {
                /// One line
                /// and another, [`here`](Self::here).
                #[must_use]
                pub fn two_words(&self) -> u8 { 0 }
                fn undocumented(&self) {}
            }
            impl Clone for Documented { /** Not this. */ fn clone(&self) -> Self { Self } }
            impl Other { /// Nor this.
                fn other(&self) {} }
        ";
        let found = accessors(source, "Documented").unwrap();
        let expected = (
            "twoWords".to_owned(),
            "One line and another, `here`.".to_owned(),
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn doc_comments_become_language_neutral() {
        let cases = [
            (
                "Read by [`decode`](crate::decode), or [`encode`].",
                "Read by `decode`, or `encode`.",
            ),
            (
                "One\nparagraph.\n\nAnother.\n\n```\ncode\n```\n\nLost.",
                "One paragraph.\n\nAnother.",
            ),
            ("A text.\n\n# Errors\n\nNever.", "A text."),
            ("`None` if it is unknown", "`null` if it is unknown"),
            ("a [list], \"[`\" and (more)", "a [list], \"[`\" and (more)"),
        ];
        for (rust, expected) in cases {
            assert_eq!(language_neutral(rust), expected);
        }
    }
}
