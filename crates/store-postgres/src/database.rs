//! The connection pool, and statements that are repeated if a connection breaks. Every statement must be safe to repeat.

use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use mcp_startup_auth::StoreError;
use mcp_startup_core::{CredentialStoreTrouble, error_chain};
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use crate::encryption::random;
use crate::error;

/// The time limit for a call, with all repetitions. The contract of a store requires an error within seconds.
const CALL_LIMIT: Duration = Duration::from_secs(9);
/// The time limit for one attempt. A broken connection can take minutes to report that it is broken.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(4);
const DEFAULT_PORT: u16 = 5432;
/// How many notifications are kept for a receiver.
const CAPACITY: usize = 256;
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A parameter of a statement with its type, so that the statement needs no preparation.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

#[derive(Clone, Copy)]
enum Statement<'a> {
    Query(&'a str, &'a [Parameter<'a>]),
    Execute(&'a str, &'a [Parameter<'a>]),
    /// Several statements that return nothing.
    Batch(&'a str),
}

/// The response to a statement.
#[derive(Default)]
struct Response {
    rows: Vec<Row>,
    /// The number of changed rows, of [`Statement::Execute`].
    changed: u64,
}

impl Statement<'_> {
    async fn run(self, connection: &Object) -> Result<Response, tokio_postgres::Error> {
        let mut response = Response::default();
        match self {
            Self::Query(sql, parameters) => {
                response.rows = connection.query_typed(sql, parameters).await?;
            }
            Self::Execute(sql, parameters) => {
                response.changed = connection.execute_typed(sql, parameters).await?;
            }
            Self::Batch(sql) => connection.batch_execute(sql).await?,
        }
        Ok(response)
    }
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Database {
    pool: Pool,
    config: Arc<Config>,
    /// `None` if connections are not encrypted.
    tls: Option<MakeRustlsConnect>,
    /// The hosts and ports, for messages.
    place: Arc<str>,
}

impl fmt::Debug for Database {
    /// Without the configuration, which has the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Creates a pool that connects when it is used.
    ///
    /// TLS is required, and the certificate is verified, unless the URL has `sslmode=disable` or the server is on this machine.
    pub fn new(url: &str, connections: usize) -> Result<Self, StoreError> {
        let unsupported = |detail: &str| error(CredentialStoreTrouble::Unsupported, detail);
        // The error of the parser can quote a part of the URL.
        let mut config: Config = url.parse().map_err(|_| {
            unsupported(
                "the URL is not a PostgreSQL URL, or has an option that this program does not support; it must have the form \
                 postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require",
            )
        })?;
        if config.get_application_name().is_none() {
            config.application_name("mcp-startup");
        }
        config
            .connect_timeout(ATTEMPT_LIMIT)
            .tcp_user_timeout(KEEPALIVE)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(ATTEMPT_LIMIT);
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(match is_local(&config) {
                true => SslMode::Disable,
                false => SslMode::Require,
            });
        }
        let place = place(&config).into();
        let settings = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => {
                let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                    .with_safe_default_protocol_versions()
                    .and_then(|builder| builder.with_platform_verifier())
                    .map_err(|cause| unsupported(&format!("TLS can't be used: {cause}")))?;
                Some(MakeRustlsConnect::new(tls.with_no_client_auth()))
            }
        };
        let manager = match tls.clone() {
            None => Manager::from_config(config.clone(), NoTls, settings),
            Some(tls) => Manager::from_config(config.clone(), tls, settings),
        };
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(ATTEMPT_LIMIT))
            .create_timeout(Some(ATTEMPT_LIMIT))
            .build();
        let pool = pool.map_err(|cause| unsupported(&cause.to_string()))?;
        Ok(Self {
            pool,
            config: Arc::new(config),
            tls,
            place,
        })
    }

    /// Opens a connection that receives the notifications of a channel.
    pub async fn listen(&self, channel: &str) -> Result<Notifications, StoreError> {
        let listening = async {
            match self.tls.clone() {
                Some(tls) => listen(&self.config, tls, channel).await,
                None => listen(&self.config, NoTls, channel).await,
            }
        };
        let limit = Instant::now() + ATTEMPT_LIMIT;
        let failure = match timeout_at(limit, listening).await {
            Ok(Ok(notifications)) => return Ok(notifications),
            Ok(Err(cause)) => Failure::of(&cause, &self.place),
            Err(_) => Failure::no_response(&self.place),
        };
        Err(error(CredentialStoreTrouble::Unreadable, failure.detail))
    }

    /// Runs a statement and returns its rows. If the connection breaks, the statement is repeated, so it can take effect twice.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = Statement::Query(sql, parameters);
        Ok(self.repeated(statement).await?.rows)
    }

    /// Runs a statement and returns the number of rows that it changed. It is repeated as [`Self::query`] is.
    pub async fn execute(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, StoreError> {
        let statement = Statement::Execute(sql, parameters);
        Ok(self.repeated(statement).await?.changed)
    }

    /// Runs a statement that returns at most one row.
    pub async fn query_one(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, parameters).await?.pop())
    }

    /// Runs statements that return nothing.
    pub async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.repeated(Statement::Batch(sql)).await.map(drop)
    }

    /// Runs a statement again and again while the database restarts or connections break.
    async fn repeated(&self, statement: Statement<'_>) -> Result<Response, StoreError> {
        let deadline = Instant::now() + CALL_LIMIT;
        loop {
            let limit = deadline.min(Instant::now() + ATTEMPT_LIMIT);
            let failure = match timeout_at(limit, self.pool.get()).await {
                Ok(Ok(connection)) => {
                    // The statement gets its whole time, however long the wait for the connection was.
                    let limit = deadline.min(Instant::now() + ATTEMPT_LIMIT);
                    match timeout_at(limit, statement.run(&connection)).await {
                        Ok(Ok(result)) => return Ok(result),
                        Ok(Err(cause)) => {
                            // A failed batch can leave its transaction open.
                            drop(Object::take(connection));
                            Failure::of(&cause, &self.place)
                        }
                        Err(_) => {
                            // The statement may still run, and the connection may be broken.
                            drop(Object::take(connection));
                            Failure::no_response(&self.place)
                        }
                    }
                }
                Ok(Err(PoolError::Timeout(TimeoutType::Wait))) | Err(_) => Failure {
                    is_transient: true,
                    detail: "no connection became free in time; the pool may be too small"
                        .to_owned(),
                },
                Ok(Err(PoolError::Backend(cause))) => Failure::of(&cause, &self.place),
                Ok(Err(PoolError::Timeout(_))) => Failure::no_response(&self.place),
                Ok(Err(cause)) => Failure {
                    is_transient: false,
                    detail: error_chain(&cause),
                },
            };
            let pause = pause(50, 250)?;
            if !failure.is_transient || Instant::now() + pause >= deadline {
                return Err(error(CredentialStoreTrouble::Unreadable, failure.detail));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// The notifications of a channel. Dropping it closes its connection.
pub(crate) struct Notifications {
    payloads: mpsc::Receiver<String>,
    _client: Client,
    _connection: AbortOnDropHandle<()>,
}

impl Notifications {
    /// The text of the next notification; `None` if the connection has ended.
    pub async fn next(&mut self) -> Option<String> {
        self.payloads.recv().await
    }
}

async fn listen<T>(
    config: &Config,
    tls: T,
    channel: &str,
) -> Result<Notifications, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = config.connect(tls).await?;
    let (sender, payloads) = mpsc::channel(CAPACITY);
    let forwarding = tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message
                && sender
                    .send(notification.payload().to_owned())
                    .await
                    .is_err()
            {
                return;
            }
        }
    });
    let connection = AbortOnDropHandle::new(forwarding);
    client.batch_execute(&format!("listen {channel}")).await?;
    Ok(Notifications {
        payloads,
        _client: client,
        _connection: connection,
    })
}

