"""HTTPS servers on loopback, for what is asked by a REST API."""

import contextlib

from aiohttp import web


@contextlib.asynccontextmanager
async def https(handler, context, address="127.0.0.1"):
    """Any handler behind every path; gives its port."""
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, address, 0, ssl_context=context)
    try:
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
