//! HTTP servers, authorization servers and proxies that echo secrets.

use std::sync::Arc;

use crate::echo_server::{echo_servers, serve, share_of_echo_servers};
use crate::echoes::{ECHOES, Endpoint};
use crate::findings::Findings;
use crate::harness::cases::for_each_case;
use crate::places::{NOT_ECHOED, PLACES, PROXY};
use crate::run::{Format, NDJSON, Setup, TABLE, on_this_system};
#[cfg(unix)]
use crate::secrets::ENCODINGS;
use crate::secrets::{BASE64, Encoding, LONG, NEEDS_ESCAPING, PLAIN, VERBATIM, percent_encoded};

#[test]
fn secrets_echoed_by_a_server_do_not_leak() {
    let json = ("json", [PLAIN, NEEDS_ESCAPING, LONG].as_slice());
    check_servers(on_this_system(&[json, TABLE, NDJSON]), &[VERBATIM], 1);
}

/// The encodings are the same on every system, and Wine is slow.
#[cfg(unix)]
#[test]
fn secrets_echoed_by_a_server_in_another_encoding_do_not_leak() {
    check_servers(&[("json", &[NEEDS_ESCAPING])], &ENCODINGS, 4);
}

#[test]
fn proxy_password_echoed_by_the_proxy_does_not_leak() {
    let findings = Findings::default();
    let mcp_echoes: Vec<_> = ECHOES
        .iter()
        .filter(|echo| echo.endpoint == Endpoint::Mcp)
        .collect();
    for_each_case(&mcp_echoes, |echo| {
        for (text, encoding) in [
            (PLAIN, VERBATIM),
            (NEEDS_ESCAPING, VERBATIM),
            (NEEDS_ESCAPING, BASE64),
        ] {
            let servers = Arc::new(echo_servers(&PROXY, &[text], &[encoding]));
            let proxy = serve(&servers, echo);
            let password = percent_encoded(&servers[0].secret);
            let proxy = proxy.base().replace("://", &format!("://me:{password}@"));
            let setup = Setup {
                environment: vec![("HTTP_PROXY".to_owned(), proxy)],
                ..Setup::of(&servers, "http://mcp.example".to_owned())
            };
            findings.add(echo.name, &servers, setup.leaks("json"));
        }
    });
    findings.assert_none(&PROXY, &[]);
}

/// Each echo has one in `share` of the servers.
fn check_servers(formats: &[Format], encodings: &[Encoding], share: usize) {
    let findings = Findings::default();
    let echoes: Vec<_> = ECHOES.iter().enumerate().collect();
    for_each_case(&echoes, |(at, echo)| {
        for (format, texts) in formats {
            let servers = share_of_echo_servers(&PLACES, texts, encodings, *at, share);
            let servers = Arc::new(servers);
            let server = serve(&servers, echo);
            let setup = Setup::of(&servers, server.base());
            findings.add(echo.name, &servers, setup.leaks(format));
        }
    });
    findings.assert_none(&PLACES, &NOT_ECHOED);
}
