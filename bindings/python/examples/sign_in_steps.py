import asyncio
import sys
import webbrowser

import mcp_startup

OPTIONS: mcp_startup.Options = {"config": "~/.codex/config.toml"}


async def main(server: str) -> None:
    redirected: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode().split(" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nYou can close this page.")
        await writer.drain()
        writer.close()
        if path.startswith("/callback?") and not redirected.done():
            redirected.set_result(path)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        begun = await mcp_startup.begin_sign_in(server, f"{origin}/callback", **OPTIONS)
        # `webbrowser.open` can block.
        await asyncio.to_thread(webbrowser.open, begun.authorization_url)
        path = await redirected
    try:
        await mcp_startup.finish_sign_in(begun.pending, origin + path, **OPTIONS)
    except mcp_startup.SignInError as error:
        print(f"{server}: {error} ({error.kind})")
    else:
        status = await mcp_startup.auth_status(server, **OPTIONS)
        print(f"{server}: signed in ({status.status})")


asyncio.run(main(sys.argv[1]))
