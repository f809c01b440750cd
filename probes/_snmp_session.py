"""One conversation with an SNMP agent: gufo_snmp's socket behind a guard. As it is for v2c; v1 and v3 build on it.

The library is quick but trusting (0.13): it walks in circles for ever with an agent that repeats itself, gives up on one
bad datagram though the right answer follows, panics on some garbage, ignores error-status, and may swallow a
cancellation. So only its encoder and decoder are used, on our own reader with one absolute deadline.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias

from gufo.snmp._fast import GetIter, SnmpAuthError, SnmpDecodeError

from probes import ProbeFailed, ProbeMisconfigured
from probes._snmp_sockets import Client, Sockets, failure

__all__ = ["Limits", "Session", "Sizes", "Value", "Walk", "order"]

Value: TypeAlias = int | float | str | bytes | None

# A panic's backtrace costs 60 to 150 ms and forty lines of stderr, and a hostile agent can cause them at will.
os.environ["RUST_BACKTRACE"] = "0"

DATAGRAMS_A_CALLBACK = 8
BAD_DATAGRAMS = 256  # a session; beyond it the agent is not worth listening to
REQUESTS = 600  # a session
GRACE_SECONDS = 0.2  # after an answer that cannot be read: the right one may follow it
SMALL_GET = 10  # OIDs; a GET as small as this is not refused for its size


class Sizes:
    """How much an agent can answer at once; learned, and kept from run to run.

    What it once answered is proven: silence on that much is loss, not a reason to ask for less.
    """

    __slots__ = ("oids", "proven_oids", "proven_repetitions", "repetitions")

    def __init__(self) -> None:
        self.oids = 48  # about 1,350 bytes of answer: inside one Ethernet frame
        self.proven_oids = SMALL_GET
        self.repetitions = 20
        self.proven_repetitions = 1


class Walk:
    """A column as far as it could be read. `flaw` says why it may be short of rows."""

    __slots__ = ("flaw", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Value] = {}
        self.flaw = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """`deadline` is on the loop's clock and for the whole session."""

    timeout_seconds: float
    retries: int
    deadline: float


