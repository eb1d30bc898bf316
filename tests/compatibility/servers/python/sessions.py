"""Tells how many sessions of the Python SDK are live: GET /sessions."""


def count_sessions(app, manager):
    async def wrapped(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/sessions":
            await app(scope, receive, send)
            return
        transports = getattr(manager, "_server_instances", {}).values()
        live = sum(not getattr(transport, "_terminated", False) for transport in transports)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": str(live).encode()})

    return wrapped
