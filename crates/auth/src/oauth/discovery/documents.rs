//! Fetches metadata documents, within the limits of a discovery, and records the requests.

use mcp_startup_core::{
    CredentialSent, DiscoveryProblem, IoTrouble, RequestEvidence, RequestTarget, printable,
};
use rmcp::transport::auth::WWWAuthenticateParams;
use url::Url;

use crate::network::{
    BlockedRequest, GuardedClient, GuardedClientError, RequestLog, SentRequest, bare_url,
    challenges, read_body, retry_after,
};
use crate::oauth::endpoint::MAX_URL_BYTES;

/// The size limit of a metadata document: 1 MB.
pub(super) const MAX_DOCUMENT_BYTES: usize = 1_000_000;
/// The number of redirects that are followed for each document.
const MAX_REDIRECTS: usize = 3;
/// The number of documents that one discovery requests, and of its requests. Each redirect is another request.
pub(super) const MAX_DOCUMENTS: usize = 8;
pub(super) const MAX_REQUESTS: usize = 16;
/// The maximum length of a recorded `Retry-After`, in characters.
const RETRY_AFTER_CHARS: usize = 100;
/// The header that MCP asks clients to send with discovery requests (MCP 2025-03-26, authorization).
const PROTOCOL_VERSION: (&str, &str) = ("mcp-protocol-version", "2024-11-05");

/// The result of requesting a document.
pub(super) enum Document {
    /// The body of a response with the status 200. A body that is too large is empty.
    Found(Vec<u8>),
    /// There is no document.
    Missing,
    /// The response was 401. Its challenges have these URLs of protected-resource metadata.
    Challenged(Vec<Url>),
}

/// A document could not be fetched now, so it is unknown whether there is one: the request failed, the status was 408, 425, 429
/// or 5xx, or the start has exceeded a limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// The status of the response is 500 or 501, with which some servers respond to any unknown path.
    Broken,
    /// The status of the response is another one.
    ByStatus,
    /// There was no complete response, or the start has exceeded a limit. Another document of the same server is not better.
    WithoutResponse,
}

/// Fetches the documents of one discovery.
pub(super) struct Documents<'a> {
    pub guarded: &'a GuardedClient,
    /// The URL of the MCP server. No redirect leads to it, because a GET request can open an event stream that never ends.
    pub server: &'a Url,
    pub log: &'a RequestLog,
    /// The HTTP status of the first document, which is the one that the challenge points to, if any.
    pub first_status: Option<u16>,
    /// The first blocked request, and the problem with the metadata that results from it.
    pub blocked: Option<(BlockedRequest, DiscoveryProblem)>,
    documents_left: usize,
    requests_left: usize,
}

impl<'a> Documents<'a> {
    pub fn new(guarded: &'a GuardedClient, server: &'a Url, log: &'a RequestLog) -> Self {
        Self {
            guarded,
            server,
            log,
            first_status: None,
            blocked: None,
            documents_left: MAX_DOCUMENTS,
            requests_left: MAX_REQUESTS,
        }
    }

    /// Fetches a document. `problem` is that of the metadata if the request is blocked.
    pub async fn fetch(
        &mut self,
        url: Url,
        problem: DiscoveryProblem,
    ) -> Result<Document, Unavailable> {
        let Some((response, sent)) = self.response(url, problem).await? else {
            self.first_status.get_or_insert(404);
            return Ok(Document::Missing);
        };
        let status = response.status().as_u16();
        self.first_status.get_or_insert(status);
        match status {
            200 => {}
            401 => return Ok(Document::Challenged(self.pointers(&response))),
            500 | 501 => return Err(Unavailable::Broken),
            408 | 425 | 429 | 502.. => return Err(Unavailable::ByStatus),
            _ => return Ok(Document::Missing),
        }
        let body = match read_body(response, MAX_DOCUMENT_BYTES).await {
            Ok(body) => body,
            Err(error) => {
                let trouble = error.trouble();
                sent.note(|noted| noted.io = Some(trouble));
                if trouble != IoTrouble::TooLarge {
                    return Err(Unavailable::WithoutResponse);
                }
                // No metadata is this large.
                let received = self.log.received(MAX_DOCUMENT_BYTES);
                return match received {
                    Ok(()) => Ok(Document::Found(Vec::new())),
                    Err(_) => Err(Unavailable::WithoutResponse),
                };
            }
        };
        match self.log.received(body.len()) {
            Ok(()) => Ok(Document::Found(body)),
            Err(_) => Err(Unavailable::WithoutResponse),
        }
    }

    /// Sends the request and follows its redirects. Returns `None` if a request is blocked, if the redirects lead to no
    /// document, or if the discovery has requested too many documents.
    async fn response(
        &mut self,
        mut url: Url,
        problem: DiscoveryProblem,
    ) -> Result<Option<(reqwest::Response, SentRequest)>, Unavailable> {
        if self.documents_left == 0 {
            return Ok(None);
        }
        for redirects in 0..=MAX_REDIRECTS {
            if url.as_str().len() > MAX_URL_BYTES || self.requests_left == 0 {
                return Ok(None);
            }
            let sent = self.log.try_sent(RequestEvidence {
                to: Some(RequestTarget::Discovery),
                url: Some(bare_url(&url)),
                credential_sent: Some(CredentialSent::None),
                ..RequestEvidence::default()
            });
            let sent = sent.map_err(|_| Unavailable::WithoutResponse)?;
            let executed = self.guarded.execute(get(&url)).await;
            if let Err(GuardedClientError::Blocked(blocked)) = executed {
                sent.not_sent();
                self.blocked.get_or_insert((blocked, problem));
                return Ok(None);
            }
            if redirects == 0 {
                self.documents_left -= 1;
            }
            self.requests_left -= 1;
            let response = executed.map_err(|error| {
                sent.note(|noted| noted.io = Some(error.trouble()));
                Unavailable::WithoutResponse
            })?;
            let retry_after = retry_after(response.status(), response.headers());
            sent.note(|noted| {
                noted.status = Some(response.status().as_u16());
                noted.retry_after = retry_after.map(|text| printable(&text, RETRY_AFTER_CHARS));
            });
            if !response.status().is_redirection() {
                return Ok(Some((response, sent)));
            }
            match location(&url, &response).filter(|next| next != self.server) {
                Some(next) => url = next,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn pointers(&self, response: &reqwest::Response) -> Vec<Url> {
        challenges(response.headers())
            .filter_map(|challenge| pointer(challenge.to_str().ok()?, self.server))
            .take(MAX_DOCUMENTS)
            .collect()
    }
}

/// The URL of protected-resource metadata in a challenge, if it may be followed.
pub(super) fn pointer(challenge: &str, server: &Url) -> Option<Url> {
    WWWAuthenticateParams::parse(challenge, server).resource_metadata_url
}

fn get(url: &Url) -> reqwest::Request {
    let mut request = reqwest::Request::new(reqwest::Method::GET, url.clone());
    let (name, version) = PROTOCOL_VERSION;
    let version = http::HeaderValue::from_static(version);
    request.headers_mut().insert(name, version);
    request
}

/// The target of a redirect that a GET request may follow (RFC 9110, section 15.4).
fn location(url: &Url, response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(http::header::LOCATION)?;
    let mut next = url.join(location.to_str().ok()?).ok()?;
    next.set_fragment(None);
    Some(next)
}
