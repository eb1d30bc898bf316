use mcp_startup::StartupOptions;
use mcp_startup_core::{McpServerStatusUpdatedNotification, decode, encode};

fn main() {
    assert!(StartupOptions::default().limit.is_none());
    let line = encode(&McpServerStatusUpdatedNotification::ready("linear"));
    println!("{:?}", decode(line.as_bytes()).map(|read| read.map(|notification| notification.status().to_string())));
}
