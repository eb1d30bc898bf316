import sys

from mcp_startup import StartupTracker

tracker = StartupTracker()
# Pass any number of whole lines, for example from Codex's app-server. The tracker skips other messages.
for chunk in [sys.stdin.buffer.read()]:
    applied = tracker.apply_lines(chunk)
    for key in applied.prompts:
        # Once for each server until it is ready, even if many threads and retries report the failure.
        print(f"{key.name} needs you to sign in again. Reconnect?")
for server in tracker.servers():
    print(server.thread_id, server.name, server.status)
