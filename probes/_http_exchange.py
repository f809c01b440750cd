"""One HTTP request and its answer over a connection of its own, timed phase by phase."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractCookieJar
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from probes import ProbeFailed, Reading, Sample, Target, _connect, _tls

__all__ = ["Exchange", "Notes", "clean", "text"]

# identity: a body is judged as it was sent and cannot swell; a server that compresses all the same is unpacked up to the cap.
HEADERS = {"User-Agent": "netwatch", "Accept": "*/*", "Accept-Encoding": "identity"}


def clean(hostile: str, limit: int = 200) -> str:
    """Text of a device, fit for a terminal and a page: no control or direction characters, not long."""
    return "".join(letter if letter.isprintable() else " " for letter in hostile[:limit]).strip()


@dataclass
class Notes:
    """What one run has found so far."""

    phases: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Adds the time to the phase, once it is completed; redirects sum up."""
        clock = asyncio.get_running_loop().time
        began = clock()
        yield
        self.phases[name] = self.phases.get(name, 0.0) + clock() - began

    def samples(self) -> tuple[Sample, ...]:
        phases = tuple(Sample("http_duration_seconds", (seconds,), name) for name, seconds in self.phases.items())
        return (*phases, *(Sample(name, (value,)) for name, value in self.values.items()))

    def reading(self, detail: str = "") -> Reading:
        return Reading(self.samples(), dict(self.facts), detail)


class Ready(aiohttp.BaseConnector):
    """Hands aiohttp the connection made already: so each step is timed, and an error arrives as the system gave it."""

    def __init__(self, protocol: ResponseHandler) -> None:
        super().__init__(force_close=True)
        self._protocol = protocol

    async def _create_connection(self, *_arguments: Any) -> ResponseHandler:
        return self._protocol


class Exchange:
    """`open`, `ask`, `body`, in that order. Its end is abrupt: no peer may keep our descriptor by dawdling."""

    def __init__(self, url: URL, target: Target, notes: Notes) -> None:
        self._url = url
        self._target = target
        self._notes = notes
        self._protocol = ResponseHandler(asyncio.get_running_loop())
        self._ending = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._ending.aclose()

    async def open(self, context: ssl.SSLContext | None) -> None:
        """Connects to the target's address, whatever name the URL has; speaks TLS when there is a context."""
        host, port = self._target.address, self._url.port or 0
        addresses = _connect.literal(host, port)
        if not addresses:
            with self._notes.phase("resolve"):
                addresses = await _connect.resolve(host, port)
        with self._notes.phase("connect"):
            connection = await _connect.connect(addresses, self._target.source)
        if context is None:
            await self._hand_over(connection)
            return
        with self._notes.phase("tls"):
            transport = await _tls.handshake(connection, context, self._url.host or "", self._protocol)
        self._ending.callback(transport.abort)
        self._look_at_certificate(transport.get_extra_info("ssl_object"))

    async def _hand_over(self, connection: socket.socket) -> None:
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: self._protocol, sock=connection)
        except BaseException:
            connection.close()
            raise
        self._ending.callback(transport.abort)

    def _look_at_certificate(self, connection: ssl.SSLObject) -> None:
        self._notes.facts["tls_version"] = connection.version() or ""
        ends = _tls.certificate_ends(connection)
        if ends is not None:
            self._notes.values["http_tls_left_seconds"] = ends - time.time()
            self._notes.facts["tls_not_after"] = _tls.utc(ends)

    async def ask(self, method: str, cookies: AbstractCookieJar) -> aiohttp.ClientResponse:
        """Sends the request; done when all headers have come. Raises ProbeFailed `bad_response`."""
        session = aiohttp.ClientSession(
            connector=Ready(self._protocol),
            cookie_jar=cookies,
            headers=HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the deadline is the runner's
            auto_decompress=False,
        )
        self._ending.push_async_callback(session.close)
        session._retry_connection = False  # noqa: SLF001  # one run is one try; aiohttp's own TestClient turns it off like this
        with self._notes.phase("processing"), told_plainly():
            response = await session.request(method, self._url, allow_redirects=False)
        self._ending.callback(response.close)
        self._notes.values["http_status_code"] = float(response.status)
        if "Server" in response.headers:
            self._notes.facts["server"] = clean(response.headers["Server"])
        return response

    async def body(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """The body as it was sent. Raises ProbeFailed `too_large` beyond `limit` bytes, `bad_response` when it is cut short."""
        found = bytearray()
        with self._notes.phase("transfer"), told_plainly():
            async for part in response.content.iter_any():
                found += part
                if len(found) > limit:
                    raise ProbeFailed("too_large", f"more than {limit} bytes")
        self._notes.values["http_response_bytes"] = float(len(found))
        return bytes(found)


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Turns aiohttp's exceptions into ProbeFailed, or into the OSError that lies beneath."""
    try:
        yield
    except aiohttp.ClientResponseError as error:
        raise ProbeFailed("bad_response", clean(error.message) or "malformed answer") from error
    except aiohttp.ClientPayloadError as error:
        raise ProbeFailed("bad_response", "body is malformed or cut short") from error
    except aiohttp.ClientError as error:
        root = error.__cause__
        if isinstance(root, ssl.SSLError):
            raise _tls.fault(root) from error
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror) from error
        raise ProbeFailed("bad_response", "connection closed before an answer") from error


def text(response: aiohttp.ClientResponse, body: bytes, limit: int) -> str:
    """The body as text, unpacked when the server packed it unasked. Raises ProbeFailed for more than `limit` bytes of it."""
    if response.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}:
        body = unpacked(body, limit)
    try:
        return body.decode(response.charset or "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


def unpacked(body: bytes, limit: int) -> bytes:
    """Never makes more than `limit` bytes, however much a gzip or zlib stream claims to hold."""
    try:
        plain = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, limit + 1)  # | 32: finds out which of the two it is
    except zlib.error as error:
        raise ProbeFailed("bad_response", "compressed body is malformed") from error
    if len(plain) > limit:
        raise ProbeFailed("too_large", f"more than {limit} bytes once unpacked")
    return plain
