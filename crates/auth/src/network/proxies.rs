//! The proxies of a process, and which requests go through them.

use std::ffi::OsString;

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

/// The variables with the URL of a proxy. The first one of each pair that is set counts.
const VARIABLES: [[&str; 2]; 3] = [
    ["HTTPS_PROXY", "https_proxy"],
    ["HTTP_PROXY", "http_proxy"],
    ["ALL_PROXY", "all_proxy"],
];

/// A warning for each proxy that is ignored because it is not valid. The value may have a password, so it is not shown.
pub(super) fn warnings(variable: impl Fn(&str) -> Option<OsString>) -> Vec<String> {
    let target = http::Uri::from_static("https://example.com/");
    let is_used = |proxy: &str| {
        let proxies = Matcher::builder().all(proxy.to_owned()).build();
        proxies.intercept(&target).is_some()
    };
    let proxies = VARIABLES.iter().filter_map(|names| {
        let mut set = names
            .iter()
            .filter_map(|name| Some((name, variable(name)?)));
        let (name, value) = set.next()?;
        let is_valid = value
            .to_str()
            .is_some_and(|proxy| proxy.is_empty() || is_used(proxy));
        (!is_valid).then(|| format!(
            "{name} is ignored: it is not the URL of a proxy, such as http://proxy.example.com:8080"
        ))
    });
    proxies.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_is_ignored_has_a_warning_without_its_value() {
        for valid in [
            "",
            "proxy.example.com:8080",
            "http://proxy.example.com",
            "https://user:s3cret@proxy.example.com:8080/",
        ] {
            let warned = warnings(|name| (name == "HTTPS_PROXY").then(|| valid.into()));
            assert!(warned.is_empty(), "{valid}: {warned:?}");
        }
        for invalid in [
            "x y",
            "ftp://user:s3cret@proxy.example.com",
            "http://[::1",
            "http://",
        ] {
            for variable in VARIABLES.as_flattened() {
                let warned = warnings(|name| (name == *variable).then(|| invalid.into()));
                let [warned] = warned.as_slice() else {
                    panic!("{invalid}: {warned:?}");
                };
                assert!(
                    warned.starts_with(&format!("{variable} is ignored")),
                    "{warned}"
                );
                assert!(!warned.contains("s3cret"), "{warned}");
            }
        }
    }
}
