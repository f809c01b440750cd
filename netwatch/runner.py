"""One run of a check: the only place where what a probe raises becomes a Result."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import socket
from collections.abc import Callable, Iterable

from netwatch.model import STOPPED, Check, Outcome, Result, RunReason, Sample
from probes import ProbeFailed, ProbeMisconfigured, Reading, Shared, Target

__all__ = ["Runner"]

log = logging.getLogger(__name__)

STALLED_SECONDS = 1.0  # a run that ends so long after its deadline: it is this process that stood still

# Raised for want of something on this host, or of a way out of it; no device is to blame.
OURS = frozenset(
    {
        errno.EACCES,
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EAGAIN,
        errno.EINVAL,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENODEV,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EPERM,
    }
)
DEVICE_CODES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "host_unreachable",
    errno.EHOSTDOWN: "host_unreachable",
    errno.ETIMEDOUT: "timeout",
}


class Runner:
    """Runs checks under their deadline, over resources of its own. `wall` gives seconds since 1970."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._shared = Shared()
        self._wall = wall
        self._running: dict[str, asyncio.Timeout] = {}
        self._stopped: set[str] = set()

    async def prepare(self, checks: Iterable[Check]) -> None:
        """Opens what all runs of a kind need, so that a missing permission is known at once. Raises OSError."""
        for check in {check.kind: check for check in checks}.values():
            await check.probe.prepare(self._shared)

    async def aclose(self) -> None:
        await self._shared.aclose()

    async def run(self, check: Check, reason: RunReason = "schedule", generation: int = 0, others_bits_per_second: float = 0.0) -> Result:
        """Never raises but CancelledError. Samples reported before a time-out, or before `stop`, are kept."""
        run = _Run(check, reason, generation, self._wall(), others_bits_per_second)
        try:
            async with asyncio.timeout_at(run.target.deadline) as limit:
                self._running[check.id] = limit
                reading = await check.probe.run(run.target, self._shared)
        except Exception as error:  # noqa: BLE001  # a bug in a probe must not stop the others, and no device is down for it
            stopped = isinstance(error, TimeoutError) and check.id in self._stopped
            return run.stopped() if stopped else run.failed(error)
        finally:
            self._running.pop(check.id, None)
            self._stopped.discard(check.id)
        return run.succeeded(reading)

    def stop(self, check_id: str) -> bool:
        """Ends a run now: its result says `stopped`, which speaks neither for nor against the device. False: it does not run."""
        limit = self._running.get(check_id)
        if limit is None or limit.expired():
            return False
        self._stopped.add(check_id)
        limit.reschedule(asyncio.get_running_loop().time())
        return True

    def begin(
        self, check: Check, ended: Callable[[Callable[[], Result]], None], reason: RunReason = "schedule", generation: int = 0
    ) -> bool:
        """`run` without a task, where the probe can. False: nothing was begun. After True, `ended` is given once what gives the result."""
        run = _Run(check, reason, generation, self._wall())
        try:
            return check.probe.begin(run.target, self._shared, lambda reading: ended(functools.partial(run.result, reading, run.now())))
        except Exception as error:  # noqa: BLE001  # as above
            result = run.failed(error)
            ended(lambda: result)
            return True


class _Run:
    """From when a run begins to its result."""

    __slots__ = ("_at", "_check", "_generation", "_loop", "_reason", "_reported", "_wall", "target")

    def __init__(self, check: Check, reason: RunReason, generation: int, wall: float, others_bits_per_second: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._check, self._reason, self._generation, self._wall = check, reason, generation, wall
        self._at = self._loop.time()
        self._reported: list[Sample] = []
        self.target = Target(
            address=check.address,
            deadline=self._at + check.timeout_seconds,
            source=check.source,
            secrets=check.secrets,
            report=self._reported.append,
            recheck=reason in {"soft", "parent"},
            others_bits_per_second=others_bits_per_second,
        )

    def now(self) -> float:
        return self._loop.time()

    def result(self, reading: Callable[[], Reading], ended_at: float) -> Result:
        try:
            return self._made(Outcome.OK, "", reading(), ended_at)
        except Exception as error:  # noqa: BLE001  # as above
            return self.failed(error, ended_at)

    def failed(self, error: Exception, ended_at: float | None = None) -> Result:
        ended_at = self.now() if ended_at is None else ended_at
        outcome, code, reading = _judged(self._check, error)
        if outcome is Outcome.FAILED and ended_at - self.target.deadline > STALLED_SECONDS:
            outcome, code = Outcome.ERROR, "stalled"  # the answer may well have come while we could not look
        return self._made(outcome, code, reading, ended_at)

    def stopped(self) -> Result:
        return self._made(Outcome.OK, STOPPED, Reading(), self.now())

    def succeeded(self, reading: Reading) -> Result:
        return self._made(Outcome.OK, "", reading, self.now())

    def _made(self, outcome: Outcome, code: str, reading: Reading, ended_at: float) -> Result:
        return Result(
            check=self._check.id,
            at=self._at,
            wall=self._wall,
            duration_seconds=ended_at - self._at,
            outcome=outcome,
            code=code,
            detail=reading.detail,
            samples=(*self._reported, *reading.samples) if self._reported else reading.samples,
            facts=reading.facts,
            generation=self._generation,
            reason=self._reason,
        )


def _judged(check: Check, error: Exception) -> tuple[Outcome, str, Reading]:
    match error:
        case ProbeMisconfigured():
            return Outcome.ERROR, error.code, error.reading
        case ProbeFailed():
            return Outcome.FAILED, error.code, error.reading
        case TimeoutError():
            return Outcome.FAILED, "timeout", Reading(detail=f"no answer within {check.timeout_seconds:g} s")
        case socket.gaierror():
            return Outcome.ERROR, "resolve", Reading(detail=str(error))
        case OSError():
            if error.errno in DEVICE_CODES:
                return Outcome.FAILED, DEVICE_CODES[error.errno], Reading(detail=error.strerror or str(error))
            if error.errno not in OURS:
                log.warning("unclassified error of a probe", extra={"check": check.id, "error": repr(error)})
            code = errno.errorcode.get(error.errno or 0, "os_error").lower()
            return Outcome.ERROR, code, Reading(detail=error.strerror or str(error))
        case _:
            log.error("a probe raised what it should not", extra={"check": check.id}, exc_info=error)
            return Outcome.ERROR, "bug", Reading(detail=type(error).__name__)
