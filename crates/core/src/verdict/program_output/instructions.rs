//! Instructions for the user below an error, and the values that a program offers. They are added to the error.

use super::causes::{INSTRUCTIONS, points_to_help};
use super::line_kinds::is_noise;

/// The length up to which an instruction of the program is added to its reason, in characters.
const INSTRUCTION_CHARS: usize = 200;
/// How many lines after the reason are searched for an instruction.
pub(super) const INSTRUCTION_LINES: usize = 6;

/// Adds the line that tells the user what to do, if there is one soon after the reason and both are short.
pub(super) fn with_instruction(lines: &[&str], at: usize, text: String) -> String {
    if let Some(instruction) = instruction_after(lines, at, &text) {
        return with_sentence(&text, &instruction);
    }
    match offered(lines, at) {
        Some(offered) => format!("{text} {offered}"),
        None => text,
    }
}

/// Returns a text and the sentence after it.
pub(super) fn with_sentence(text: &str, sentence: &str) -> String {
    let end = if text.ends_with(['.', '!', '?', ':']) {
        ""
    } else {
        "."
    };
    format!("{text}{end} {sentence}")
}

/// Returns the instruction that follows a line soon, and is short enough to be added to a text.
pub(super) fn instruction_after(lines: &[&str], at: usize, text: &str) -> Option<String> {
    let following = lines.iter().enumerate().skip(at + 1);
    let mut instructions = following.take(INSTRUCTION_LINES).filter(|(_, line)| {
        (is_instruction(line) || quotes_command(line)) && !text.contains(line.trim())
    });
    let (at, line) = instructions.next()?;
    let line = line.trim();
    let mut instruction = line.strip_prefix("- ").unwrap_or(line).to_owned();
    if instruction.ends_with(':') {
        let command = lines[at + 1..].iter().find(|line| !is_noise(line))?.trim();
        let command = command.strip_prefix("$ ").unwrap_or(command);
        let is_command = command.starts_with(|first: char| first.is_ascii_lowercase());
        if !is_command || command.ends_with(':') {
            return None;
        }
        instruction.push(' ');
        instruction.push_str(command);
    }
    let length = text.chars().count() + instruction.chars().count();
    (length < INSTRUCTION_CHARS).then_some(instruction)
}

/// Whether a line tells the user what to do. The text of a frame is indented by a space.
pub(super) fn is_instruction(line: &str) -> bool {
    let text = line.strip_prefix(' ').unwrap_or(line);
    let text = text.strip_prefix("- ").unwrap_or(text);
    let begins = INSTRUCTIONS
        .iter()
        .chain(&["Alternatively, ", "Trust "])
        .any(|beginning| text.starts_with(beginning));
    let introduces = text.trim_end().ends_with(". Please run:");
    (begins || introduces || is_remedy(text)) && !points_to_help(line)
}

/// Whether a line names the command for a purpose, such as "To install the missing version, run `gem install acme`".
pub(super) fn is_remedy(line: &str) -> bool {
    const VERBS: [&str; 6] = [
        " run `",
        " run '",
        " run: ",
        " using `",
        " using '",
        " running `",
    ];
    line.starts_with("To ") && VERBS.iter().any(|verb| line.contains(verb))
}

/// Whether a line below an error tells the user to run a command, after a name or in a list.
fn quotes_command(line: &str) -> bool {
    ["Please run '", "Please run `"]
        .iter()
        .any(|words| line.contains(words))
}

/// Returns the line after the reason that introduces a list of possible values, with the first ones.
fn offered(lines: &[&str], at: usize) -> Option<String> {
    const MAX_VALUES: usize = 3;
    let introduction = lines.get(at + 1)?.trim();
    let is_introduction = (introduction.starts_with("The following ")
        && introduction.ends_with(" available:"))
        || (introduction.starts_with("Available ") && introduction.ends_with(':'));
    if !is_introduction {
        return None;
    }
    let values = lines[at + 2..].iter().map_while(|line| {
        let text = line.trim();
        let indented = line.starts_with("  ").then_some(text);
        text.strip_prefix("- ").or(indented)
    });
    let values: Vec<&str> = values.take(MAX_VALUES).collect();
    Some(format!("{introduction} {}", values.join(", ")))
}
