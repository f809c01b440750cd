"""One run of a check: the only place where what a probe raises becomes a Result."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable

from netwatch.model import Check, Outcome, Result, RunReason, Sample
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

    async def prepare(self, checks: Iterable[Check]) -> None:
        """Opens what all runs of a kind need, so that a missing permission is known at once. Raises OSError."""
        for check in {check.kind: check for check in checks}.values():
            await check.probe.prepare(self._shared)

    async def aclose(self) -> None:
        await self._shared.aclose()

    async def run(self, check: Check, reason: RunReason = "schedule", generation: int = 0) -> Result:
        """Never raises but CancelledError. Samples reported before a time-out are kept."""
        loop = asyncio.get_running_loop()
        at, wall = loop.time(), self._wall()
        reported: list[Sample] = []
        target = Target(
            address=check.address,
            deadline=at + check.timeout_seconds,
            source=check.source,
            secrets=check.secrets,
            report=reported.append,
            recheck=reason in {"soft", "parent"},
        )
        outcome, code, reading = await self._measure(check, target)
        if outcome is Outcome.FAILED and loop.time() - target.deadline > STALLED_SECONDS:
            outcome, code = Outcome.ERROR, "stalled"  # the answer may well have come while we could not look
        return Result(
            check=check.id,
            at=at,
            wall=wall,
            duration_seconds=loop.time() - at,
            outcome=outcome,
            code=code,
            detail=reading.detail,
            samples=(*reported, *reading.samples),
            facts=reading.facts,
            generation=generation,
            reason=reason,
        )

    async def _measure(self, check: Check, target: Target) -> tuple[Outcome, str, Reading]:
        try:
            async with asyncio.timeout_at(target.deadline):
                return Outcome.OK, "", await check.probe.run(target, self._shared)
        except ProbeMisconfigured as refusal:
            return Outcome.ERROR, refusal.code, refusal.reading
        except ProbeFailed as failure:
            return Outcome.FAILED, failure.code, failure.reading
        except TimeoutError:
            return Outcome.FAILED, "timeout", Reading(detail=f"no answer within {check.timeout_seconds:g} s")
        except socket.gaierror as error:
            return Outcome.ERROR, "resolve", Reading(detail=str(error))
        except OSError as error:
            if error.errno in DEVICE_CODES:
                return Outcome.FAILED, DEVICE_CODES[error.errno], Reading(detail=error.strerror or str(error))
            if error.errno not in OURS:
                log.warning("unclassified error of a probe", extra={"check": check.id, "error": repr(error)})
            code = errno.errorcode.get(error.errno or 0, "os_error").lower()
            return Outcome.ERROR, code, Reading(detail=error.strerror or str(error))
        except Exception as error:  # a bug in a probe must not stop the others, and no device is down for it
            log.exception("a probe raised what it should not", extra={"check": check.id})
            return Outcome.ERROR, "bug", Reading(detail=type(error).__name__)