/// A random time between two numbers of milliseconds.
pub(crate) fn pause(from: u64, to: u64) -> Result<Duration, StoreError> {
    let random = u64::from(u16::from_be_bytes(random()?));
    Ok(Duration::from_millis(from + random % (to - from)))
}

/// The hosts of the configuration with their ports.
fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).unwrap_or(&DEFAULT_PORT);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        }
    });
    hosts.collect::<Vec<_>>().join(", ")
}

/// Whether every host of the configuration is this machine.
fn is_local(config: &Config) -> bool {
    let is_loopback = |address: &IpAddr| address.is_loopback();
    let hosts_are_local = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address| is_loopback(&address))
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    hosts_are_local && config.get_hostaddrs().iter().all(is_loopback)
}

/// Why an attempt failed.
struct Failure {
    /// Whether a repetition may succeed.
    is_transient: bool,
    detail: String,
}

impl Failure {
    fn no_response(place: &str) -> Self {
        Self {
            is_transient: true,
            detail: format!("the database at {place} did not respond in time"),
        }
    }

    fn of(cause: &tokio_postgres::Error, place: &str) -> Self {
        if let Some(refused) = cause.as_db_error() {
            let code = refused.code();
            // The classes 08 and 57P: the connection broke, or the server stops, crashed or starts. 25006: it became a standby.
            let is_transient = code.code().starts_with("08")
                || code.code().starts_with("57P")
                || *code == SqlState::READ_ONLY_SQL_TRANSACTION
                || *code == SqlState::T_R_DEADLOCK_DETECTED
                || *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::TOO_MANY_CONNECTIONS;
            let detail = format!(
                "the database refused a statement: {} (SQLSTATE {})",
                refused.message(),
                code.code()
            );
            return Self {
                is_transient,
                detail,
            };
        }
        let detail = error_chain(cause);
        Self {
            is_transient: true,
            detail: format!(
                "the connection to the database at {place} failed: {detail}; check the URL and that the database is running"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_machine_requires_tls() {
        for (url, expected) in [
            ("postgres://u@localhost/d", true),
            ("postgres://u@127.0.0.1/d", true),
            ("postgres://u@[::1]/d", true),
            ("host=/var/run/postgresql user=u", true),
            ("postgres://u@db.example/d", false),
            ("postgres://u@127.0.0.1,db.example/d", false),
            ("host=localhost hostaddr=10.0.0.1 user=u", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn the_error_of_the_system_has_no_number() {
        let url = "postgres://u@127.0.0.1:1/d";
        let cause = tokio_postgres::connect(url, NoTls).await.err().unwrap();
        let detail = Failure::of(&cause, "127.0.0.1:1").detail.to_lowercase();
        assert!(detail.contains("refused"), "{detail}");
        assert!(!detail.contains("os error"), "{detail}");
    }

    #[test]
    fn the_error_for_a_wrong_url_shows_no_part_of_it() {
        for url in ["postgres://u:canary@db.example/d?canary=1", "canary"] {
            let found = Database::new(url, 1).unwrap_err();
            assert!(!found.to_string().contains("canary"), "{found}");
        }
    }
}
