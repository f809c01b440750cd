"""The control connection of a capacity test, from either end. Standard library only, without asyncio: see `_paced`."""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import socket
from collections import deque
from typing import TypeVar

from probes._wire.capacity import (
    NONCE_BYTES,
    PREAMBLE,
    VERSION,
    BadFrame,
    Challenge,
    Denied,
    Dial,
    Framer,
    GoOn,
    Hello,
    Message,
    Refusal,
    Welcome,
    proof,
    session_key,
)

__all__ = ["ANSWER_SECONDS", "NAME", "Control", "Gone", "Turned", "admit", "answer", "calling", "dial", "introduce", "listeners"]

ANSWER_SECONDS = 3.0
PROBER, REFLECTOR = b"prober", b"reflector"
DIALLER, HUB = b"dialler ", b"hub "
NAME = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)  # of a reflector that dials in
M = TypeVar("M", bound=Message)


class Gone(ConnectionError):
    """The other end closed the connection."""


class Turned(Exception):
    """The reflector does not take the test, or is not the one it should be."""

    def __init__(self, refusal: Refusal, limit: int = 0) -> None:
        self.refusal, self.limit = refusal, limit
        super().__init__(refusal.name.lower())


def listeners(host: str, port: int, backlog: int) -> list[socket.socket]:
    """One for each family, not blocking, on all addresses when `host` is empty. Raises OSError, and leaves nothing open then."""
    with contextlib.ExitStack() as opened:
        found = []
        for family, kind, _, _, where in socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            listener = opened.enter_context(socket.socket(family, kind))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            listener.listen(backlog)
            listener.setblocking(False)
            found.append(listener)
        opened.pop_all()
    return found


class Control:
    """Messages over a connected TCP socket. Raises Gone, BadFrame, TimeoutError, OSError."""

    def __init__(self, connection: socket.socket, framer: Framer) -> None:
        self.connection, self.framer = connection, framer
        self._waiting: deque[Message] = deque()
        connection.settimeout(ANSWER_SECONDS)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: Message) -> None:
        self.connection.sendall(self.framer.pack(message))

    def poll(self) -> list[Message]:
        """What has come by now, without waiting."""
        self.connection.settimeout(0)
        try:
            self._read()
        except BlockingIOError:
            pass
        finally:
            self.connection.settimeout(ANSWER_SECONDS)
        messages = list(self._waiting)
        self._waiting.clear()
        return messages

    def receive(self, kind: type[M]) -> M:
        """The next message, which must be of that kind. Raises Turned when it is a refusal."""
        while not self._waiting:
            self._read()
        message = self._waiting.popleft()
        if isinstance(message, Denied):
            raise Turned(_refusal(message.refusal), message.limit)
        if not isinstance(message, kind):
            raise BadFrame(f"{type(message).__name__} instead of {kind.__name__}")
        return message

    def _read(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise Gone("the other end closed the connection")
        self._waiting.extend(self.framer.feed(received))


def _refusal(code: int) -> Refusal:
    try:
        return Refusal(code)
    except ValueError as error:
        raise BadFrame(f"refusal {code}") from error


def introduce(connection: socket.socket, token: bytes) -> Control:
    """The prober's side of getting to know each other. Raises Turned when either does not know the token."""
    control = Control(connection, Framer(PROBER, REFLECTOR))
    connection.sendall(PREAMBLE)
    challenge = control.receive(Challenge)
    if challenge.version != VERSION:
        raise BadFrame(f"version {challenge.version}")
    nonce = secrets.token_bytes(NONCE_BYTES)
    control.send(Hello(nonce, proof(token, PROBER, challenge.nonce, nonce)))
    welcome = control.receive(Welcome)
    if not hmac.compare_digest(welcome.proof, proof(token, REFLECTOR, challenge.nonce, nonce)):
        raise Turned(Refusal.TOKEN)
    control.framer.key = session_key(token, challenge.nonce, nonce)
    return control


def admit(connection: socket.socket, token: bytes) -> Control:
    """The reflector's side, after the preamble. Raises Turned when the prober does not know the token, and has told it so."""
    control = Control(connection, Framer(REFLECTOR, PROBER))
    nonce = secrets.token_bytes(NONCE_BYTES)
    control.send(Challenge(VERSION, nonce))
    hello = control.receive(Hello)
    if not hmac.compare_digest(hello.proof, proof(token, PROBER, nonce, hello.nonce)):
        control.send(Denied(Refusal.TOKEN))
        raise Turned(Refusal.TOKEN)
    control.send(Welcome(proof(token, REFLECTOR, nonce, hello.nonce)))
    control.framer.key = session_key(token, nonce, hello.nonce)
    return control


def dial(connection: socket.socket, name: bytes, token: bytes) -> Control:
    """A reflector's side of getting to know each other where it is the one that connects, to the hub that listens.

    Raises Turned when either does not know the token, or the hub not this name.
    """
    control = Control(connection, Framer(REFLECTOR, PROBER))
    challenge = control.receive(Challenge)
    if challenge.version != VERSION:
        raise BadFrame(f"version {challenge.version}")
    nonce = secrets.token_bytes(NONCE_BYTES)
    control.send(Dial(name, nonce, proof(token, DIALLER + name, nonce, challenge.nonce)))
    welcome = control.receive(Welcome)
    if not hmac.compare_digest(welcome.proof, proof(token, HUB + name, nonce, challenge.nonce)):
        raise Turned(Refusal.TOKEN)
    control.framer.key = session_key(token, nonce, challenge.nonce)
    control.send(GoOn())  # what carries a code may come from now on
    return control


def calling(connection: socket.socket) -> tuple[Control, bytes]:
    """The hub's side begins: a challenge, and its nonce. The `Dial` that answers it is for `answer`."""
    control = Control(connection, Framer(PROBER, REFLECTOR))
    nonce = secrets.token_bytes(NONCE_BYTES)
    control.send(Challenge(VERSION, nonce))
    return control, nonce


def answer(control: Control, nonce: bytes, said: Dial, token: bytes) -> None:
    """The hub's side ends, but for the reflector's GoOn. Raises Turned when it does not know the token, and has told it so."""
    name = said.name.rstrip(b"\0")
    if not hmac.compare_digest(said.proof, proof(token, DIALLER + name, said.nonce, nonce)):
        control.send(Denied(Refusal.TOKEN))
        raise Turned(Refusal.TOKEN)
    control.send(Welcome(proof(token, HUB + name, said.nonce, nonce)))
    control.framer.key = session_key(token, said.nonce, nonce)
