//! Turns an error of the YAML parser into the mistake of the user and its usual remedy. Never quotes the file, which may hold a
//! token.

use granit_parser::ErrorKind;

use crate::escaping::escape_and_truncate;
use crate::spanned::mistakes;

pub(super) const TOO_DEEP: &str = "values are nested too deeply; remove them";

/// Describes the problem at `offset` of a text.
pub(super) fn describe(text: &str, offset: usize, kind: &ErrorKind) -> String {
    use ErrorKind as Kind;
    let (before, rest) = text.split_at_checked(offset).unwrap_or((text, ""));
    if let Some(problem) = mistakes::describe(before, rest) {
        return problem;
    }
    let problem = match kind {
        Kind::RecursionLimitExceeded => TOO_DEEP,
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabInIndentation
        | Kind::TabInPlainScalar
        | Kind::TabAtBlockScalarStart
        | Kind::InvalidBlockEntryWhitespace
        | Kind::InvalidMappingValueWhitespace => "a tab; write spaces in its place",
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => {
            "a string is not closed; write its closing quotation mark"
        }
        Kind::InvalidTrailingSingleQuotedScalar => {
            "text after a closing quotation mark; write a quotation mark within a text twice ('')"
        }
        Kind::InvalidTrailingDoubleQuotedScalar => {
            "text after a closing quotation mark; write a quotation mark within a text as `\\\"`"
        }
        Kind::UnknownQuotedScalarEscape
        | Kind::InvalidQuotedScalarHexEscape
        | Kind::InvalidUnicodeEscape => {
            "a backslash between double quotation marks must be doubled; double it, or write single quotation marks: 'C:\\Users'"
        }
        Kind::UnclosedFlowCollection { open: '{' }
        | Kind::UnexpectedEofFlowMapping
        | Kind::UnexpectedEofImplicitFlowMapping
        | Kind::ExpectedFlowMappingSeparator => {
            "a comma or the closing brace of a table is missing; write `,` between its keys, and `}` at the end"
        }
        Kind::UnclosedFlowCollection { .. }
        | Kind::UnexpectedEofFlowSequence
        | Kind::ExpectedFlowSequenceSeparator => {
            "a comma or the closing bracket of a list is missing; write `,` between items, and `]` at the end"
        }
        Kind::MisplacedFlowCollectionEnd | Kind::MismatchedFlowCollectionEnd { .. } => {
            "a closing bracket without its opening one; remove it, or correct it"
        }
        Kind::MappingValueNotAllowed | Kind::MappingKeyNotAllowed | Kind::InvalidColonPlacement => {
            "a key is not allowed here; write it on a line of its own, and quotation marks around text with a colon"
        }
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey => {
            "a colon (`:`) is missing between a key and its value; write it, with a space after it"
        }
        Kind::ExpectedBlockMappingKey
        | Kind::ExpectedBlockSequenceEntry
        | Kind::BlockSequenceEntryNotAllowed
        | Kind::InvalidIndentation
        | Kind::InvalidQuotedScalarIndent
        | Kind::InvalidFlowScalarIndent
        | Kind::InvalidBlockScalarIndent => {
            "the indentation does not match the lines above; write the same number of spaces before all keys of a table, and before all items of a list"
        }
        Kind::UnknownAnchor | Kind::MissingAnchorOrAliasName => {
            "text that begins with `*` or `&` needs quotation marks; write them, or the anchor that an alias refers to"
        }
        Kind::UnexpectedCharacter { .. } => {
            "text that begins with this character needs quotation marks; write them around it"
        }
        Kind::UndeclaredTagHandle | Kind::InvalidTagTerminator | Kind::InvalidTagEscape => {
            "text that begins with `!` needs quotation marks; write them around it"
        }
        Kind::ExpectedDocumentStart | Kind::InvalidDocumentEnd => {
            "text after the end of the document; write the whole file as one table of keys and values"
        }
        _ => return format!("{}; fix this line", escape_and_truncate(&kind.to_string())),
    };
    problem.to_owned()
}
