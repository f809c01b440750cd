"""Which reply belongs to which echo. Pure: no socket, and the clocks come in as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from probes._wire.icmp import TOKEN, Quote

__all__ = ["MEMORY_NS", "Book", "Train", "nothing"]

# A reply is told apart as late or doubled for at least this long after its echo; no echo is waited for any longer.
MEMORY_NS = 10_000_000_000
# More than any slewing of the wall clock within a wait (500 ppm of 1 s): the clock was set in between.
CLOCK_TOLERANCE_NS = 1_000_000
LATE_NS = -1


def nothing() -> None:
    return None


class Train:
    """The echoes sent to one address, and what came of each. `where` is what sendto takes.

    `reason` and `offender` are what an ICMP error said: a hint, since routers limit and strangers forge them.
    """

    __slots__ = (
        "address",
        "duplicates",
        "late",
        "offender",
        "on_settled",
        "over",
        "padding",
        "reason",
        "refused",
        "rtts",
        "sending",
        "tokens",
        "wait_ns",
        "waiting",
        "where",
    )

    def __init__(self, where: tuple[Any, ...], padding: bytes, wait_ns: int, on_settled: Callable[[], None] = nothing) -> None:
        self.where = where
        self.address: str = where[0]
        self.padding = padding
        self.wait_ns = wait_ns
        self.on_settled = on_settled
        # One entry an echo.
        self.tokens: list[bytes] = []
        self.rtts: list[int | None] = []
        self.refused: frozenset[int] = frozenset()
        self.waiting = 0
        self.sending = True
        self.over = False
        self.duplicates = 0
        self.late = 0
        self.reason = ""
        self.offender = ""

    @property
    def sent(self) -> int:
        return len(self.rtts)

    @property
    def rtt_seconds(self) -> tuple[float, ...]:
        """Of the echoes answered in time, in the order sent."""
        return tuple([rtt / 1e9 for rtt in self.rtts if rtt is not None and rtt >= 0])  # a list is quicker than a generator

    def all_sent(self) -> None:
        """No more echoes will follow: the train is settled when none is waited for."""
        self.sending = False
        if not self.waiting:
            self.on_settled()

    def refuse(self, index: int, reason: str, offender: str) -> None:
        """A router that saw the whole echo says it ends there. A good reply still counts if it comes."""
        if self.rtts[index] is not None:
            return
        self.reason, self.offender = reason, offender
        if index not in self.refused:
            self.refused |= {index}
            self._settle_one()

    def answer(self, index: int, rtt: int) -> bool:
        """Takes the first reply to an echo. False when it comes too late to be credited."""
        in_time = not self.over and rtt <= self.wait_ns
        if in_time:
            self.rtts[index] = rtt
        else:
            self.rtts[index] = LATE_NS
            self.late += 1
        if index not in self.refused:
            self._settle_one()
        return in_time

    def _settle_one(self) -> None:
        self.waiting -= 1
        if not self.waiting and not self.sending and not self.over:
            self.on_settled()


_Echo: TypeAlias = tuple[Train, int, int, int]  # its place in the train, wall clock when sent, and how far that was ahead of the monotonic


class Book:
    """Every echo of one socket, and counters of what was not credited."""

    def __init__(self, reply_type: int) -> None:
        self._reply_type = reply_type
        self._recent: dict[bytes, _Echo] = {}
        self._older: dict[bytes, _Echo] = {}
        self._turned_ns = 0
        self._open: dict[str, list[Train]] = {}
        self.late = 0
        self.duplicates = 0
        self.foreign = 0
        self.clock_steps = 0

    def open(self, train: Train) -> None:
        self._open.setdefault(train.address, []).append(train)

    def close(self, train: Train) -> None:
        """From here on nothing is credited to the train."""
        train.over = True
        trains = self._open[train.address]
        trains.remove(train)
        if not trains:
            del self._open[train.address]

    def sent(self, train: Train, token: bytes, wall: int, lag: int) -> None:
        """An echo has left at `wall`, which was `lag` ahead of the monotonic clock."""
        rtts = train.rtts
        self._recent[token] = echo = (train, len(rtts), wall, lag)
        train.tokens.append(token)
        rtts.append(None)
        train.waiting += 1
        if wall - lag - self._turned_ns > MEMORY_NS:
            self._older, self._recent = self._recent, {token: echo}
            self._turned_ns = wall - lag

    def reply(self, data: bytes, source: str, stamp: int | None, wall: int, monotonic: int) -> None:
        """Takes one datagram; `stamp` is when the kernel received it, the clocks are read now."""
        token = data[TOKEN]
        echo = self._recent.get(token) or self._older.get(token)
        if echo is None or echo[0].address != source or data[0] != self._reply_type or data[1] != 0:
            self.foreign += 1
            return
        train, index, sent_wall, lag = echo
        if train.rtts[index] is not None:
            train.duplicates += 1
            self.duplicates += 1
            return
        elapsed, step = monotonic - (sent_wall - lag), wall - monotonic - lag
        rtt = -1 if stamp is None else stamp - sent_wall
        if rtt < 0 or not -CLOCK_TOLERANCE_NS < step < CLOCK_TOLERANCE_NS:
            # The wall clock was set meanwhile, either after or before the kernel's stamp; where both could be, the
            # monotonic clock serves, though it includes our own delay in reading.
            self.clock_steps += 1
            possible = [each for each in (rtt, rtt - step) if 0 <= each <= elapsed and stamp is not None]
            rtt = possible[0] if len(possible) == 1 else elapsed
        if not train.answer(index, rtt):
            self.late += 1

    def error(self, quote: Quote, destination: str, reason: str, offender: str) -> None:
        """Takes an ICMP error about an echo to `destination`. Without a nonce in it, it tells why but ends no waiting."""
        if quote.token:
            echo = self._recent.get(quote.token) or self._older.get(quote.token)
            if echo is None or echo[0].address != destination:
                self.foreign += 1
                return
            echo[0].refuse(echo[1], reason, offender)
            return
        for train in self._open.get(destination, ()):
            for token, rtt in zip(train.tokens, train.rtts, strict=True):
                if rtt is None and token.startswith(quote.sequence):
                    train.reason, train.offender = reason, offender
                    return
        self.foreign += 1