class Session:
    """A context manager. Not for two requests at a time."""

    counter64: ClassVar = True  # whether the protocol knows such counters

    def __init__(self, sockets: Sockets, client: Client, limits: Limits, sizes: Sizes) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._timeout_seconds, self._retries, self._deadline, self.sizes = limits.timeout_seconds, limits.retries, limits.deadline, sizes
        self._socket = client
        self._file = client.get_fd()
        self._receive: Callable[[], Any] = client.recv_get_many
        self._accept: Callable[[Any], bool] = _anything
        self._answer: asyncio.Future[Any] | None = None
        self._limit = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._bad = 0
        self._requests = 0
        self.notices: dict[str, None] = {}  # codes of what went wrong and was mended

    def __enter__(self) -> Self:
        self._sockets.add(self._file, self._on_readable)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._sockets.remove(self._file)
        del self._socket, self._receive  # the library closes a socket when nothing refers to it any more

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of those OIDs that exist, in as few requests as the agent can bear.

        Raises ProbeFailed: `timeout`, `refused`, `malformed`, `too_long`; ProbeMisconfigured: `denied`.
        """
        found: dict[str, Value] = {}
        size = self.sizes.oids
        waiting = deque(list(oids[start : start + size]) for start in range(0, len(oids), size))
        failures = 0
        while waiting:
            chunk = waiting.popleft()
            answer = await self._get_once(chunk)
            if answer:
                found = found | answer if found else answer
                failures = 0
                self.sizes.proven_oids = max(self.sizes.proven_oids, len(chunk))
                continue
            if answer is not None and not self._less_may_do(chunk):
                continue
            half = (len(chunk) + 1) // 2
            unproven = len(chunk) > self.sizes.proven_oids
            if unproven:
                self.sizes.oids = max(half, SMALL_GET)
            if answer is None:
                failures += 1
                await self._give_up_after(failures)
                if not unproven:
                    waiting.appendleft(chunk)
                    continue
            # An empty answer may be tooBig or genErr, which the library does not tell: less may be answered.
            waiting.extendleft((chunk[half:], chunk[:half]))
        return found

    async def _get_once(self, oids: list[str]) -> dict[str, Value] | None:
        """None: no answer that can be read. Empty: the agent has none of these, or will not say."""
        asked = frozenset(oids)
        answer = await self._exchange(
            lambda: self._socket.send_get_many(oids),
            lambda: self._socket.recv_get_many(),  # noqa: PLW0108  # another socket may have taken its place by then
            # An answer to other questions is not an answer, whatever its request-id.
            lambda values: not values or not asked.isdisjoint(values),
        )
        if answer is None:
            return None
        values: dict[str, Value] = answer
        return values if values.keys() <= asked else {oid: value for oid, value in values.items() if oid in asked}

    def _less_may_do(self, oids: list[str]) -> bool:
        """Whether some of these may be answered though all of them at once were not."""
        return len(oids) > 1

    async def walk(self, column: str, most_rows: int) -> Walk:
        """A column by GETBULK: index to value, in the order of the agent.

        Raises ProbeFailed as `get` does; an agent that goes back, in circles or on for ever ends the walk with a flaw.
        """
        walk = Walk()
        failures = 0
        while True:
            repetitions = self.sizes.repetitions
            ended = await self._walk_through(column, repetitions, most_rows, walk)
            if ended == "empty" and repetitions > 1:
                # The end of the MIB or an error-status: the library tells neither. One row is never too big.
                ended = await self._walk_through(column, 1, 1, walk)
                if ended == "end" and walk.rows:
                    ended, walk.flaw = "less", ""
            if ended in {"end", "empty"}:
                return walk
            if ended == "less" or repetitions > self.sizes.proven_repetitions:
                self.sizes.repetitions = max(1, repetitions // 4)
            if ended == "silent":
                failures += 1
                await self._give_up_after(failures)

    async def _walk_through(self, column: str, repetitions: int, most_rows: int, walk: Walk) -> str:
        """Walks from the top. `end`: nothing more to learn; `silent`: no answer; `empty`: an empty first answer."""
        position = GetIter(column, repetitions)
        above = column + "."
        last = order(column)
        first = True
        while True:
            answer = await self._ask_beyond(position)
            if answer is None:
                return "silent"
            if not answer:
                return "empty" if first else "end"
            first = False
            self.sizes.proven_repetitions = max(self.sizes.proven_repetitions, len(answer))
            for item in answer:
                if item is None or not item[0].startswith(above):
                    return "end"
                here = order(item[0])
                if here <= last:
                    walk.flaw = "not_increasing"
                    return "end"
                last = here
                if len(walk.rows) >= most_rows and item[0][len(above) :] not in walk.rows:
                    walk.flaw = "too_many_rows"
                    return "end"
                walk.rows[item[0][len(above) :]] = item[1]

    async def _ask_beyond(self, position: GetIter) -> Any:
        """The next rows; none of them at the end of the MIB, or None for no answer."""
        return await self._exchange(lambda: self._socket.send_get_bulk(position), lambda: self._socket.recv_get_bulk(position), _anything)

    async def _give_up_after(self, failures: int) -> None:
        if failures > self._retries or self._loop.time() >= self._deadline:
            raise ProbeFailed("malformed" if self._bad else "timeout")

    async def _exchange(self, send: Callable[[], None], receive: Callable[[], Any], accept: Callable[[Any], bool]) -> Any:
        """One request. None when the time is up without an answer that can be read."""
        self._requests, now = self._requests + 1, self._loop.time()
        if self._requests > REQUESTS or now >= self._deadline:
            raise ProbeFailed("too_long" if self._requests > 1 else "timeout")
        self._receive, self._accept = receive, accept
        answer = self._answer = self._loop.create_future()
        self._wait_until(min(now + self._timeout_seconds, self._deadline))
        try:
            self._send(send)
            return await answer
        finally:
            self._answer = None
            if self._timer is not None:
                self._timer.cancel()

    def _send(self, send: Callable[[], None]) -> None:
        try:
            send()
        except BlockingIOError:
            return  # the send buffer is full; the retry will do
        except OSError as error:
            raise failure(error) from None

    def _wait_until(self, limit: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._limit = limit
        self._timer = self._loop.call_at(limit, self._settle, None)

    def _settle(self, answer: Any) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, error: BaseException) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _on_readable(self) -> None:
        for _ in range(DATAGRAMS_A_CALLBACK):
            try:
                answer = self._receive()
            except BlockingIOError:
                return
            except StopAsyncIteration:
                answer = []
            except SnmpDecodeError:
                self._bad_datagram()
                continue
            except SnmpAuthError:
                self._fail(ProbeMisconfigured("denied", "authorizationError"))
                continue
            except OSError as error:
                self._fail(failure(error))
                return
            except BaseException as panic:
                if type(panic).__name__ != "PanicException":  # PyO3 has it derive from BaseException and exports no name
                    raise
                self._bad_datagram()
                continue
            if self._accept(answer):
                self._settle(answer)
                return

    def _bad_datagram(self) -> None:
        self._bad += 1
        if self._bad > BAD_DATAGRAMS:
            self._fail(ProbeFailed("malformed"))
        else:
            self._wait_a_little()

    def _wait_a_little(self) -> None:
        """Not for the whole time any more, now that something else has come."""
        if self._answer is not None and (soon := self._loop.time() + GRACE_SECONDS) < self._limit:
            self._wait_until(soon)


def order(oid: str) -> tuple[int, ...]:
    """OIDs compare number by number, not as text."""
    return tuple(map(int, oid.split(".")))


def _anything(_answer: object) -> bool:
    return True
