//! The endpoints in the metadata of an authorization server, as a client may use them.
//!
//! The authorization server may add parameters of its own to an endpoint, such as a tenant. It must not choose the
//! parameters of the client's request, because the parameter that is read first or last can win.

use rmcp::transport::auth::AuthorizationMetadata;
use url::Url;

/// The maximum length of a URL that a server supplies, in bytes.
pub(crate) const MAX_URL_BYTES: usize = 2000;

/// The names of the request parameters in the IANA registry of OAuth parameters, in the form of [`plain`].
const REQUEST_PARAMETERS: [&str; 33] = [
    "acrvalues",
    "assertion",
    "authorizationdetails",
    "claims",
    "claimslocales",
    "clientassertion",
    "clientassertiontype",
    "clientid",
    "clientsecret",
    "codechallenge",
    "codechallengemethod",
    "codeverifier",
    "display",
    "dpopjkt",
    "granttype",
    "idtokenhint",
    "loginhint",
    "maxage",
    "nonce",
    "redirecturi",
    "refreshtoken",
    "registration",
    "request",
    "requestedtokentype",
    "requesturi",
    "resource",
    "responsemode",
    "responsetype",
    "scope",
    "state",
    "subjecttoken",
    "subjecttokentype",
    "uilocales",
];

/// The URL of an endpoint, without the parameters that only the client may set.
///
/// Returns `None` if the endpoint must not be used: it is not a URL, it is too long, or it has a fragment (RFC 6749,
/// sections 3.1 and 3.2) or a user name, which can make its host look like another one.
pub(crate) fn endpoint(published: &str) -> Option<Url> {
    parse(published, |_| false)
}

/// The authorization endpoint, by the rules of [`endpoint`].
///
/// An `audience` has the same effect as a `resource`, so an authorization server may set it only for an endpoint at its
/// own origin.
pub(crate) fn authorization_endpoint(metadata: &AuthorizationMetadata) -> Option<Url> {
    let issuer = metadata.issuer.as_deref();
    let issuer = issuer.and_then(|issuer| Url::parse(issuer).ok());
    parse(&metadata.authorization_endpoint, |url| {
        issuer.is_some_and(|issuer| issuer.origin() == url.origin())
    })
}

fn parse(published: &str, may_set_audience: impl FnOnce(&Url) -> bool) -> Option<Url> {
    if published.len() > MAX_URL_BYTES {
        return None;
    }
    let mut url = Url::parse(published).ok()?;
    let is_safe = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !is_safe || url.cannot_be_a_base() {
        return None;
    }
    let may_set_audience = may_set_audience(&url);
    let may_set = |name: &str, value: &str| match plain(name).as_str() {
        "audience" => may_set_audience,
        // The user must be able to see the sign-in.
        "prompt" => !value
            .split_ascii_whitespace()
            .any(|prompt| prompt.eq_ignore_ascii_case("none")),
        name => !REQUEST_PARAMETERS.contains(&name),
    };
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let kept: Vec<_> = pairs
        .iter()
        .filter(|(name, value)| may_set(name, value))
        .collect();
    if kept.len() < pairs.len() {
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    Some(url)
}

/// The letters and digits of a parameter name, in lower case. Some servers ignore the case, and read `redirect.uri` or
/// `redirect_uri[]` as `redirect_uri`.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_with_a_user_name_or_a_fragment_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        for published in [
            "https://user@a.example/token",
            "https://user:password@a.example/token",
            "https://:password@a.example/token",
            "https://good.example%2Fauthorize@a.example/token",
            "https://a.example/token#",
            "https://a.example/token#part",
            "/token",
            "data:text/html,x",
            "",
            &long,
        ] {
            assert_eq!(endpoint(published), None, "{published}");
        }
    }

    #[test]
    fn an_endpoint_keeps_only_parameters_that_are_not_the_clients() {
        for (query, kept) in [
            ("", ""),
            ("?", "?"),
            ("?tenant=1&p=%7Eb&p=2", "?tenant=1&p=%7Eb&p=2"),
            ("?state=s", ""),
            ("?State=s&STATE=t&tenant=1", "?tenant=1"),
            ("?%73tate=s", ""),
            ("?redirect_uri=https://b.example&redirect_uri=x", ""),
            ("?redirect.uri=x&redirect_uri[]=x&redirect+uri=x", ""),
            ("?response_type=token&response_mode=form_post", ""),
            ("?client_id=c&client_secret=s&scope=all&nonce=n", ""),
            ("?code_challenge=c&code_challenge_method=plain", ""),
            ("?code_verifier=v&grant_type=g&refresh_token=r", ""),
            ("?resource=https://victim.example&Resource=x", ""),
            ("?request=j&request_uri=u&claims=c&login_hint=h", ""),
            ("?authorization_details=%5B%5D&dpop_jkt=j", ""),
            ("?audience=victim", ""),
            ("?prompt=login", "?prompt=login"),
            ("?prompt=none", ""),
            ("?prompt=login+None", ""),
        ] {
            let url = endpoint(&format!("https://a.example/token{query}"));
            let expected = format!("https://a.example/token{kept}");
            assert_eq!(url.unwrap().as_str(), expected, "{query}");
        }
    }

    #[test]
    fn only_an_endpoint_of_the_issuer_may_set_an_audience() {
        for (issuer, expected) in [
            (
                Some("https://a.example/tenant"),
                "https://a.example/authorize?audience=x",
            ),
            (Some("https://evil.example"), "https://a.example/authorize"),
            (None, "https://a.example/authorize"),
        ] {
            let mut metadata = AuthorizationMetadata::default();
            metadata.issuer = issuer.map(str::to_owned);
            metadata.authorization_endpoint = "https://a.example/authorize?audience=x".to_owned();
            let url = authorization_endpoint(&metadata).unwrap();
            assert_eq!(url.as_str(), expected, "{issuer:?}");
        }
    }
}
