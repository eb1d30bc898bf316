//! The proxies of a process, and which requests go through them.

use hyper_util::client::proxy::matcher::Matcher;

/// The source of the proxies.
pub(super) enum Proxies {
    /// The environment, or the settings of the system.
    System,
    #[cfg(test)]
    None,
    /// One proxy for all hosts except `no_proxy`, a list with the syntax of `NO_PROXY`.
    #[cfg(test)]
    One { url: String, no_proxy: String },
}

impl Proxies {
    /// Configures a client with these proxies.
    pub fn set(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self {
            Self::System => builder,
            #[cfg(test)]
            Self::None => builder.no_proxy(),
            #[cfg(test)]
            Self::One { url, no_proxy } => {
                let proxy = reqwest::Proxy::all(url).unwrap();
                builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(no_proxy)))
            }
        }
    }

    /// The matcher that decides which URLs go through a proxy. A client with these proxies decides the same way.
    pub fn matcher(&self) -> Matcher {
        match self {
            Self::System => Matcher::from_system(),
            #[cfg(test)]
            Self::None => Matcher::builder().build(),
            #[cfg(test)]
            Self::One { url, no_proxy } => Matcher::builder().all(url).no(no_proxy).build(),
        }
    }
}
