//! Whether two entries describe the same server, so that it is started only once.

use secrecy::ExposeSecret;

use crate::server::{
    InheritedEnvironment, OAuthClient, ServerConfig, ServerEntry, TransportConfig,
};

/// The parts of a server that decide how it starts. Two servers with equal parts are the same server, even if different clients
/// configure them.
///
/// It contains secrets, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SameServer(Vec<String>);

impl ServerConfig {
    /// Returns the parts that decide how the server starts: the transport, the command line, the environment and the working folder
    /// of a program; the URL, the headers, the OAuth client and the stored sign-in of a URL.
    ///
    /// A stored sign-in belongs to a name and a URL, so two names for one URL are the same server only if a credential is configured.
    ///
    /// ```
    /// use mcp_startup_config::ServerConfig;
    ///
    /// let server = |name| ServerConfig::stdio(name, "npx", ["-y", "files-server"]);
    /// assert!(server("files")?.same_server() == server("my-files")?.same_server());
    /// # Ok::<(), mcp_startup_config::EntryProblem>(())
    /// ```
    pub fn same_server(&self) -> SameServer {
        let mut parts = Vec::new();
        let mut add = |name: &str, value: &str| {
            parts.push(name.to_owned());
            parts.push(value.to_owned());
        };
        match &self.transport {
            TransportConfig::Stdio(stdio) => {
                add("command", &stdio.command);
                for arg in &stdio.args {
                    add("arg", arg);
                }
                let mut env: Vec<_> = stdio.env.iter().collect();
                env.sort_by(|(left, _), (right, _)| left.cmp(right));
                for (name, value) in env {
                    add(&format!("env {name}"), value.expose_secret());
                }
                match stdio.inherited {
                    InheritedEnvironment::Everything => add("inherited", "everything"),
                    InheritedEnvironment::WithoutSecrets => add("inherited", "without secrets"),
                    InheritedEnvironment::Named(names) => {
                        names.iter().for_each(|name| add("inherited", name));
                    }
                }
                if let Some(cwd) = &stdio.cwd {
                    add("cwd", &cwd.to_string_lossy());
                }
            }
            TransportConfig::Http(http) => {
                add("url", &http.written_url);
                add("transport", &format!("{:?}", http.http_sse));
                for header in &http.headers {
                    add(
                        &format!("header {}", header.name.to_ascii_lowercase()),
                        header.value.expose_secret(),
                    );
                }
                let bearer = http.bearer.as_ref();
                if let Some(bearer) = bearer {
                    add("bearer", bearer.token.expose_secret());
                }
                let is_authorized = bearer.is_some()
                    || http
                        .headers
                        .iter()
                        .any(|header| header.name.eq_ignore_ascii_case("authorization"));
                if let Some(token) = self
                    .held_sign_in
                    .as_ref()
                    .and_then(|held| held.access_token.as_ref())
                {
                    add("held", token.expose_secret());
                }
                if !is_authorized {
                    add("name", &self.name);
                    add(
                        "client",
                        self.oauth.client_id.as_deref().unwrap_or_default(),
                    );
                    let secret = self.oauth.client_secret.as_ref();
                    add("secret", secret.map_or("", |secret| secret.expose_secret()));
                    add("scopes", &self.scopes.clone().unwrap_or_default().join(" "));
                }
            }
        }
        add("era", &format!("{:?}", self.protocol_era));
        SameServer(parts)
    }
}

impl ServerEntry {
    /// Whether a start and a sign-in of this entry do what those of `other` do, for a host that reads a configuration again and
    /// restarts the servers that have changed. The position of an entry in its file does not matter.
    ///
    /// ```
    /// use mcp_startup_config::{ServerConfig, ServerEntry};
    ///
    /// let before: ServerEntry = ServerConfig::http("docs", "https://docs.example/mcp")?.into();
    /// let after = ServerConfig::http("docs", "https://docs.example/mcp")?.with_header("X-Team", "core")?;
    /// assert!(before.is_unchanged(&before.clone()));
    /// assert!(!before.is_unchanged(&after.into()));
    /// # Ok::<(), mcp_startup_config::EntryProblem>(())
    /// ```
    pub fn is_unchanged(&self, other: &Self) -> bool {
        let same_config = match (&self.config, &other.config) {
            (Ok(config), Ok(other)) => {
                config.same_server() == other.same_server()
                    && config.startup_timeout == other.startup_timeout
                    && config.scopes == other.scopes
                    && config.oauth.is_unchanged(&other.oauth)
            }
            (Err(problem), Err(other)) => problem.problem == other.problem,
            _ => false,
        };
        same_config
            && self.name == other.name
            && self.enabled == other.enabled
            && self.required == other.required
    }
}

impl OAuthClient {
    fn is_unchanged(&self, other: &Self) -> bool {
        let parts = |oauth: &Self| {
            let Self {
                client_id,
                client_secret,
                allow_unpublished_pkce,
                resource,
                callback_url,
                callback_port,
                callback_on_localhost,
                client_metadata_url,
                prompt,
            } = oauth.clone();
            let client_secret = client_secret.map(|secret| secret.expose_secret().to_owned());
            let client = (client_id, client_secret, client_metadata_url);
            let callback = (callback_url, callback_port, callback_on_localhost);
            (client, callback, allow_unpublished_pkce, resource, prompt)
        };
        parts(self) == parts(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_not_a_variable_of_the_same_text() -> Result<(), crate::EntryProblem> {
        let with_argument = ServerConfig::stdio("a", "npx", ["x"])?;
        let with_variable = ServerConfig::stdio("a", "npx", [""; 0])?.with_env("arg", "x")?;
        assert!(with_argument.same_server() != with_variable.same_server());
        Ok(())
    }
}
