//! Name resolution for every client. A client connects only to addresses that these resolvers return, so the checked addresses
//! are the ones that it uses. Nothing here parses a URL.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::is_public;

/// The function that looks up the addresses of a name.
pub(super) type LookUp =
    Box<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Looks up names and remembers the ones that had a public address.
pub(super) struct Names {
    look_up: LookUp,
    /// The names that had a public address at least once. The owner of a name controls each answer, so such a name never counts as
    /// private again, even if a later answer has only private addresses.
    public: Mutex<HashSet<String>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Names {
    pub fn new(look_up: LookUp) -> Self {
        Self {
            look_up,
            public: Mutex::default(),
        }
    }

    /// Uses the resolver of the system.
    pub fn from_system() -> Self {
        Self::new(Box::new(|name| {
            async move {
                // `getaddrinfo` blocks.
                let addresses =
                    tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs());
                Ok(addresses.await.map_err(io::Error::other)??.collect())
            }
            .boxed()
        }))
    }

    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        (self.look_up)(name.to_owned()).await
    }

    /// Looks up a name and remembers it if it has a public address.
    async fn addresses_and_remember(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.addresses(name).await?;
        if addresses.iter().any(|address| is_public(address.ip())) {
            self.public().insert(key(name));
        }
        Ok(addresses)
    }

    /// Whether an earlier lookup found a public address of the name.
    pub fn was_public(&self, name: &str) -> bool {
        self.public().contains(&key(name))
    }

    /// Whether the server with this name counts as public. The name is looked up unless it is known to be public. A name without
    /// addresses counts as public.
    pub async fn is_public(&self, name: &str) -> bool {
        if self.was_public(name) {
            return true;
        }
        match self.addresses_and_remember(name).await {
            Ok(addresses) if !addresses.is_empty() => self.was_public(name),
            _ => true,
        }
    }

    fn public(&self) -> MutexGuard<'_, HashSet<String>> {
        self.public.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The form of a name in which names are compared.
pub(super) fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Resolves a name to all of its addresses.
pub(super) struct Resolver(pub Arc<Names>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let addresses = names.addresses_and_remember(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Resolves a name to its public addresses only, so that the connector can connect to no other address.
pub(super) struct GuardedResolver {
    pub names: Arc<Names>,
    /// The hosts of the user's proxies, which may have any address.
    pub proxies: Vec<String>,
}

/// A name has addresses, but none of them is public.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to no public address")]
pub(super) struct NotPublic;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.names.clone();
        let is_proxy = self
            .proxies
            .iter()
            .any(|proxy| *proxy == key(name.as_str()));
        Box::pin(async move {
            let mut addresses = names.addresses(name.as_str()).await?;
            let has_addresses = !addresses.is_empty();
            if !is_proxy {
                addresses.retain(|address| is_public(address.ip()));
            }
            if has_addresses && addresses.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::test_internet::look_up;
    use super::*;

    async fn resolved(resolver: &impl Resolve, name: &str) -> Result<Vec<String>, String> {
        match resolver.resolve(name.parse().unwrap()).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) if error.is::<NotPublic>() => Err("not public".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn the_guarded_resolver_returns_only_public_addresses() {
        let inner =
            "127.0.0.1 10.0.0.1 169.254.169.254 ::1 fd00::1 fe80::1 ::ffff:10.0.0.1 64:ff9b::a00:1";
        let resolver = GuardedResolver {
            names: Arc::new(Names::new(look_up(vec![
                ("public.example", "1.1.1.1 2606:4700::1111"),
                ("mixed.example", "10.0.0.1 1.1.1.1 ::1 127.0.0.1"),
                ("inner.example", inner),
                ("localhost", "127.0.0.1 ::1"),
                ("localhost.", "127.0.0.1"),
                ("none.example", ""),
                ("rebound.example", "1.1.1.1"),
                ("rebound.example", "127.0.0.1"),
                ("proxy.corp", "10.0.0.9"),
            ]))),
            proxies: vec!["proxy.corp".to_owned()],
        };
        let not_public = Err("not public".to_owned());
        let addresses =
            |addresses: &str| Ok(addresses.split_whitespace().map(str::to_owned).collect());
        for (name, expected) in [
            ("public.example", addresses("1.1.1.1 2606:4700::1111")),
            ("mixed.example", addresses("1.1.1.1")),
            ("inner.example", not_public.clone()),
            ("localhost", not_public.clone()),
            ("localhost.", not_public.clone()),
            ("none.example", addresses("")),
            // Each answer is checked separately.
            ("rebound.example", addresses("1.1.1.1")),
            ("rebound.example", not_public),
            ("proxy.corp", addresses("10.0.0.9")),
            (
                "unknown.example",
                Err("unknown.example is not known".to_owned()),
            ),
        ] {
            assert_eq!(resolved(&resolver, name).await, expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_server_is_private_only_if_it_never_had_a_public_address() {
        let names = Arc::new(Names::new(look_up(vec![
            ("public.example", "1.1.1.1"),
            ("inner.corp", "10.0.0.1 fd00::1"),
            ("mixed.example", "10.0.0.1 1.1.1.1"),
            ("none.example", ""),
            ("rebound.example", "1.1.1.1"),
            ("rebound.example", "10.0.0.1"),
            ("later.example", "10.0.0.1"),
            ("later.example", "1.1.1.1"),
            ("later.example", "10.0.0.1"),
        ])));
        for (name, expected) in [
            ("public.example", true),
            ("inner.corp", false),
            ("inner.corp", false),
            ("mixed.example", true),
            ("none.example", true),
            ("unknown.example", true),
        ] {
            assert_eq!(names.is_public(name).await, expected, "{name}");
        }
        // A request connected to a public address, so no later answer makes the name private.
        let connector = Resolver(names.clone());
        assert!(resolved(&connector, "rebound.example").await.is_ok());
        assert!(names.was_public("ReBound.example."));
        assert!(names.is_public("rebound.example").await);
        assert!(!names.is_public("later.example").await);
        assert!(resolved(&connector, "later.example").await.is_ok());
        assert!(names.is_public("later.example").await);
    }

    #[tokio::test]
    async fn a_public_name_is_not_looked_up_again() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counter = lookups.clone();
        let names = Arc::new(Names::new(Box::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Ok(vec![SocketAddr::from(([1, 1, 1, 1], 0))]) }.boxed()
        })));
        assert!(
            resolved(&Resolver(names.clone()), "mcp.example")
                .await
                .is_ok()
        );
        assert!(names.is_public("mcp.example").await);
        assert_eq!(lookups.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_system_resolves_localhost() {
        let found = resolved(&Resolver(Arc::new(Names::from_system())), "localhost").await;
        let found = found.unwrap();
        assert!(
            found
                .iter()
                .any(|address| address == "127.0.0.1" || address == "::1"),
            "{found:?}"
        );
    }
}
