//! Properties of the verdict, and of the functions that it uses.

use mcp_startup_core::{
    AccessTokenWorth, CredentialFacts, CredentialSource, Evidence,
    McpServerStatusUpdatedNotification as Notification, Recovery, RequestTarget,
    StartupFailureKind, assess, decode, encode, judge, printable, refusal,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::actions::says_what_to_do;
use crate::any_evidence::{any_evidence, optional_text};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_evidence_has_a_verdict(evidence in any_evidence()) {
        let failure = judge(evidence.clone());
        prop_assert_eq!(failure.evidence(), &evidence);
        let message = failure.message();
        prop_assert!(!message.is_empty());
        prop_assert!(message.chars().count() <= 300, "{} characters", message.chars().count());
        prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        if let Some(server) = &evidence.server
            && server.chars().all(|c| c.is_ascii_graphic())
            && printable(server, usize::MAX).len() <= 60
        {
            prop_assert!(message.contains(&printable(server, 60)), "{message:?} does not name {server:?}");
        }
        prop_assert!(says_what_to_do(message, failure.recovery()), "{message:?} has no next step");
        let is_spent = failure.kind() == StartupFailureKind::ReauthenticationRequired;
        prop_assert_eq!(failure.reason().is_some(), is_spent);
        if is_spent {
            let source = evidence.credential.as_ref().and_then(|credential| credential.source);
            prop_assert_eq!(source, Some(CredentialSource::Stored));
            let last = evidence.requests.iter().rev().find(|request| request.to == Some(RequestTarget::Mcp));
            prop_assert_eq!(last.and_then(|request| request.status), Some(401), "the server requires authorization");
        }
        if failure.kind() == StartupFailureKind::SignInHeldByClient {
            prop_assert_eq!(failure.recovery(), Recovery::OpenClient);
            prop_assert!(evidence.held_sign_in.is_some());
            let source = evidence.credential.as_ref().and_then(|credential| credential.source);
            prop_assert!(matches!(source, None | Some(CredentialSource::None)), "our own credential takes precedence");
        }
        let notification = Notification::from_failure("x", &failure);
        prop_assert_eq!(notification.failure_reason().cloned(), failure.reason());
        prop_assert_eq!(decode(encode(&notification).as_bytes()), Ok(Some(notification)));
        // Bindings pass evidence as JSON.
        let json = serde_json::to_string(&evidence).unwrap();
        prop_assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), evidence);
    }

    #[test]
    fn any_facts_have_a_worth(
        access_token in any::<bool>(),
        refresh_token in any::<bool>(),
        expires_at_ms in any::<Option<i64>>(),
        now in any::<i64>(),
    ) {
        let facts = CredentialFacts { access_token, refresh_token, expires_at_ms };
        let worth = assess(&facts, now);
        prop_assert_eq!(worth.refresh_token, refresh_token);
        prop_assert_eq!(worth.access_token == AccessTokenWorth::Absent, !access_token);
        let _ = worth.first_request();
    }

    #[test]
    fn reading_an_error_code_never_panics(bytes in vec(any::<u8>(), 0..60), status in any::<Option<u16>>(), code in optional_text()) {
        let _ = refusal::error_code(&bytes);
        let _ = refusal::meaning(status, code.as_deref(), None);
    }
}
