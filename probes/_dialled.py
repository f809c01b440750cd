"""Reflectors that dial in, because nothing can call them where they are: one port for all, each known by its name and token.

A connection lies ready until a test takes it; one connection, one test. In a thread: the tests that take them are threads too.
"""

from __future__ import annotations

import collections
import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from probes._control import ANSWER_SECONDS, NAME, Control, Turned, answer, calling, listeners
from probes._wire.capacity import BadFrame, Denied, Dial, GoOn, Refusal

__all__ = ["KEEP_SECONDS", "DialIn", "Switchboard"]

KEEP_SECONDS = 20.0  # shorter than the least that RFC 5382 and the makers of home routers leave an idle mapping
STRANGER_SECONDS = 5.0
MOST_CALLERS = 512
MOST_STRANGERS = 64
BACKLOG = 64
LOOK_SECONDS = 0.5
STOP_LOOK_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class _Caller:
    control: Control
    nonce: bytes
    since: float
    name: bytes = b""
    token: bytes = b""
    asked: float = 0.0  # when it was last asked whether it is there and has not answered; 0 when it has


class Switchboard:
    """One port. `take` gives a connection of the reflector of that name; what it does not know it refuses and counts."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError. Listens on all addresses of both families when `host` is empty."""
        self.alone = threading.Lock()  # for the moment when a test's datagrams are not yet told from another's
        self._tokens: dict[bytes, bytes] = {}
        self._callers: set[_Caller] = set()
        self._ready: dict[bytes, _Caller] = {}
        self._refused: collections.Counter[str] = collections.Counter()
        self._change = threading.Condition()
        self._listeners = listeners(host, port, BACKLOG)
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self.port: int = self._listeners[0].getsockname()[1]
        for one in (*self._listeners, self._wake_read):
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"dial-in {self.port}")
        self._thread.start()

    @property
    def refused(self) -> Mapping[str, int]:
        """How many callers were sent away, by why: `unknown`, `token`, `garbled`, `silent`, `full`, `replaced`."""
        with self._change:
            return dict(self._refused)

    def expect(self, name: bytes, token: bytes) -> None:
        """From now on a reflector of that name may dial in."""
        with self._change:
            if self._tokens.get(name) != token and name in self._ready:
                self._drop(self._ready[name])
            self._tokens[name] = token

    def take(self, name: bytes, token: bytes, until: float, stop: threading.Event) -> tuple[Control, float] | None:
        """Its connection, which is the taker's from now on, and its round trip in seconds.

        None when it has not dialled in by `until` (monotonic), or `stop` is set.
        """
        self.expect(name, token)
        while True:
            with self._change:
                while (caller := self._ready.pop(name, None)) is None:
                    left = until - time.monotonic()
                    if left <= 0 or stop.is_set():
                        return None
                    self._change.wait(min(left, STOP_LOOK_SECONDS))
                self._forget(caller)
            try:
                if caller.asked:
                    caller.control.receive(GoOn)
                began = time.monotonic()
                caller.control.send(GoOn())
                caller.control.receive(GoOn)
            except (OSError, BadFrame, Turned):
                caller.control.connection.close()  # its end is gone, and the line or a NAT on it kept that to itself
                continue
            return caller.control, time.monotonic() - began

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_write.send(b"x")
        self._thread.join()
        for caller in tuple(self._callers):
            caller.control.connection.close()
        for one in (*self._listeners, self._wake_read, self._wake_write):
            one.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(LOOK_SECONDS):
                if key.fileobj is self._wake_read:
                    return
                with self._change:
                    if isinstance(key.data, _Caller):
                        self._hear(key.data)
                    else:
                        with contextlib.suppress(OSError):
                            self._accept(key.fileobj.accept()[0])  # type: ignore[union-attr]  # selectors type it as anything with a descriptor
            with self._change:
                self._keep(time.monotonic())

    def _accept(self, connection: socket.socket) -> None:
        strangers = sum(not caller.name for caller in self._callers)
        if len(self._callers) >= MOST_CALLERS or strangers >= MOST_STRANGERS:
            self._refused["full"] += 1
            connection.close()
            return
        try:
            control, nonce = calling(connection)
        except OSError:
            connection.close()
            return
        caller = _Caller(control, nonce, time.monotonic())
        self._callers.add(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)

    def _hear(self, caller: _Caller) -> None:
        if caller not in self._callers:
            return
        try:
            for message in caller.control.poll():
                if isinstance(message, GoOn) and caller.name and caller.asked:
                    caller.asked, caller.since = 0.0, time.monotonic()
                    self._lay_ready(caller)
                elif isinstance(message, Dial) and not caller.name:
                    self._admit(caller, message)
                else:
                    raise BadFrame(f"{type(message).__name__} was not asked for")
        except Turned as turned:
            self._refuse(caller, turned.refusal.name.lower())
        except BadFrame:
            self._refuse(caller, "garbled")
        except OSError:
            self._drop(caller)

    def _admit(self, caller: _Caller, said: Dial) -> None:
        name = said.name.rstrip(b"\0")
        token = self._tokens.get(name)
        if token is None or not NAME.fullmatch(name):
            caller.control.send(Denied(Refusal.UNKNOWN))
            raise Turned(Refusal.UNKNOWN)
        answer(caller.control, caller.nonce, said, token)
        caller.name, caller.token, caller.asked = name, token, time.monotonic()

    def _lay_ready(self, caller: _Caller) -> None:
        """The newer wins: the older may be one whose line went away without a word."""
        before = self._ready.get(caller.name)
        if before is caller:
            return
        if self._tokens[caller.name] != caller.token:
            raise Turned(Refusal.TOKEN)
        if before is not None:
            with contextlib.suppress(OSError):
                before.control.send(Denied(Refusal.REPLACED))
            self._refuse(before, "replaced")
        self._ready[caller.name] = caller
        self._change.notify_all()

    def _keep(self, now: float) -> None:
        for caller in tuple(self._callers):
            if not caller.name and now - caller.since > STRANGER_SECONDS:
                self._refuse(caller, "silent")
            elif caller.asked and now - caller.asked > ANSWER_SECONDS:
                self._drop(caller)
            elif caller.name and not caller.asked and now - caller.since > KEEP_SECONDS:
                caller.asked = now
                try:
                    caller.control.send(GoOn())
                except OSError:
                    self._drop(caller)

    def _refuse(self, caller: _Caller, why: str) -> None:
        self._refused[why] += 1
        self._drop(caller)

    def _drop(self, caller: _Caller) -> None:
        if self._ready.get(caller.name) is caller:
            del self._ready[caller.name]
        self._forget(caller)
        caller.control.connection.close()

    def _forget(self, caller: _Caller) -> None:
        if caller in self._callers:
            self._callers.discard(caller)
            self._selector.unregister(caller.control.connection)


@dataclass(slots=True)
class DialIn:
    """The switchboards of this process, one for each port."""

    boards: dict[int, Switchboard] = field(default_factory=dict)

    def board(self, port: int) -> Switchboard:
        """Raises OSError when the port cannot be listened to."""
        board = self.boards.get(port)
        if board is None:
            board = self.boards[port] = Switchboard("", port)
        return board

    async def aclose(self) -> None:
        while self.boards:
            self.boards.popitem()[1].close()
