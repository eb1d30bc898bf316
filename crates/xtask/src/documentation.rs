//! The types' own documentation, in the words of the wire.

use std::collections::BTreeMap;
use std::error::Error;

use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, Type};

/// The documentation of a type's accessors, by the name of the field on the wire: `thread_id` stands under `threadId`.
///
/// The fields of the notification and of the failure are private, so what a reader of the Rust documentation sees is the
/// accessors; and a doc comment on a field of the notification would land inside its TypeScript type. So the accessors are
/// where these fields are explained, once. No derive sees them: they are read from the source.
pub fn of_accessors(
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
                && let Some(documentation) = in_attributes(&function.attrs)
            {
                let field = camel_case(&function.sig.ident.to_string());
                found.insert(field, in_wire_words(without_examples(&documentation)));
            }
        }
    }
    Ok(found)
}

/// The documentation of a type itself, without its examples, which are Rust.
pub fn of_type(source: &str, type_name: &str) -> Result<String, Box<dyn Error>> {
    for item in syn::parse_file(source)?.items {
        if let Item::Struct(found) = item
            && found.ident == type_name
            && let Some(documentation) = in_attributes(&found.attrs)
        {
            return Ok(in_wire_words(without_examples(&documentation)));
        }
    }
    Err(format!("{type_name} is not documented").into())
}

/// The text before the first example.
fn without_examples(documentation: &str) -> &str {
    documentation
        .split_once("```")
        .map_or(documentation, |(text, _)| text)
        .trim()
}

fn in_attributes(attributes: &[Attribute]) -> Option<String> {
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

/// Documentation of Rust for readers of any language: without its examples and headed sections, links between items as
/// their plain names, `None` as `null`, and each paragraph on one line.
pub fn in_wire_words(documentation: &str) -> String {
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

/// Links to items become the names that they show: such a link leads nowhere on a page.
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
    fn accessors_explain_the_fields_of_their_type() {
        let source = "
            struct Wanted;
            impl Wanted {
                /// One line
                /// and another, [`here`](Self::here).
                #[must_use]
                pub fn two_words(&self) -> u8 { 0 }
                fn undocumented(&self) {}
            }
            impl Clone for Wanted { /** Not this. */ fn clone(&self) -> Self { Self } }
            impl Other { /// Nor this.
                fn other(&self) {} }
        ";
        let found = of_accessors(source, "Wanted").unwrap();
        let wanted = (
            "twoWords".to_owned(),
            "One line and another, `here`.".to_owned(),
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [wanted]);
    }

    #[test]
    fn rust_becomes_the_words_of_the_wire() {
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
            ("`None` where it is unknown", "`null` where it is unknown"),
            ("a [list], \"[`\" and (more)", "a [list], \"[`\" and (more)"),
        ];
        for (rust, wire) in cases {
            assert_eq!(in_wire_words(rust), wire);
        }
    }
}
