//! How long a watch waits before it restarts a failed server.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use mcp_startup_core::{Evidence, RequestEvidence, RequestTarget};

/// The maximum of the first pause. It doubles with each further failure.
const FIRST: Duration = Duration::from_secs(1);
/// The maximum of any pause, without `Retry-After`.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// The longest `Retry-After` that is honored: no server can prevent its own restarts forever.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// The pause before the next start. `attempt` counts the failures in a row before the last one.
///
/// `random`, from 0 up to 1, is the part of the maximum to wait (full jitter): the many clients of a server that was down must
/// not all return at the same moment. For the same reason it is added to `retry_after`, the time that the server has requested.
pub(crate) fn pause(attempt: u32, random: f64, retry_after: Option<Duration>) -> Duration {
    let longest = FIRST.saturating_mul(2_u32.saturating_pow(attempt));
    let requested = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    requested + longest.min(LONGEST).mul_f64(random)
}

/// A random number from 0 up to 1. It derives from the random keys that the standard library gives each hash map.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    // A float holds 53 bits without rounding up to 1.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The time that the servers have requested by `Retry-After` when the start failed. It is the maximum over the last answers of the
/// MCP server, the token endpoint and discovery, because the next start contacts all of them again.
pub(crate) fn retry_after(evidence: &Evidence, now: SystemTime) -> Option<Duration> {
    use RequestTarget::{Discovery, Mcp, Token};
    let last = |target| {
        let mut requests = evidence.requests.iter().rev();
        requests.find(|request| request.to == Some(target))
    };
    let answers = [Mcp, Token, Discovery].into_iter().filter_map(last);
    answers.filter_map(|answer| requested(answer, now)).max()
}

fn requested(answer: &RequestEvidence, now: SystemTime) -> Option<Duration> {
    // A `Retry-After` counts only if the request has failed.
    let has_failed = !matches!(answer.status, Some(200..300));
    let text = answer.retry_after.as_deref().filter(|_| has_failed)?;
    parse(text.trim(), now)
}

/// Parses both forms of RFC 9110, section 10.2.3: seconds, or a date. A date in the past means zero.
fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit into 64 bits is the maximum.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_are_added_to_retry_after() {
        let seconds = |seconds: Option<f64>| seconds.map(Duration::from_secs_f64);
        for (attempt, random, retry_after, expected) in [
            (0, 1.0, None, 1.0),
            (1, 1.0, None, 2.0),
            (2, 1.0, None, 4.0),
            (8, 1.0, None, 256.0),
            (9, 1.0, None, 300.0),
            (31, 1.0, None, 300.0),
            (u32::MAX, 1.0, None, 300.0),
            (0, 0.0, None, 0.0),
            (0, 0.5, None, 0.5),
            (4, 0.25, None, 4.0),
            (u32::MAX, 0.5, None, 150.0),
            // Never earlier than `Retry-After`.
            (0, 0.0, Some(30.0), 30.0),
            (0, 0.5, Some(30.0), 30.5),
            (9, 0.5, Some(1.0), 151.0),
            (0, 0.5, Some(0.0), 0.5),
            // A `Retry-After` beyond the maximum is cut.
            (0, 0.0, Some(3600.0), 3600.0),
            (0, 0.5, Some(86_400.0), 3600.5),
            (9, 1.0, Some(1e15), 3900.0),
        ] {
            let paused = pause(attempt, random, seconds(retry_after));
            let case = (attempt, random, retry_after);
            assert_eq!(paused, Duration::from_secs_f64(expected), "{case:?}");
        }
    }

    #[test]
    fn both_forms_of_retry_after_are_parsed() {
        // Sun, 06 Nov 1994 08:49:37 GMT: the example of RFC 9110, section 5.6.7.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("007", Some(7)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("120 s", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(
                parse(text, now),
                expected.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn the_last_answer_of_each_server_counts_unless_it_was_a_success() {
        use RequestTarget::{Mcp, Token};
        let answer = |to, status, retry_after: Option<&str>| RequestEvidence {
            to: Some(to),
            status: Some(status),
            retry_after: retry_after.map(str::to_owned),
            ..RequestEvidence::default()
        };
        for (requests, expected) in [
            (vec![], None),
            (vec![answer(Mcp, 503, None)], None),
            (vec![answer(Mcp, 503, Some(" 7 "))], Some(7)),
            // The token endpoint received the first request, and failed.
            (
                vec![answer(Token, 429, Some("30")), answer(Mcp, 401, None)],
                Some(30),
            ),
            (
                vec![answer(Token, 200, Some("30")), answer(Mcp, 503, Some("2"))],
                Some(2),
            ),
            (
                vec![answer(Token, 503, Some("5")), answer(Mcp, 503, Some("9"))],
                Some(9),
            ),
            // A later answer replaces an earlier one.
            (
                vec![answer(Mcp, 503, Some("30")), answer(Mcp, 503, None)],
                None,
            ),
            (vec![answer(Mcp, 200, Some("30"))], None),
        ] {
            let evidence = Evidence {
                requests,
                ..Evidence::default()
            };
            let found = retry_after(&evidence, SystemTime::now());
            assert_eq!(found, expected.map(Duration::from_secs), "{evidence:?}");
        }
    }

    #[test]
    fn random_numbers_are_spread_over_0_to_1() {
        let numbers: Vec<f64> = (0..1000).map(|_| random()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        for tenth in 0..10 {
            let lies_there = |number: &&f64| (**number * 10.0) as u32 == tenth;
            // About 100 are expected. The probability of fewer than 50 is about one in ten million.
            assert!(numbers.iter().filter(lies_there).count() >= 50, "{tenth}");
        }
    }
}
