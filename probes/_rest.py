"""JSON over HTTPS with one device: one connection for all requests of a run, cookies of its own, answers of bounded size."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from probes import ProbeFailed, Target, _connect
from probes._connect import Address
from probes._http_exchange import told_plainly

__all__ = ["Answer", "Rest", "opened"]

HEADERS = {"User-Agent": "netwatch", "Accept": "application/json", "Accept-Encoding": "identity"}
MOST_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the JSON; None where there is none, whatever the device says of its type."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class _Known(AbstractResolver):
    """Gives the addresses that were looked up already: so a name that does not exist is told apart from a dead device."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(hostname=host, host=where[0], port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, where in self._addresses
        ]

    async def close(self) -> None:
        return None


class Rest:
    """Only ever asks the target's own address: redirects are not followed."""

    def __init__(self, session: aiohttp.ClientSession, base: URL, name: str) -> None:
        self._session = session
        self._base = base
        self._name = name

    async def ask(
        self, method: str, path: str, *, body: Any = None, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Raises ProbeFailed `bad_response`, `too_large`, `tls…`, or the OSError of the connection."""
        with told_plainly():
            request = self._session.request(
                method,
                self._base.join(URL(path, encoded=True)),
                json=body,
                data=form,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._name,
            )
            async with request as response:
                found = bytearray()
                async for part in response.content.iter_any():
                    found += part
                    if len(found) > MOST_BYTES:
                        raise ProbeFailed("too_large", f"more than {MOST_BYTES} bytes")
                return Answer(response.status, parsed(bytes(found)), dict(response.headers))

    @property
    def origin(self) -> str:
        return str(self._base.origin())

    def cookie(self, name: str) -> str:
        """Its value; empty where the device has set none of that name, however it writes it."""
        return next((one.value for one in self._session.cookie_jar if one.key.lower() == name), "")


def parsed(data: bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(data)
    return None


@contextlib.asynccontextmanager
async def opened(target: Target, port: int, context: ssl.SSLContext, name: str) -> AsyncIterator[Rest]:
    """Looks the target up, and closes whatever is open at the end, abruptly. Raises ProbeFailed, OSError."""
    addresses = _connect.literal(target.address, port) or await _connect.resolve(target.address, port)
    connector = aiohttp.TCPConnector(
        ssl=context,
        resolver=_Known(addresses),
        limit=1,
        use_dns_cache=False,
        local_addr=None if target.source is None else (target.source, 0),
        happy_eyeballs_delay=None,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # unsafe: devices are reached by address, too; forgotten after this run
        headers=HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the deadline is the runner's
    )
    try:
        yield Rest(session, URL.build(scheme="https", host=target.address, port=port), name)
    finally:
        await session.close()
        await asyncio.sleep(0)  # the transport's own end comes in the next turn
