import asyncio

from mcp_startup import McpServerStartupFailureReason, Recovery, StartupEvent, check

BUTTONS = {
    Recovery.SIGN_IN: "Sign in",
    Recovery.REAUTHENTICATE: "Reconnect",
    Recovery.GRANT_SCOPE: "Allow more",
    Recovery.OPEN_CLIENT: "Open the other client",
    Recovery.RETRY: "Try again",
    Recovery.FIX_CREDENTIAL_STORE: "Try again",
    Recovery.FIX_CONFIGURATION: "Open the configuration",
}


def show(event: StartupEvent) -> None:
    notification = event.notification
    if notification.failure_reason is McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED:
        print(f"{notification.name}: your sign-in has expired. Sign in again.")
    if event.failure is not None:
        # The message names the server. Show it unchanged, and decide by `recovery`, which is a stable value.
        button = BUTTONS.get(event.failure.recovery)
        print(event.failure.message, f"[{button}]" if button else "")


async def main() -> None:
    async with check(config="~/.codex/config.toml", timeout=20) as events:
        async for event in events:
            show(event)


asyncio.run(main())
