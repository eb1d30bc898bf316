use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use reqwest::dns::Resolve;

use super::super::name_resolution::Resolver;
use super::super::test_internet::{TestInternet, network, response};
use super::*;

/// The outcome of a request: the status, the rule that blocked it, the kind of I/O error, or a time-out.
async fn outcome(guarded: &GuardedClient, url: &str) -> String {
    let request = reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
    // An allowed request can have no server to respond.
    let result = tokio::time::timeout(Duration::from_secs(5), guarded.execute(request)).await;
    match result {
        Ok(Ok(response)) => response.status().to_string(),
        Ok(Err(GuardedClientError::Blocked(blocked))) => blocked.rule.to_string(),
        Ok(Err(error)) => format!("{:?}", error.trouble()),
        Err(_) => "no response".to_owned(),
    }
}

#[tokio::test]
async fn the_urls_that_a_server_may_supply() {
    const PUBLIC: &str = "https://mcp.example/mcp";
    const PUBLIC_HTTP: &str = "http://mcp.example:8000/mcp";
    const LITERAL: &str = "https://1.1.1.1/mcp";
    const PRIVATE_NAME: &str = "https://mcp.corp/mcp";
    const PRIVATE: &str = "http://10.0.0.1:8000/mcp";
    const LOOPBACK: &str = "http://127.0.0.1:8000/mcp";
    const LOCALHOST: &str = "https://localhost:8000/mcp";
    let network = network(vec![
        ("mcp.example", "1.1.1.1"),
        ("mcp.corp", "10.0.0.1 fd00::1"),
    ]);
    let (allowed, scheme, address) = (None, Some(Rule::Scheme), Some(Rule::Address));
    let all: &[&str] = &[
        PUBLIC,
        PUBLIC_HTTP,
        LITERAL,
        PRIVATE_NAME,
        PRIVATE,
        LOOPBACK,
        LOCALHOST,
    ];
    let (public, private) = all.split_at(3);
    for (servers, urls, expected) in [
        (all, "https://auth.example/token", allowed),
        (
            all,
            "https://8.8.8.8/ https://[2606:4700::1111]:8443/",
            allowed,
        ),
        (all, "http://auth.example/token http://8.8.8.8/", scheme),
        (
            all,
            "http://10.0.0.2/ http://[fd00::1]/ http://auth.corp/",
            scheme,
        ),
        (
            all,
            "file:///etc/passwd ftp://auth.example/ data:,{} javascript:1",
            scheme,
        ),
        (
            all,
            "unix:/run/docker.sock ws://auth.example/ about:blank",
            scheme,
        ),
        (
            private,
            "https://127.0.0.1/ https://[::1]/ https://localhost/",
            allowed,
        ),
        (
            private,
            "http://127.0.0.1:9/ http://[::1]:9/ http://localhost:9/",
            allowed,
        ),
        (
            private,
            "https://10.0.0.2/ https://192.168.0.1/ https://[fd00::2]/",
            allowed,
        ),
        (
            public,
            "https://127.0.0.1/ https://[::1]/ https://localhost/",
            address,
        ),
        (
            public,
            "http://127.0.0.1:9/ http://[::1]:9/ http://localhost:9/",
            address,
        ),
        (
            public,
            "https://localhost./ https://a.localhost/ https://127.1/",
            address,
        ),
        (
            public,
            "https://10.0.0.2/ https://172.16.0.1/ https://192.168.0.1/",
            address,
        ),
        (
            public,
            "https://100.64.0.1/ https://0.0.0.0/ https://[::]/",
            address,
        ),
        (
            public,
            "https://169.254.169.254/latest https://[fe80::1]/",
            address,
        ),
        (
            public,
            "https://224.0.0.1/ https://[ff02::1]/ https://203.0.113.1/",
            address,
        ),
        (
            public,
            "https://[fd00::2]/ https://[::ffff:10.0.0.2]/",
            address,
        ),
        (
            public,
            "https://[::ffff:7f00:1]/ https://[::127.0.0.1]/",
            address,
        ),
        (
            public,
            "https://[64:ff9b::a9fe:a9fe]/ https://[64:ff9b::10.0.0.1]/",
            address,
        ),
        (
            public,
            "https://2130706433/ https://0x7f.0.0.1/ https://0177.1/",
            address,
        ),
        // A server that is configured with http may also supply http URLs of its origin.
        (&[PUBLIC_HTTP], "http://mcp.example:8000/token", allowed),
        (
            &[PUBLIC_HTTP],
            "http://mcp.example:8001/ http://mcp.example/",
            scheme,
        ),
        (
            &[PUBLIC],
            "http://mcp.example/ http://mcp.example:443/",
            scheme,
        ),
        (&[PRIVATE], "http://10.0.0.1:8000/token", allowed),
        (&[PRIVATE], "http://10.0.0.1/", scheme),
    ] {
        for server in servers {
            let guarded = network.guarded_client(&server.parse().unwrap()).await;
            for url in urls.split(' ') {
                let blocked = guarded.allows(&url.parse().unwrap()).err();
                assert_eq!(
                    blocked.map(|blocked| blocked.rule),
                    expected,
                    "{server} to {url}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_name_is_looked_up_only_if_the_result_matters() {
    // No name resolves in this network, and a server whose name can't be resolved counts as public.
    let network = network(vec![]);
    for (server, expected) in [
        ("http://127.0.0.1:1/mcp", false),
        ("https://localhost/mcp", false),
        ("https://10.0.0.1/mcp", false),
        ("https://1.1.1.1/mcp", true),
        ("https://unknown.example/mcp", true),
    ] {
        let guarded = network.guarded_client(&server.parse().unwrap()).await;
        assert_eq!(guarded.server_is_public(), expected, "{server}");
    }
    assert!(
        network.0.public_clients.get().is_none(),
        "created before it is needed"
    );
    let proxied = TestInternet::new(|_| String::new()).network("", vec![("mcp.corp", "10.0.0.1")]);
    let guarded = proxied
        .guarded_client(&"https://mcp.corp/mcp".parse().unwrap())
        .await;
    assert!(guarded.server_is_public(), "the proxy resolves the name");
}

#[tokio::test]
async fn a_name_from_a_public_server_that_resolves_to_loopback_is_not_connected_to() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let network = network(vec![
        ("mcp.example", "1.1.1.1"),
        ("auth.example", "127.0.0.1"),
        ("mapped.example", "::ffff:127.0.0.1"),
        ("any.example", "0.0.0.0"),
        ("localhost.example", "127.0.0.1 ::1"),
    ]);
    let server = format!("http://mcp.example:{port}/mcp").parse().unwrap();
    let guarded = network.guarded_client(&server).await;
    for host in ["auth", "mapped", "any", "localhost"] {
        let url = format!("https://{host}.example:{port}/token");
        assert_eq!(
            outcome(&guarded, &url).await,
            Rule::Address.to_string(),
            "{url}"
        );
    }
    assert_eq!(outcome(&guarded, "https://unknown.example/").await, "Dns");
    // The server's own name is rebound to loopback.
    let rebound = super::super::test_internet::network(vec![
        ("mcp.example", "1.1.1.1"),
        ("mcp.example", "127.0.0.1"),
    ]);
    let guarded = rebound.guarded_client(&server).await;
    let own = format!("http://mcp.example:{port}/.well-known/oauth-authorization-server");
    assert_eq!(outcome(&guarded, &own).await, Rule::Address.to_string());
    let connected = listener.accept();
    assert!(connected.is_err(), "{connected:?}");
}

#[tokio::test]
async fn a_server_that_becomes_public_may_no_longer_supply_private_urls() {
    let network = network(vec![
        ("mcp.example", "10.0.0.1"),
        ("mcp.example", "1.1.1.1"),
    ]);
    let server = "https://mcp.example/mcp".parse().unwrap();
    let guarded = network.guarded_client(&server).await;
    let neighbor = "https://10.0.0.2/".parse().unwrap();
    assert_eq!(guarded.allows(&neighbor), Ok(()));
    let connecting = Resolver(network.0.names.clone()).resolve("mcp.example".parse().unwrap());
    assert!(connecting.await.is_ok());
    let blocked = BlockedRequest::new(&neighbor, Rule::Address);
    assert_eq!(guarded.allows(&neighbor), Err(blocked));
}

#[tokio::test]
async fn a_private_server_may_supply_private_urls() {
    let internet = TestInternet::new(|_| response(200, "", "{}"));
    let port = internet.address.port();
    let network = network(vec![("mcp.corp", "10.0.0.1"), ("mcp.corp", "127.0.0.1")]);
    let server = format!("http://mcp.corp:{port}/mcp").parse().unwrap();
    let guarded = network.guarded_client(&server).await;
    let own = format!("http://mcp.corp:{port}/.well-known/oauth-authorization-server");
    assert_eq!(outcome(&guarded, &own).await, "200 OK");
    assert_eq!(
        outcome(&guarded, &format!("http://127.0.0.1:{port}/")).await,
        "200 OK"
    );
    assert_eq!(internet.requests().len(), 2);
    assert!(
        network.0.public_clients.get().is_none(),
        "created without need"
    );
}

#[tokio::test]
async fn behind_a_proxy_only_the_url_is_checked() {
    let internet = TestInternet::new(|target| match target.starts_with("CONNECT ") {
        true => response(502, "", ""),
        false => response(200, "", "{}"),
    });
    let network = internet.network(
        "direct.example, direct.invalid",
        vec![("direct.example", "127.0.0.1")],
    );
    for server in [
        "http://mcp.example/mcp",
        "https://mcp.example/mcp",
        "https://1.1.1.1/mcp",
    ] {
        let guarded = network.guarded_client(&server.parse().unwrap()).await;
        for url in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://a.localhost/",
            "https://10.0.0.1/",
            "https://169.254.169.254/",
            "https://[::ffff:169.254.169.254]/",
            "https://[fd00::1]/",
            // This host bypasses the proxy, so its name is resolved here.
            "https://direct.example/",
        ] {
            assert_eq!(
                outcome(&guarded, url).await,
                Rule::Address.to_string(),
                "{url}"
            );
        }
        assert_eq!(outcome(&guarded, "https://direct.invalid/").await, "Dns");
    }
    assert_eq!(internet.targets(), [""; 0]);
    let guarded = network
        .guarded_client(&"http://mcp.example/mcp".parse().unwrap())
        .await;
    assert_eq!(
        outcome(&guarded, "http://me:secret@mcp.example/token").await,
        "200 OK"
    );
    // The proxy resolves these names and refuses them.
    for url in ["https://auth.example/", "https://8.8.8.8/"] {
        assert_eq!(outcome(&guarded, url).await, "ProxyRefused", "{url}");
    }
    assert_eq!(
        internet.targets(),
        [
            "GET http://mcp.example/token",
            "CONNECT auth.example:443",
            "CONNECT 8.8.8.8:443",
        ]
    );
}

#[tokio::test]
async fn a_proxy_may_have_a_private_address_but_a_server_may_not_supply_it() {
    let internet = TestInternet::new(|_| response(200, "", "{}"));
    let port = internet.address.port();
    let names = vec![("proxy.corp", "127.0.0.1")];
    let proxies = crate::network::Proxies::One {
        url: format!("http://proxy.corp:{port}"),
        no_proxy: "proxy.corp".to_owned(),
    };
    let names = Names::new(super::super::test_internet::look_up(names));
    let network = Network::with_names(names, proxies).unwrap();
    let guarded = network
        .guarded_client(&"http://mcp.example/mcp".parse().unwrap())
        .await;
    assert_eq!(
        outcome(&guarded, "http://mcp.example/token").await,
        "200 OK"
    );
    let own = format!("https://proxy.corp:{port}/");
    assert_eq!(outcome(&guarded, &own).await, Rule::Address.to_string());
    assert_eq!(internet.targets(), ["GET http://mcp.example/token"]);
}

#[tokio::test]
async fn no_redirect_is_followed_and_the_credentials_in_a_url_are_not_sent() {
    let internet = TestInternet::new(|_| response(307, "location: http://127.0.0.1/\r\n", ""));
    let server = format!("http://{}/mcp", internet.address).parse().unwrap();
    let guarded = network(vec![]).guarded_client(&server).await;
    let url = format!("http://me:secret@{}/token", internet.address);
    assert_eq!(outcome(&guarded, &url).await, "307 Temporary Redirect");
    let form = guarded
        .form(url.parse().unwrap(), "a=b".to_owned(), None)
        .unwrap();
    assert_eq!(guarded.execute(form).await.unwrap().status(), 307);
    let secret = Some(("my client", "a/b"));
    let form = guarded
        .form(url.parse().unwrap(), "a=b".to_owned(), secret)
        .unwrap();
    assert_eq!(guarded.execute(form).await.unwrap().status(), 307);
    let requests = internet.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests[..2] {
        assert!(!request.head.contains("authorization"), "{request:?}");
    }
    // "my client:a/b"
    let basic = "authorization: basic bxkgy2xpzw50omevyg==\n";
    assert!(requests[2].head.contains(basic), "{requests:?}");
    assert_eq!(requests[2].body, "a=b");
}

#[test]
fn a_blocked_request_names_the_url_and_the_rule_without_secrets() {
    let url: Url = "http://me:secret@auth.example/token?key=secret"
        .parse()
        .unwrap();
    let other = BlockedRequest::new(&"secret://secret/secret".parse().unwrap(), Rule::Scheme);
    assert!(!other.to_string().contains("secret"), "{other}");
    let blocked = BlockedRequest::new(&url, Rule::Scheme);
    assert_eq!(blocked.url(), "http://auth.example/token");
    let error = GuardedClientError::from(blocked);
    assert_eq!(error.trouble(), IoTrouble::Connect);
    assert_eq!(
        error.to_string(),
        "http://auth.example/token was not requested: its scheme is not https"
    );
}

#[tokio::test]
async fn a_server_that_closes_an_open_connection_receives_each_request() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                let _ = connection.read(&mut bytes);
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                // It closes the connection when the next request arrives.
                let _ = connection.read(&mut bytes);
            });
        }
    });
    let network = network(vec![]);
    let guarded = network.guarded_client(&url.parse().unwrap()).await;
    for _ in 0..3 {
        assert_eq!(outcome(&guarded, &url).await, "200 OK");
        let form = guarded.form(url.parse().unwrap(), "a=b".to_owned(), None);
        let response = guarded.execute(form.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[test]
fn a_client_is_created_only_when_a_request_needs_it() {
    let network = Network::new().unwrap();
    let url = "https://auth.example/token".parse().unwrap();
    let created = || {
        let clients = network.0.public_clients.get().unwrap();
        (
            clients.pooled.get().is_some(),
            clients.unpooled.get().is_some(),
        )
    };
    network.public_client(&url, true).unwrap();
    assert_eq!(created(), (true, false));
    network.public_client(&url, false).unwrap();
    assert_eq!(created(), (true, true));
}
