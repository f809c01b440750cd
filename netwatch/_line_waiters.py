"""Who has asked for a line's test and waits for what comes of it."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping

from netwatch import line

__all__ = ["Waiters", "told_of"]

LONGEST_WAIT_SECONDS = 200.0
TOLD = (
    "at",
    "direction",
    "verdict",
    "reason",
    "step",
    "method",
    "grade",
    "contract_bits_per_second",
    "low_bits_per_second",
    "value_bits_per_second",
    "high_bits_per_second",
    "goodput_bits_per_second",
    "bytes",
    "seconds",
    "confidence",
    "limit_end",
)


class Waiters:
    """By check. One for a daemon."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[Mapping[str, object]]]] = defaultdict(list)

    async def outcome(self, check_id: str, begin: Callable[[], object]) -> Mapping[str, object]:
        """Begins something and waits for what comes of the check: what its record tells, `denied` or `failed`. May be cancelled."""
        waiter: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._waiting[check_id].append(waiter)
        try:
            begin()
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                return await waiter
        except TimeoutError:
            return {"denied": "timeout"}
        finally:
            if waiter in self._waiting[check_id]:
                self._waiting[check_id].remove(waiter)

    def tell(self, check_id: str, told: Mapping[str, object]) -> None:
        for waiter in self._waiting.pop(check_id, ()):
            if not waiter.done():
                waiter.set_result(told)


def told_of(record: Mapping[str, object]) -> Mapping[str, object]:
    """What is told of a record; with the figures of a full test, if it is one."""
    full = line.figures_of(record)
    return {name: _finite(record.get(name)) for name in TOLD} | ({"full": full} if full else {})


def _finite(value: object) -> object:
    """JSON has no infinity: nothing is known of the most."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
