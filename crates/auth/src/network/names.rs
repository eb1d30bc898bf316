//! Names and their addresses: one way to look them up for every client, on which what is checked is what is connected to.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::is_public;

/// What is asked for the addresses of a name.
pub(super) type LookUp =
    Box<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Looks names up, and remembers which of them were public.
pub(super) struct Names {
    look_up: LookUp,
    /// Names that had a public address once. Whoever owns a name decides what each answer says; so none of these ever counts as
    /// one of our own network, whatever is answered later.
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

    /// Names as the system resolves them.
    pub fn of_system() -> Self {
        Self::new(Box::new(|name| {
            async move {
                // It blocks, as `getaddrinfo` does.
                let looking =
                    tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs());
                Ok(looking.await.map_err(io::Error::other)??.collect())
            }
            .boxed()
        }))
    }

    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        (self.look_up)(name.to_owned()).await
    }

    /// The addresses of a server, or of what an inner one leads to.
    async fn noted_addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.addresses(name).await?;
        if addresses.iter().any(|address| is_public(address.ip())) {
            self.public().insert(key(name));
        }
        Ok(addresses)
    }

    /// Whether the name is known to have had a public address.
    pub fn was_public(&self, name: &str) -> bool {
        self.public().contains(&key(name))
    }

    /// Whether the server of this name counts as public: it is looked up only if it is not known yet, and what can't be found
    /// out counts too.
    pub async fn is_public(&self, name: &str) -> bool {
        if self.was_public(name) {
            return true;
        }
        match self.noted_addresses(name).await {
            Ok(addresses) if !addresses.is_empty() => self.was_public(name),
            _ => true,
        }
    }

    fn public(&self) -> MutexGuard<'_, HashSet<String>> {
        self.public.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name, as names are compared.
pub(super) fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Resolves every name to all of its addresses.
pub(super) struct Resolver(pub Arc<Names>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let addresses = names.noted_addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Resolves names to their public addresses alone: the connector is given no other, and so connects to no other.
pub(super) struct GuardedResolver {
    pub names: Arc<Names>,
    /// The hosts of the user's own proxies, which may be anywhere.
    pub proxies: Vec<String>,
}

/// A name that resolves to no public address.
#[derive(Debug, thiserror::Error)]
#[error("it resolves to no public address")]
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
            let are_some = !addresses.is_empty();
            if !is_proxy {
                addresses.retain(|address| is_public(address.ip()));
            }
            if are_some && addresses.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::world::look_up;
    use super::*;

    async fn resolved(resolver: &impl Resolve, name: &str) -> Result<Vec<String>, String> {
        match resolver.resolve(name.parse().unwrap()).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) if error.is::<NotPublic>() => Err("not public".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn the_connector_is_given_public_addresses_alone() {
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
        for (name, wanted) in [
            ("public.example", addresses("1.1.1.1 2606:4700::1111")),
            ("mixed.example", addresses("1.1.1.1")),
            ("inner.example", not_public.clone()),
            ("localhost", not_public.clone()),
            ("localhost.", not_public.clone()),
            ("none.example", addresses("")),
            // Each answer is checked by itself.
            ("rebound.example", addresses("1.1.1.1")),
            ("rebound.example", not_public),
            ("proxy.corp", addresses("10.0.0.9")),
            (
                "unknown.example",
                Err("unknown.example is not known".to_owned()),
            ),
        ] {
            assert_eq!(resolved(&resolver, name).await, wanted, "{name}");
        }
    }

    #[tokio::test]
    async fn a_server_is_of_ones_own_network_only_if_all_its_addresses_always_are() {
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
        for (name, wanted) in [
            ("public.example", true),
            ("inner.corp", false),
            ("inner.corp", false),
            ("mixed.example", true),
            ("none.example", true),
            ("unknown.example", true),
        ] {
            assert_eq!(names.is_public(name).await, wanted, "{name}");
        }
        // It was connected to at a public address: no later answer makes it one of ours.
        let connector = Resolver(names.clone());
        assert!(resolved(&connector, "rebound.example").await.is_ok());
        assert!(names.was_public("ReBound.example."));
        assert!(names.is_public("rebound.example").await);
        assert!(!names.is_public("later.example").await);
        assert!(resolved(&connector, "later.example").await.is_ok());
        assert!(names.is_public("later.example").await);
    }

    #[tokio::test]
    async fn a_name_that_was_connected_to_is_not_looked_up_again() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let names = Arc::new(Names::new(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(vec![SocketAddr::from(([1, 1, 1, 1], 0))]) }.boxed()
        })));
        assert!(
            resolved(&Resolver(names.clone()), "mcp.example")
                .await
                .is_ok()
        );
        assert!(names.is_public("mcp.example").await);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let found = resolved(&Resolver(Arc::new(Names::of_system())), "localhost").await;
        let found = found.unwrap();
        assert!(
            found
                .iter()
                .any(|address| address == "127.0.0.1" || address == "::1"),
            "{found:?}"
        );
    }
}
