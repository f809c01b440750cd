"""One capacity test with any HTTP server: several downloads of one large file, or uploads, cut off as soon as it is settled."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from probes._capacity import BIN_SECONDS, Plan
from probes._capacity_run import Over, connect
from probes._control import ANSWER_SECONDS, Gone
from probes._stream_pipe import Pipe, Receiver, Sender, ServerRefuses
from probes._stream_tls import secured
from probes._streams import STREAMS, StreamTest
from probes._wire.capacity import BadFrame

__all__ = ["Head", "HttpTest", "head_of", "port_of"]

MOST_HEAD_BYTES = 32_768
MOST_REDIRECTS = 3
TLS_READS = 32
DEFAULT_PORTS = {"http": 80, "https": 443}
STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\Z")


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    location: str = ""


def head_of(received: bytes) -> Head | None:
    """Status and Location; None while it is not all there. Raises BadFrame for what is no HTTP/1, or too long."""
    if not b"HTTP/1.".startswith(received[:7]):
        raise BadFrame("no HTTP/1 answer")
    head, ended, _ = received.partition(b"\r\n\r\n")
    if len(head) > MOST_HEAD_BYTES:
        raise BadFrame(f"headers of more than {MOST_HEAD_BYTES} bytes")
    if not ended:
        return None
    first, *lines = head.split(b"\r\n")
    found = STATUS.match(first)
    if found is None:
        raise BadFrame("no HTTP/1 answer")
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"location":
            return Head(int(found[1]), value.strip().decode("latin-1"))
    return Head(int(found[1]))


class _TlsReceiver(Receiver):
    """What TLS has decrypted already does not make the socket readable: it is read at once."""

    def move(self) -> int:
        moved = 0
        for _ in range(TLS_READS):
            try:
                moved += super().move()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except ssl.SSLError as error:
                raise BadFrame(error.reason or "no TLS") from error
        return moved


class _Uploader(Sender):
    def move(self) -> int:
        try:
            return super().move()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except ConnectionError:
            self.hear()  # a server that refuses may have closed at once
            raise

    def hear(self) -> None:
        """An answer before an upload is over says that it is not wanted. Raises ServerRefuses when it says why, Over, OSError."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            received = self.connection.recv(4096)
            found = STATUS.match(received.partition(b"\r\n")[0])
            if found is not None and int(found[1]) >= 300:
                raise ServerRefuses("http_status", f"status {int(found[1])}")
            raise Over("upload_refused" if received else "peer_gone", "far")


class HttpTest(StreamTest):
    """See `StreamTest`. Towards the site it uploads (`PUT`), from there it downloads (`GET`); the address is the target's, whatever the URL's host."""

    method = "http"

    def __init__(self, plan: Plan, url: str, streams: int = STREAMS, verb: str = "PUT") -> None:
        super().__init__(plan)
        self._url, self._count, self._verb = urlsplit(url), streams, verb
        self._context = ssl.create_default_context() if self._url.scheme == "https" else None
        self._looked = 0.0

    def _open(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> None:
        pace = self.plan.pace_bits_per_second / self._count
        for _ in range(self._count):
            connection = self._upload(family, where, source) if self.sends else self._download(family, where, source)
            self._pipes.append(self._pipe(connection, pace))

    def _pipe(self, connection: socket.socket, pace: float) -> Pipe:
        if self.sends:
            return _Uploader(connection, pace)
        return _TlsReceiver(connection) if isinstance(connection, ssl.SSLSocket) else Receiver(connection)

    def _connected(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> socket.socket:
        began = time.monotonic()
        connection = connect(family, where, source, ANSWER_SECONDS)
        self._rtt_seconds = min(self._rtt_seconds, time.monotonic() - began)
        return connection if self._context is None else secured(connection, self._context, self._url.hostname)

    def _upload(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> socket.socket:
        connection = self._connected(family, where, source)
        try:
            connection.sendall(
                _request(self._verb, self._url, f"Content-Type: application/octet-stream\r\nContent-Length: {self.plan.max_bytes}\r\n")
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _download(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> socket.socket:
        """After its headers. A redirect is followed on the same host, and remembered."""
        for _ in range(MOST_REDIRECTS + 1):
            connection = self._connected(family, where, source)
            try:
                connection.sendall(_request("GET", self._url))
                head = _answer(connection)
                if head.status == 200:
                    return connection
                if not (300 <= head.status < 400 and head.location):
                    raise ServerRefuses("http_status", f"status {head.status}")
                self._url = self._redirected(head.location)
            except BaseException:
                connection.close()
                raise
            connection.close()
        raise ServerRefuses("redirect", f"more than {MOST_REDIRECTS} redirects")

    def _redirected(self, location: str) -> SplitResult:
        try:
            found = urlsplit(urljoin(self._url.geturl(), location))
            same = (found.scheme, found.hostname, port_of(found)) == (self._url.scheme, self._url.hostname, port_of(self._url))
        except ValueError:
            same = False
        if not same or not found.geturl().isascii() or not found.geturl().isprintable() or " " in found.geturl():
            raise ServerRefuses("redirect", "redirects to another host")
        return found

    def _tick(self, now: float) -> None:
        if now - self._looked < BIN_SECONDS:
            return
        self._looked = now
        for pipe in self._pipes:
            if isinstance(pipe, _Uploader):
                pipe.hear()

    def _ended(self) -> None:
        """A file has its end; only when all have ended is it too short."""


def _request(verb: str, url: SplitResult, more: str = "") -> bytes:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    common = "User-Agent: netwatch\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n"
    return f"{verb} {path} HTTP/1.1\r\nHost: {url.netloc.rpartition('@')[2]}\r\n{common}{more}\r\n".encode("ascii")


def _answer(connection: socket.socket) -> Head:
    received = b""
    until = time.monotonic() + ANSWER_SECONDS
    while (found := head_of(received)) is None:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        portion = connection.recv(4096)
        if not portion:
            raise Gone("the server closed the connection before it answered")
        received += portion
    return found


def port_of(url: SplitResult) -> int:
    """Raises ValueError for one that is no port; 0 for a scheme that is not HTTP's."""
    return url.port or DEFAULT_PORTS.get(url.scheme, 0)
