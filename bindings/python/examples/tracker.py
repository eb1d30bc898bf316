import sys

from mcp_startup import StartupTracker

tracker = StartupTracker()
# Any chunks of whole lines, of Codex's app-server for one; lines of other messages are passed over.
for chunk in [sys.stdin.buffer.read()]:
    applied = tracker.apply_lines(chunk)
    for name in applied.prompts:
        # Once for each name, however many threads and retries repeat it, until the server was ready.
        print(f"{name} needs you to sign in again. Reconnect?")
for server in tracker.servers():
    print(server.thread_id, server.name, server.status)
