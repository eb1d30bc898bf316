//! A running lab: the thread that serves the scenarios, their URLs, and the requests they have received.
//!
//! It binds a port of 127.0.0.1 only. The router answers the requests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use crate::LabError;
use crate::router::{self, ServedScenarios};
use crate::scenario::{self, Scenario, scenarios};
use crate::served::{RecordedRequest, ServedScenario, Target};

/// A running lab. It serves until you stop or drop it, which closes every connection and frees the port.
///
/// A lab has its own thread and runtime, so the client under test neither slows it down nor keeps it alive.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
/// let lab = mcp_startup_lab::Lab::start(0).await?;
/// assert!(lab.url("ready").ends_with("/ready/mcp"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lab {
    address: SocketAddr,
    served: Arc<ServedScenarios>,
    /// Dropping it stops the server.
    stop: Option<oneshot::Sender<()>>,
    ended: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// Serves the embedded scenarios on a port of 127.0.0.1. The port 0 selects a free one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.scenarios(), mcp_startup_lab::scenarios());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LabError::Listen`] if the lab cannot listen on the port.
    pub async fn start(port: u16) -> Result<Self, LabError> {
        Self::start_with(scenarios().to_vec(), port).await
    }

    /// Serves the given scenarios instead of the embedded ones.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let mut scenario = mcp_startup_lab::scenarios()[0].clone();
    /// scenario.name = "mine".into();
    /// let lab = mcp_startup_lab::Lab::start_with(vec![scenario], 0).await?;
    /// assert!(lab.url("mine").ends_with("/mine/mcp"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LabError::Row`] if a scenario is inconsistent, [`LabError::Listen`] if the lab cannot listen on the port.
    pub async fn start_with(rows: Vec<Scenario>, port: u16) -> Result<Self, LabError> {
        scenario::validate(&rows)?;
        let listen_error = |source| LabError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let served = Arc::new(ServedScenarios::new(rows, format!("http://{address}")));

        let router = router::router(Arc::clone(&served));
        let (stop, stopped) = oneshot::channel();
        let (ended_sender, ended) = watch::channel(());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().map_err(listen_error)?;
        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                _ = stopped => {}
                _ = axum::serve(listener, router) => {}
            }
        };
        let thread = thread::Builder::new().name("mcp-startup-lab".into());
        let thread = thread.spawn(move || {
            runtime.block_on(serve);
            // Dropping the runtime closes every connection, including those that never get an answer.
            drop(runtime);
            drop(ended_sender);
        });
        Ok(Self {
            address,
            served,
            stop: Some(stop),
            ended,
            thread: Some(thread.map_err(listen_error)?),
        })
    }

    /// The lab's URL, `http://127.0.0.1:PORT`, without a trailing slash.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.base_url(), format!("http://{}", lab.address()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn base_url(&self) -> String {
        self.served.base.clone()
    }

    /// The address that the lab listens on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// assert!(mcp_startup_lab::Lab::start(0).await?.address().ip().is_loopback());
    /// # Ok(())
    /// # }
    /// ```
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a scenario's MCP endpoint, as a client's configuration contains it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.url("ready"), format!("{}/ready/mcp", lab.base_url()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn url(&self, scenario: &str) -> String {
        format!("{}/{scenario}/mcp", self.served.base)
    }

    /// The scenarios that the lab serves.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert!(lab.scenarios().len() >= 24);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scenarios(&self) -> &[Scenario] {
        &self.served.rows
    }

    /// The last 1,000 requests that a scenario received, oldest first. Empty if the lab serves no scenario with this name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.requests("ready"), []);
    /// # Ok(())
    /// # }
    /// ```
    pub fn requests(&self, scenario: &str) -> Vec<RecordedRequest> {
        let served = self.served.by_name.get(scenario);
        served.map(ServedScenario::requests).unwrap_or_default()
    }

    /// The tokens of the JSON-RPC messages that a scenario's MCP endpoint received, in order, without consecutive repetitions.
    /// Compare them with [`Expectation::tokens_sent`](crate::Expectation::tokens_sent).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert!(lab.tokens_sent("ready").is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn tokens_sent(&self, scenario: &str) -> Vec<String> {
        let requests = self.requests(scenario).into_iter();
        let messages =
            requests.filter(|request| request.to == Target::Mcp && request.method == "POST");
        let mut tokens: Vec<String> = messages.map(|request| request.token).collect();
        tokens.dedup();
        tokens
    }

    /// Waits until the lab ends. That happens only if its server fails.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let mut lab = mcp_startup_lab::Lab::start(0).await?;
    /// let moment = std::time::Duration::from_millis(20);
    /// assert!(tokio::time::timeout(moment, lab.wait()).await.is_err(), "it still serves");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait(&mut self) {
        while self.ended.changed().await.is_ok() {}
    }

    /// Stops the lab, and returns once it has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let address = lab.address();
    /// lab.stop().await;
    /// assert!(std::net::TcpStream::connect(address).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop(mut self) {
        self.stop.take();
        self.wait().await;
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread only closes its own connections, which takes microseconds.
            let _ = thread.join();
        }
    }
}
