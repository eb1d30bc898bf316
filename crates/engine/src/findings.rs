//! The evidence of one start while it is collected.

use std::sync::{Mutex, PoisonError};

use mcp_startup_auth::{Mask, RequestLog};
use mcp_startup_core::{Evidence, ProtocolEvidence, StartPhase};
use tokio::sync::mpsc::UnboundedSender;

use crate::event::Progress;

/// How much of an answer that is no MCP is kept, in characters.
const SAMPLE_CHARS: usize = 200;
/// How much of the chain of causes is kept, in characters.
const CAUSE_CHARS: usize = 1000;

/// What is found out while one server starts. Shared by all that take part in the start; each enters what it learns.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The name of the server.
    pub name: String,
    /// The HTTP requests.
    pub log: RequestLog,
    /// The values that the start was given.
    pub mask: Mask,
    evidence: Mutex<Evidence>,
    progress: UnboundedSender<Progress>,
}

impl Findings {
    pub fn new(name: String, mask: Mask, progress: UnboundedSender<Progress>) -> Self {
        let evidence = Evidence {
            server: Some(name.clone()),
            ..Evidence::default()
        };
        Self {
            name,
            log: RequestLog::default(),
            mask,
            evidence: Mutex::new(evidence),
            progress,
        }
    }

    pub fn note(&self, note: impl FnOnce(&mut Evidence)) {
        note(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The start has come to `phase`.
    pub fn enter(&self, phase: StartPhase) {
        self.note(|evidence| evidence.phase = Some(phase));
        // Nobody needs to listen.
        let _ = self.progress.send(Progress::Phase {
            name: self.name.clone(),
            phase,
        });
    }

    pub fn tools(&self, count: Option<usize>) {
        let _ = self.progress.send(Progress::Tools {
            name: self.name.clone(),
            count,
        });
    }

    pub fn phase(&self) -> StartPhase {
        self.evidence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .phase
            .unwrap_or(StartPhase::Configuring)
    }

    /// Why it failed: the error and its causes as one line. What was said of it first, nearest to where it happened, stays.
    pub fn cause(&self, error: &(dyn std::error::Error + 'static)) {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !chain.contains(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            source = cause.source();
        }
        let chain = self.mask.foreign(&chain, CAUSE_CHARS);
        self.note(|evidence| {
            evidence.cause.get_or_insert(chain);
        });
    }

    /// The server has answered, and the answer is no MCP: the beginning of it.
    pub fn not_mcp(&self, answer: &[u8]) {
        let beginning = &answer[..answer.len().min(4 * SAMPLE_CHARS)];
        let shown = self
            .mask
            .foreign(String::from_utf8_lossy(beginning).trim(), SAMPLE_CHARS);
        self.note_protocol(|protocol| protocol.not_mcp = Some(shown));
    }

    pub fn note_protocol(&self, note: impl FnOnce(&mut ProtocolEvidence)) {
        self.note(|evidence| note(evidence.protocol.get_or_insert_default()));
    }

    /// All that was found.
    pub fn evidence(&self) -> Evidence {
        let mut evidence = self
            .evidence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        evidence.requests = self.log.requests();
        evidence
    }
}
