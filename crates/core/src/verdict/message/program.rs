//! The messages about a program that has exited or was too slow, with the words of its output.

use std::borrow::Cow;

use crate::evidence::StartPhase;

use super::super::facts::{Facts, text_of};
use super::super::program_output::{
    blames_arguments, blames_installation, blames_javascript, blames_network, blames_python,
    has_instruction, has_windows_line_end, is_error, names_missing_setting, names_missing_variable,
    npm_error, reason, waits_for_lock,
};
use super::next_steps::{Exit, Step};
use super::{FIX_OR_REPORT, Parts, foreign};

/// The next step if the program requires an environment variable.
const SET_OR_REPORT: &str = "; set the variable in `env` of its configuration, or report this: ";

/// The questions of programs before they install something: the words of one, and what prevents it.
const QUESTIONS: [(&str, &str); 3] = [
    (
        "Ok to proceed? (y)",
        "check its `args`, which must begin with `-y`, so that npx does not ask",
    ),
    (
        "will be downloaded from source",
        "check its `args`, which must have `--yes`, so that .NET does not ask",
    ),
    (
        "Corepack is about to download",
        "check its `env`, which must have COREPACK_ENABLE_DOWNLOAD_PROMPT=0, so that Corepack does not ask",
    ),
];

/// What to do if a program asks any other question.
const ANSWER: &str = "check its `args` for an option that answers this question, or run its command once in a terminal and answer it";

const SIGILL: i32 = 4;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;
const SIGBUS_OF_MACOS: i32 = 10;
const SIGSEGV: i32 = 11;
// The codes of Windows.
const STATUS_ACCESS_VIOLATION: i32 = 0xC000_0005_u32.cast_signed();
const STATUS_ILLEGAL_INSTRUCTION: i32 = 0xC000_001D_u32.cast_signed();
const STATUS_DLL_NOT_FOUND: i32 = 0xC000_0135_u32.cast_signed();

