"""One train of echoes under way. The clock comes in as an argument."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from probes import BEAT_SECONDS
from probes._echo import Train, nothing
from probes._echo_socket import EchoSocket

__all__ = ["QUICK_SECONDS", "Ended", "Flight", "Plan", "beat_at"]

QUICK_SECONDS = 0.02  # the beat of what somebody waits for
TOLERANCE = 1e-6  # of a beat: where floating-point numbers meet one

Ended: TypeAlias = Callable[[Train, OSError | None], None]


class Plan(NamedTuple):
    """Up to so many echoes, `spacing` seconds apart, then up to `wait` seconds; all by `deadline` (loop time), but at least one."""

    echoes: int
    spacing: float
    wait: float
    payload: bytes
    source: str | None
    deadline: float


class Flight:
    """A train under way: when its next echo is due, and when to wait no longer. `ended` is called once, unless it is stopped."""

    __slots__ = (
        "_began",
        "_count",
        "_deadline",
        "_drops",
        "_ended",
        "_ends",
        "_look_seconds",
        "_spacing",
        "_wait",
        "echo",
        "over",
        "train",
    )

    def __init__(self, echo: EchoSocket, where: tuple[Any, ...], plan: Plan, ended: Ended) -> None:
        self._count, self._spacing, self._wait, payload, _source, self._deadline = plan
        self._ended = ended
        self._look_seconds = QUICK_SECONDS if self._count == 1 else BEAT_SECONDS  # a single echo is one somebody waits for
        self.echo = echo
        self.train = Train(where, payload, round(self._wait * 1e9), self._settle)
        self.over = False
        self._began = self._ends = math.inf
        self._drops = 0
        echo.book.open(self.train)

    def stop(self) -> None:
        """Nothing more is sent or credited."""
        if not self.over:
            self.over = True
            self.echo.book.close(self.train)
            self.train.on_settled = nothing  # a train is remembered for a while; what waited for it need not be

    def _end(self, error: OSError | None) -> None:
        if not self.over:
            self.stop()
            self._ended(self.train, error)

    def _settle(self) -> None:
        """Whatever is missing now is lost, unless the kernel had no room for it: then nobody can tell what was lost where."""
        if len(self.train.rtt_seconds) < self.train.sent and self.echo.drops() != self._drops:
            self._end(OSError(errno.ENOBUFS, "the kernel dropped echo replies: the receive buffer was full"))
        else:
            self._end(None)

    def step(self, now: float) -> float:
        """Does what is due, after all that has come was read; gives the time of the next step."""
        if self.train.sending:
            sent = self._send(now)
            if self.train.sending:
                due = self._began + sent * self._spacing
                return beat_at(max(now, due), BEAT_SECONDS if self._spacing >= BEAT_SECONDS else QUICK_SECONDS)
        elif now >= self._ends:
            self._settle()
        return min(beat_at(now + QUICK_SECONDS, self._look_seconds), beat_at(self._ends, QUICK_SECONDS))

    def _send(self, now: float) -> int:
        """Sends the next echo, if there is still time for it; gives how many were sent by now."""
        train = self.train
        sent = len(train.rtts)
        if not sent:
            self._began = math.floor(now / QUICK_SECONDS + TOLERANCE) * QUICK_SECONDS
            self._drops = self.echo.drops()
        if not sent or now < self._deadline:
            try:
                if self.echo.send(train):
                    sent += 1
                elif now >= self._deadline:
                    raise OSError(errno.ENOBUFS, "no room to send echo requests")
            except OSError as error:
                self._end(error)
                return sent
        if sent == self._count or (sent and now >= self._deadline):
            self._ends = min(now + self._wait, max(now, self._deadline))
            train.all_sent()
        return sent


def beat_at(when: float, beat_seconds: float) -> float:
    """The first beat that is not before `when`."""
    return math.ceil(when / beat_seconds - TOLERANCE) * beat_seconds
