//! The evidence of one start while it is collected.

use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::event::Update;
use crate::known::Known;
use mcp_startup_auth::network::Refused;
use mcp_startup_auth::{Discovered, Mask, RequestLog, StoreError};
use mcp_startup_config::EntryProblem;
use mcp_startup_core::{
    ConfigurationEvidence, DiscoveryOutcome, DiscoveryProblem, Evidence, StartPhase, StoreEvidence,
    printable,
};

/// How much of an answer that is no MCP is kept, in characters.
const SAMPLE_CHARS: usize = 200;
/// How much of a URL is kept, in characters.
const URL_CHARS: usize = 500;
/// How much of the chain of causes is kept, in characters.
const CAUSE_CHARS: usize = 1000;
/// How much of the name of a store is kept, in characters.
const STORE_CHARS: usize = 40;

/// What is found out while one server starts. Shared by all that take part in the start; each enters what it learns.
pub(crate) struct Findings {
    /// The name of the server.
    pub name: String,
    /// The HTTP requests.
    pub log: RequestLog,
    /// What is known of its record.
    pub known: Arc<Known>,
    mask: RwLock<Mask>,
    evidence: Mutex<Evidence>,
    not_saved: OnceLock<String>,
    refused: OnceLock<String>,
    tell: Box<dyn Fn(Update) + Send + Sync>,
}

impl Findings {
    pub fn new(name: String, mask: Mask, tell: impl Fn(Update) + Send + Sync + 'static) -> Self {
        let evidence = Evidence {
            server: Some(name.clone()),
            ..Evidence::default()
        };
        Self {
            name,
            log: RequestLog::default(),
            known: Arc::default(),
            mask: RwLock::new(mask),
            evidence: Mutex::new(evidence),
            not_saved: OnceLock::new(),
            refused: OnceLock::new(),
            tell: Box::new(tell),
        }
    }

    pub fn note<T>(&self, note: impl FnOnce(&mut Evidence) -> T) -> T {
        note(&mut self.lock())
    }

    pub fn read<T>(&self, read: impl FnOnce(&Evidence) -> T) -> T {
        read(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The start has been given more that must not come back: what is stored.
    pub fn hide(&self, secrets: impl Iterator<Item = impl AsRef<str>>) {
        let mut mask = self.mask.write().unwrap_or_else(PoisonError::into_inner);
        secrets.for_each(|secret| mask.add(secret.as_ref()));
    }

    /// The entry of the configuration can't be used.
    pub fn misconfigured(&self, problem: &EntryProblem) {
        let shown = self.foreign(&problem.problem, CAUSE_CHARS);
        self.note(|evidence| {
            evidence.configuration = Some(ConfigurationEvidence {
                key: Some(problem.key.clone()),
                line: problem.line,
                problem: Some(shown),
            });
        });
    }

    /// The store can't be used. What it says of that may be a host's own words.
    pub fn store_failed(&self, error: &StoreError) {
        let store = StoreEvidence {
            kind: Some(self.foreign(&error.store, STORE_CHARS)),
            trouble: Some(error.trouble),
            detail: Some(self.foreign(&error.detail, CAUSE_CHARS)),
        };
        self.note(|evidence| evidence.store = Some(store));
    }

    /// What an answer has given since must not come back either.
    fn hide_given(&self) {
        let given = self.log.take_given();
        if !given.is_empty() {
            self.hide(given.iter().map(ExposeSecret::expose_secret));
        }
    }

    /// Foreign text without the secrets in it.
    pub fn hide_in(&self, text: &str) -> String {
        self.hide_given();
        let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
        mask.hide(text)
    }

    /// Foreign text as it may be kept.
    pub fn foreign(&self, text: &str, max_chars: usize) -> String {
        printable(&self.hide_in(text), max_chars)
    }

    /// The start has come to `phase`.
    pub fn enter(&self, phase: StartPhase) {
        self.note(|evidence| evidence.phase = Some(phase));
        let name = self.name.clone();
        (self.tell)(Update::Phase { name, phase });
    }

    pub fn tools(&self, count: Option<usize>) {
        let name = self.name.clone();
        (self.tell)(Update::Tools { name, count });
    }

    pub fn phase(&self) -> StartPhase {
        self.read(|evidence| evidence.phase)
            .unwrap_or(StartPhase::Configuring)
    }

    /// Why a token that was refreshed in this start could not be saved.
    pub fn not_saved(&self) -> Option<String> {
        self.not_saved.get().cloned()
    }

    /// A token that was refreshed in this start could not be saved.
    pub fn could_not_save(&self, error: &StoreError) {
        let _ = self.not_saved.set(self.foreign(&error.detail, CAUSE_CHARS));
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
        let chain = self.foreign(&chain, CAUSE_CHARS);
        self.note(|evidence| {
            evidence.cause.get_or_insert(chain);
        });
    }

    /// What was found of the server's authorization server.
    pub fn discovered(&self, found: &Discovered) {
        if let Some(refused) = &found.refused {
            self.refused(refused);
        }
        self.note(|evidence| evidence.discovered = Some(found.evidence.clone()));
    }

    /// The token endpoint is where none may be asked: what the server publishes can't be used after all.
    pub fn misplaced(&self, refused: &Refused) {
        self.refused(refused);
        self.note(|evidence| {
            let discovered = evidence.discovered.get_or_insert_default();
            discovered.outcome = Some(DiscoveryOutcome::Unusable);
            discovered.problem = Some(DiscoveryProblem::NoAuthorizationServer);
        });
    }

    fn refused(&self, refused: &Refused) {
        let text = self.foreign(&refused.to_string(), CAUSE_CHARS);
        let _ = self.refused.set(text);
    }

    /// The server wants authorization, and that is all that is left to say: if what it names may not be asked, that is why.
    pub fn blame_refused(&self) {
        if let Some(refused) = self.refused.get() {
            self.note(|evidence| evidence.cause = Some(refused.clone()));
        }
    }

    /// The server has answered, and the answer is no MCP: the beginning of it.
    pub fn not_mcp(&self, answer: &[u8]) {
        let beginning = &answer[..answer.len().min(4 * SAMPLE_CHARS)];
        let shown = self.foreign(String::from_utf8_lossy(beginning).trim(), SAMPLE_CHARS);
        self.note(|evidence| {
            evidence.protocol.get_or_insert_default().not_mcp = Some(shown);
        });
    }

    /// All that was found.
    pub fn evidence(&self) -> Evidence {
        self.hide_given();
        let mut evidence = self.lock().clone();
        evidence.requests = self.log.requests();
        // Where a redirect or a document leads, is what the server says: a secret of ours, if it likes.
        let issuer = evidence
            .discovered
            .as_mut()
            .and_then(|found| found.issuer.as_mut());
        let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
        for request in &mut evidence.requests {
            let said = [&mut request.oauth_error, &mut request.retry_after];
            for text in said.into_iter().flatten() {
                *text = printable(&mask.hide_whole(text), URL_CHARS);
            }
        }
        let urls = evidence
            .requests
            .iter_mut()
            .filter_map(|request| request.url.as_mut());
        for url in urls.chain(issuer) {
            *url = printable(&mask.hide_in_url(url), URL_CHARS);
        }
        evidence
    }
}