impl Facts<'_> {
    /// Returns what to do if more time may help, with the last words of the program.
    pub(super) fn out_of_time(&self, happened: String) -> Parts {
        let key = text_of(&self.evidence.limit_key)
            .map_or_else(String::new, |key| format!(" (`{}`)", foreign(key)));
        let more_time = format!("give it more time{key}");
        let process = self.evidence.process.as_ref();
        if let Some((output, question)) = self.question() {
            let known = QUESTIONS.iter().find(|(words, _)| output.contains(words));
            let step = known.map_or(ANSWER, |(_, step)| *step);
            return Parts::new(happened, format!("; {step}; its output: ")).with_output(&question);
        }
        if let Some(request) = self.request() {
            let todo = ": do what it asks, and try again; its last words: ";
            return Parts::new(happened, todo).with_output(&request);
        }
        let words = self
            .protocol_error()
            .map(str::to_owned)
            .or_else(|| self.last_words());
        if let Some(stdout) = self.stdout() {
            let line = reason(stdout, true).unwrap_or_else(|| stdout.to_owned());
            let todo = format!(
                "; check its `command`, which must start an MCP server over stdio, or {more_time}; its output: "
            );
            return Parts::new(happened, todo).with_output(&line);
        }
        let step = words
            .as_deref()
            .and_then(|line| self.step_while_waiting(line));
        match words {
            Some(line) => {
                let (todo, cause) = match step {
                    Some(Step { todo, cause }) => (format!(": {todo}, and try again"), cause),
                    None => (format!(": try again, or {more_time}"), ""),
                };
                Parts::new(happened, todo + "; its last words: ")
                    .with_output(&line)
                    .about(cause)
            }
            None => match process.and_then(|process| text_of(&process.package)) {
                Some(package) => Parts::new(
                    format!(
                        "{happened}: {} may still be installing {}",
                        self.program(),
                        foreign(package)
                    ),
                    format!("; {more_time}, or run its command once in a terminal and try again"),
                ),
                None => Parts::new(happened, format!(": try again, or {more_time}")),
            },
        }
    }

    /// Returns what prevents a line on stdout that the program did not write itself.
    pub(super) fn step_to_silence(&self, line: &str) -> Option<&'static str> {
        const STEPS: [(&str, &str); 3] = [
            (
                "[dotenv@",
                "; set DOTENV_CONFIG_QUIET=true in `env`, or report this to its author: ",
            ),
            (
                "◇ injected env",
                "; set DOTENV_CONFIG_QUIET=true in `env`, or report this to its author: ",
            ),
            ("> ", "; write `--silent` after `run` in `args`: "),
        ];
        let (words, step) = STEPS.iter().find(|(words, _)| line.starts_with(words))?;
        (*words != "> " || self.runs_npm()).then_some(*step)
    }

    /// Returns what to do about the error that a program has reported while it waits for something, if it names its cause.
    fn step_while_waiting(&self, line: &str) -> Option<Step> {
        const SET: Step = Step {
            todo: "set the variable in `env` of its configuration",
            cause: "",
        };
        // The steps are those of a program on this machine.
        self.evidence.process.as_ref()?;
        let of_cause = || self.exit(line).next_step();
        let of_variable = || names_missing_variable(line).then_some(SET);
        let waits = is_error(line) || waits_for_lock(line);
        waits.then(|| of_cause().or_else(of_variable))?
    }

    /// Returns the reason in the last words of a program that still runs.
    pub(in crate::verdict) fn last_words(&self) -> Option<String> {
        let process = self.evidence.process.as_ref();
        let stderr = process.and_then(|process| text_of(&process.stderr))?;
        reason(stderr, true)
    }

    pub(super) fn exited(&self, server: &str) -> Parts {
        let process = self.evidence.process.as_ref();
        let how = match process.map(|process| (process.exit, process.signal)) {
            Some((_, Some(signal))) => format!("was killed by signal {signal}"),
            Some((Some(code), None)) => format!("exited with {code}"),
            _ => "exited".to_owned(),
        };
        let stderr = process.and_then(|process| text_of(&process.stderr));
        // An error of the server has more information than a line of its log.
        let error = self.protocol_error().filter(|_| !self.has_generic_error());
        let line = stderr
            .and_then(|text| reason(text, false))
            .filter(|line| error.is_none() || is_error(line))
            // Some programs report errors, or their usage, on stdout.
            .or_else(|| {
                let line = reason(self.stdout()?, false)?;
                (error.is_none() || is_error(&line)).then_some(line)
            })
            .or_else(|| self.protocol_error().map(str::to_owned));
        let happened = format!("{server}: {} {how} before it was ready", self.program());
        match line {
            Some(line) => match self.exit(&line).next_step() {
                Some(Step { todo, cause }) => {
                    Parts::new(happened, format!("; {todo}, or report this: ")).about(cause)
                }
                None => Parts::new(happened, self.how_to_fix(&line)),
            }
            .with_output(&line),
            None if self.evidence.phase == Some(StartPhase::ListingTools) => Parts::new(
                format!(
                    "{server}: {} {how} after the handshake and reported no reason",
                    self.program()
                ),
                ": check its settings and whether it can reach what it needs, such as a database, or contact its author",
            ),
            None => Parts::new(happened + " and reported no reason", self.how_to_see_more()),
        }
    }

    /// Returns the next step after the reason that a program reported.
    fn how_to_fix(&self, reason: &str) -> &'static str {
        let process = self.evidence.process.as_ref();
        let is_installed = process.is_some_and(|process| text_of(&process.package).is_some());
        match is_installed && blames_installation(reason) {
            true if self.runs_npm() => {
                "; its packages are damaged or do not match: delete npm's folder `_npx`, try another version, or report this: "
            }
            true => "; its packages do not match: try another version of it, or report this: ",
            false if blames_python(reason) => {
                "; write `--python` and a version that it supports before its package in `args`, or report this: "
            }
            false if blames_network(reason) => {
                "; check your network and the addresses in its settings, or report this: "
            }
            false if has_windows_line_end(reason) => {
                "; save its file with the line endings of Unix (LF), or report this: "
            }
            false if names_missing_variable(reason) => SET_OR_REPORT,
            false if blames_javascript(reason) => {
                "; it has a fault: try another version of it or of Node, or report this: "
            }
            false if has_instruction(reason) => "; follow its instruction, or report this: ",
            false if blames_arguments(reason) => {
                "; correct `args` of its configuration, or report this: "
            }
            false if names_missing_setting(reason) => {
                "; set it in `env` or `args` of its configuration, or report this: "
            }
            false => FIX_OR_REPORT,
        }
    }

    /// Returns what to do if the system has ended the program. A container and a shell add 128 to the number of the signal that has ended
    /// their program. On Windows, the code of such an exit is negative.
    fn step_after_signal(&self) -> Option<&'static str> {
        const STEPS: [(&[i32], &str); 4] = [
            (
                &[SIGKILL],
                ": the system may have killed it; free memory, allow the program in the security settings of macOS, or contact its author",
            ),
            (
                &[SIGILL, STATUS_ILLEGAL_INSTRUCTION],
                ": it may be for another processor; install its build for this processor, or contact its author",
            ),
            (
                &[
                    SIGABRT,
                    SIGBUS,
                    SIGBUS_OF_MACOS,
                    SIGSEGV,
                    STATUS_ACCESS_VIOLATION,
                ],
                ": it crashed; try another version of it, or contact its author",
            ),
            (
                &[STATUS_DLL_NOT_FOUND],
                ": a library (DLL) that it requires is missing; install it again, or contact its author",
            ),
        ];
        let process = self.evidence.process.as_ref()?;
        let of_child = process.exit.map(|code| match code {
            ..0 => code,
            _ => code - 128,
        });
        let signal = process.signal.or(of_child)?;
        if signal == SIGKILL && self.runs_container() {
            return Some(
                ": its container was killed; give the container more memory, or contact its author",
            );
        }
        let found = STEPS.iter().find(|(signals, _)| signals.contains(&signal));
        found.map(|(_, step)| *step)
    }

    fn exit<'a>(&'a self, reason: &'a str) -> Exit<'a> {
        let process = self.evidence.process.as_ref();
        Exit {
            reason,
            is_npm: self.runs_npm(),
            is_container: self.runs_container(),
            package: process.and_then(|process| text_of(&process.package)),
            code: process.and_then(|process| process.exit),
        }
    }

    /// Returns whether the program runs containers.
    fn runs_container(&self) -> bool {
        matches!(self.program_name(), Some("docker" | "podman"))
    }

    /// Returns whether the program is npm, or a shell that has started it.
    fn runs_npm(&self) -> bool {
        const SHELLS: [&str; 6] = ["cmd", "env", "sh", "bash", "zsh", "dash"];
        let name = self.program_name();
        let process = self.evidence.process.as_ref();
        let is_npm = |line: &str| npm_error(line).is_some();
        let has_lines = || {
            let stderr = process.and_then(|process| text_of(&process.stderr));
            stderr.is_some_and(|stderr| stderr.lines().any(is_npm))
        };
        matches!(name, Some("npx" | "npm"))
            || (name.is_some_and(|name| SHELLS.contains(&name)) && has_lines())
    }

    /// Returns the name of the program, without its folder and its type.
    fn program_name(&self) -> Option<&str> {
        let process = self.evidence.process.as_ref();
        let program = process.and_then(|process| text_of(&process.program))?;
        program.rsplit(['/', '\\']).next()?.split('.').next()
    }

    /// Returns what to do if a program reported no reason. `npx` does not report why it can't install a package, also not in a
    /// terminal. If it exits with 0, it has installed the package.
    fn how_to_see_more(&self) -> Cow<'static, str> {
        if let Some(step) = self.step_after_signal() {
            return step.into();
        }
        let process = self.evidence.process.as_ref().filter(|_| self.runs_npm());
        let package = process.and_then(|process| text_of(&process.package));
        let exit = process.and_then(|process| process.exit);
        match package {
            Some(package) if exit == Some(0) => format!(
                ": the program of {} ended without an error; try another version of it, or contact its author",
                foreign(package)
            )
            .into(),
            Some(package) => format!(
                ": run `npm install {}` in an empty folder to see whether it can be installed, or contact its author",
                foreign(package)
            )
            .into(),
            None => {
                ": run its command in a terminal to see more, or contact its author".into()
            }
        }
    }
}
