"""The two ports: S3 for clients, metrics and liveness for operators."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from sseproxy.metrics import CONTENT_TYPE
from sseproxy.proxy.dispatch import Dispatcher
from sseproxy.proxy.exchange import Services
from sseproxy.proxy.server import S3Server

Address = tuple[str, int]
_BACKLOG = 1024


@contextlib.asynccontextmanager
async def listening(
    services: Services,
    clients: Address,
    operators: Address,
    *,
    tls: ssl.SSLContext | None,
    drain_s: float,
) -> AsyncIterator[tuple[str, str]]:
    """Listen until the context ends, then drain; (endpoint, admin) URLs.

    clients, operators: host and port; an empty host is every interface, port 0 any free one.
    tls: of the clients' port. drain_s: what running requests have to end. Raises OSError.
    """
    dispatcher = Dispatcher(services)
    s3 = web.ServerRunner(S3Server(dispatcher, dispatcher.error_page), shutdown_timeout=drain_s)
    admin = web.AppRunner(_admin(services), access_log=None)
    try:
        await s3.setup()
        await admin.setup()
        host, port = clients
        await web.TCPSite(s3, host or None, port, ssl_context=tls, backlog=_BACKLOG).start()
        host, port = operators
        await web.TCPSite(admin, host or None, port).start()
        yield _url(s3, "https" if tls else "http"), _url(admin, "http")
    finally:
        await _drain(s3, services, drain_s)
        await s3.cleanup()
        await admin.cleanup()


async def _drain(s3: web.ServerRunner, services: Services, limit_s: float) -> None:
    """Take no new connections and let running requests end, for at most `limit_s` seconds.

    aiohttp's own shutdown lets handlers end, but throws away what their clients still send.
    """
    for site in s3.sites:
        await site.stop()
    if s3.server is not None:
        s3.server.pre_shutdown()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while services.in_flight:  # noqa: ASYNC110  (a counter, looked at once in a life)
                await asyncio.sleep(0.05)


def _url(runner: web.BaseRunner, scheme: str) -> str:
    host, port = runner.addresses[0][:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _admin(services: Services) -> web.Application:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=services.metrics.render(), headers={"content-type": CONTENT_TYPE})

    async def live(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/livez", live)
    return application
