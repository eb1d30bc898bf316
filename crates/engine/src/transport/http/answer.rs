//! Reads the body of an answer: within a limit, without its content encoding, and as UTF-8.

use std::time::Duration;

use futures::StreamExt;
use http::header::CONTENT_TYPE;
use mcp_startup_auth::RequestLog;
use mcp_startup_auth::network::{BodyError, SentRequest, decoded_body};
use mcp_startup_core::{CredentialSent, IoTrouble};

use super::{EVENTS, Failure, failure};
use crate::start::evidence_collector::EvidenceCollector;
use crate::transport::large_messages::{Dropped, LargeMessage};
use crate::transport::message_buffer::MessageBuffer;
use crate::transport::text_encoding::{as_utf8, is_utf8};

/// How much is read of an answer that can't be an MCP message, in bytes. Only its beginning is shown.
const MAX_SAMPLE_BYTES: usize = 4096;
/// How much is read of the body of an error response, in bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long the body of an error response may take. The status is enough for a verdict.
const ERROR_BODY_TIME: Duration = Duration::from_secs(1);

/// A response of the server, the entry of its request in the log, and the credential that was sent.
pub(super) struct Answer {
    pub response: reqwest::Response,
    pub sent: SentRequest,
    pub credential_sent: CredentialSent,
    /// Whether the request had a session ID.
    pub sent_session: bool,
}

/// The body of an answer, with its place among the large messages.
pub(super) struct Body {
    pub bytes: MessageBuffer,
    pub sent: SentRequest,
    large: LargeMessage,
}

impl Body {
    /// Replaces the bytes by fewer ones, which need no place among the large messages.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes.into();
        self.large = LargeMessage::default();
    }
}

impl Answer {
    /// Reads at most `limit` bytes, which count towards the limit of the start.
    pub async fn body(self, limit: usize, collector: &EvidenceCollector) -> Result<Body, Failure> {
        let content_type = content_type(&self.response);
        let mut body = MessageBuffer::default();
        let mut large = LargeMessage::default();
        let mut chunks = decoded_body(self.response);
        let dropped = |dropped: Dropped| {
            self.sent
                .note(|evidence| evidence.io = Some(IoTrouble::Timeout));
            failure(dropped)
        };
        while let Some(chunk) = large.next(&mut chunks).await.map_err(dropped)? {
            let note = |error: &BodyError| {
                let trouble = error.trouble();
                self.sent.note(|evidence| evidence.io = Some(trouble));
            };
            let chunk = chunk.inspect_err(note).map_err(failure)?;
            collector.log.received(chunk.len()).map_err(failure)?;
            if body.len() + chunk.len() > limit {
                let error = BodyError::TooLarge(limit);
                note(&error);
                return Err(failure(error));
            }
            let held = body.len() + chunk.len();
            large.wait(held, collector).await.map_err(dropped)?;
            body.add(&chunk, limit);
        }
        Ok(Body {
            bytes: match is_utf8(&body, &content_type) {
                true => body,
                false => as_utf8(body.to_vec(), &content_type).into(),
            },
            sent: self.sent,
            large,
        })
    }

    /// Reads the beginning of an answer that can't be an MCP message.
    pub async fn beginning(self) -> Vec<u8> {
        let content_type = content_type(&self.response);
        as_utf8(
            beginning(self.response, MAX_SAMPLE_BYTES, None).await,
            &content_type,
        )
    }

    /// Reads the body of an error response, or as much as arrives in time, and returns it with the entry of the request.
    pub async fn error_body(self, log: &RequestLog) -> (Vec<u8>, SentRequest) {
        let content_type = content_type(&self.response);
        let body = beginning(self.response, MAX_ERROR_BYTES, Some(log)).await;
        let mut body = as_utf8(body, &content_type);
        if content_type.starts_with(EVENTS)
            && let Some(data) = data_of_event(&body)
        {
            body = data;
        }
        (body, self.sent)
    }
}

/// Returns the data of the first event in a stream that has some. A gateway can send an error with a status as an event.
fn data_of_event(body: &[u8]) -> Option<Vec<u8>> {
    let mut data: Vec<u8> = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if let Some(text) = line.strip_prefix(b"data:") {
            data.extend_from_slice(text.trim_ascii_start());
        } else if line.is_empty() && !data.is_empty() {
            break;
        }
    }
    (!data.is_empty()).then_some(data)
}

/// Reads at least `enough` bytes, unless the body ends, breaks or takes too long.
async fn beginning(
    response: reqwest::Response,
    enough: usize,
    log: Option<&RequestLog>,
) -> Vec<u8> {
    let mut body = Vec::new();
    let mut chunks = decoded_body(response);
    let reading = async {
        while body.len() < enough
            && let Some(Ok(chunk)) = chunks.next().await
            && log.is_none_or(|log| log.received(chunk.len()).is_ok())
        {
            body.extend_from_slice(&chunk);
        }
    };
    // The part that has arrived is enough.
    let _ = tokio::time::timeout(ERROR_BODY_TIME, reading).await;
    body
}

pub(super) fn content_type(response: &reqwest::Response) -> String {
    let value = response.headers().get(CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}
