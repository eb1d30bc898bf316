from mcp_startup import check_blocking

for event in check_blocking(config="~/.codex/config.toml", servers=["linear"]):
    print(event.notification.name, event.notification.status)
