import asyncio

from mcp_startup import McpServerStartupFailureReason, Recovery, StartupEvent, check

BUTTONS = {
    Recovery.SIGN_IN: "Sign in",
    Recovery.REAUTHENTICATE: "Reconnect",
    Recovery.GRANT_SCOPE: "Allow more",
    Recovery.RETRY: "Try again",
    Recovery.FIX_CREDENTIAL_STORE: "Try again",
    Recovery.FIX_CONFIGURATION: "Open the configuration",
}


def show(event: StartupEvent) -> None:
    said = event.notification
    if said.failure_reason is McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED:
        print(f"{said.name}: you were signed in, and have to sign in again")
    if event.failure is not None:
        # A sentence for a person, with the name of the server in it; and what to offer beside it.
        button = BUTTONS.get(event.failure.recovery)
        print(event.failure.message, f"[{button}]" if button else "")


async def main() -> None:
    async with check(config="~/.codex/config.toml", timeout=20) as events:
        async for event in events:
            show(event)


asyncio.run(main())
