"""aiohttp's bare pass-through: its low-level server and ClientSession, and nothing between.

The baseline of small requests. It takes what is best practice: one session without cookies and
decompression, small bodies in one piece, large ones streamed. Usage: bare.py STORE PORT LOOP,
with LOOP asyncio or uvloop.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from yarl import URL

_ENDS_HERE = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}
_SMALL = 65536


async def serve(store: str, port: int) -> None:
    """Pass everything on to the store, Host and signature with it, until killed."""
    session = ClientSession(
        connector=TCPConnector(limit=1024), auto_decompress=False, cookie_jar=DummyCookieJar()
    )

    async def relay(request: web.BaseRequest) -> web.StreamResponse:
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _ENDS_HERE]
        length = request.content_length
        body = None
        if length:
            headers.append(("Content-Length", str(length)))
            body = await request.read() if length <= _SMALL else request.content
        async with session.request(
            request.method,
            URL(store + request.raw_path, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
        ) as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in _ENDS_HERE]
            if (answer.content_length or 0) <= _SMALL:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=kept)
            response.content_length = answer.content_length
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    runner = web.ServerRunner(web.Server(relay), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    runners = {"asyncio": asyncio.run, "uvloop": uvloop.run}
    runners[sys.argv[3]](serve(sys.argv[1], int(sys.argv[2])))
