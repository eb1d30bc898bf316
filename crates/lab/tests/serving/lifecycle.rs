//! Starting and dropping a lab.

use std::time::Duration;

use mcp_startup_lab::{Lab, LabError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::http::{call, connect, rpc};

#[tokio::test]
async fn dropping_a_lab_closes_connections_and_frees_its_port() {
    let lab = Lab::start(0).await.unwrap();
    let address = lab.address();
    let mut hanging = connect(&lab, "POST", "/hangs/mcp", "", &rpc("initialize")).await;
    assert!(
        matches!(Lab::start(address.port()).await, Err(LabError::Listen { port, .. }) if port == address.port())
    );
    drop(lab);
    let mut received = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), hanging.read_to_end(&mut received));
    let _ = closed.await.expect("the connection is still open");
    assert!(received.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
    let again = Lab::start(address.port()).await.unwrap();
    assert_eq!(
        call(&again, "ready", "none", "initialize").await.status,
        200
    );
    again.stop().await;
}

#[tokio::test]
async fn inconsistent_scenarios_are_not_served() {
    let mut twin = mcp_startup_lab::scenarios()[0].clone();
    twin.mcp = None;
    let error = Lab::start_with(vec![twin], 0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the scenario `ready` is invalid: it must have either `mcp` or `stdio`"
    );
}
