//! The answer of an MCP server over HTTP: its headers, its body or its event stream, and the evidence that a start keeps of it.
//!
//! The first byte of the input is the size of the chunks in which the body arrives. Then follow the status, header lines, a blank
//! line and the body. `$S` represents a secret of the start, which must not be in the evidence.

#![no_main]

use std::cell::RefCell;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup::fuzzing::read;
use mcp_startup_auth::fuzzing::masking_steps;
use mcp_startup_fuzz::{CountingAllocator, Linear, check_verdict, cost_of};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SECRET: &str = "s3cret-canary-of-this-start";
const MAX_HEADERS: usize = 50;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    static READ: RefCell<bool> = const { RefCell::new(false) };
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((answer, size)) = answer(input) else {
        return Corpus::Reject;
    };
    // The first answer creates what all answers share.
    if !READ.replace(true) {
        RUNTIME.with(|runtime| runtime.block_on(read(Response::new(Vec::new()), SECRET)));
    }
    let mut reading = None;
    let steps = masking_steps(|| {
        let work = || RUNTIME.with(|runtime| runtime.block_on(read(answer, SECRET)));
        reading = Some(cost_of(work));
    });
    let (reading, cost) = reading.expect("the work was done");
    let (allocations, bytes) = (
        Linear { base: 1_000, per_byte: 30 },
        Linear { base: 2_000_000, per_byte: 3_000 },
    );
    cost.assert_linear(size, allocations, bytes);
    let limit = Linear { base: 20_000, per_byte: 200 }.at(size);
    assert!(steps <= limit, "{steps} steps of masking for {size} bytes");
    if std::env::var_os("FUZZ_COST").is_some() {
        println!("{size} bytes: {steps} steps, {cost:?}");
    }

    let mut evidence = reading.evidence;
    assert!(reading.messages <= 1 + size / 20);
    let json = serde_json::to_string(&evidence).expect("evidence is JSON");
    assert!(json.len() <= 40_000, "{} bytes of evidence", json.len());
    assert!(!json.contains(SECRET), "{json}");
    evidence.server = Some("linear".to_owned());
    check_verdict(&evidence);
    Corpus::Keep
});

/// The answer that the input describes, and its size.
fn answer(input: &[u8]) -> Option<(Response<Vec<Bytes>>, usize)> {
    let (&chunk, rest) = input.split_first()?;
    let (&status, rest) = rest.split_first()?;
    const STATUSES: [u16; 12] = [200, 202, 204, 307, 400, 401, 403, 404, 405, 429, 500, 503];
    let mut answer = Response::builder().status(STATUSES[usize::from(status) % STATUSES.len()]);
    let end = rest.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (&rest[..0], rest),
    };
    let head = with_secret(head);
    for line in head.split(|byte| *byte == b'\n').take(MAX_HEADERS) {
        let colon = line.iter().position(|byte| *byte == b':');
        if let Some(colon) = colon
            && let Ok(name) = HeaderName::from_bytes(&line[..colon])
            && let Ok(value) = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
        {
            answer = answer.header(name, value);
        }
    }
    let body = with_secret(body);
    let size = head.len() + body.len();
    let chunks = body.chunks(usize::from(chunk).max(1));
    let body = chunks.map(Bytes::copy_from_slice).collect();
    Some((answer.body(body).ok()?, size))
}

fn with_secret(text: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"$S") {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(SECRET.as_bytes());
        rest = &rest[at + 2..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
