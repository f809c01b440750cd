"""The way to each place over the last minutes, from what history keeps of its trains of packets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from netwatch import quality
from netwatch.conference import Leg
from netwatch.model import Check
from netwatch.rollcall import line_in_use
from netwatch.snapshot import CheckView, SiteView

__all__ = ["MEASURES", "Samples", "legs_of", "trains_of"]

Samples: TypeAlias = Callable[[str, str, str, float, float], Awaitable[Sequence[tuple[float, tuple[float, ...]]]]]  # Backend.samples

MEASURES: Mapping[str, tuple[str, str, str]] = {  # probe: its delays, its loss and the instance that is the whole way
    "icmp": ("icmp_rtt_seconds", "icmp_loss_ratio", ""),
    "stamp": ("stamp_rtt_seconds", "stamp_loss_ratio", "round_trip"),
}


async def trains_of(check: CheckView, known: Check | None, samples: Samples, since: float, until: float) -> list[quality.Train]:
    """Of a check of one of the MEASURES. Times are wall. Raises HistoryFailed."""
    delays, losses, whole = MEASURES[check.kind]
    came = await samples(check.id, delays, "", since, until)
    lost = await samples(check.id, losses, whole, since, until)
    return quality.trains(came, lost, getattr(known.probe if known else None, "count", 1))


async def legs_of(
    views: Iterable[SiteView], checks: Mapping[str, Check], samples: Samples, since: float, until: float, *, whole: bool = False
) -> dict[str, Leg]:
    """By site, of the line in use. What was before its last outage ended is left out, unless the `whole` time counts. Raises HistoryFailed."""
    found = {}
    for view in views:
        for check in _measured(view):
            begun = since if whole else max(since, check.since or since)  # an outage that is over is no loss
            several = await trains_of(check, checks.get(check.id), samples, begun, until)
            leg = leg_of(several)
            if leg.sent:
                found[view.site.id] = leg
                break
    return found


def _measured(view: SiteView) -> Iterator[CheckView]:
    """STAMP first, where something answers it: it tells more."""
    used = line_in_use(view)
    measuring = [check for check in (used.checks if used else ()) if check.kind in MEASURES]
    yield from sorted(measuring, key=lambda check: check.kind, reverse=True)


def leg_of(several: Sequence[quality.Train]) -> Leg:
    sent, delays = sum(train.sent for train in several), [delay for train in several for delay in train.delays]
    return Leg(
        sent=sent,
        received=len(delays),
        rtt_seconds=sum(delays) / len(delays) if delays else None,
        jitter_seconds=quality.jitter_seconds(several),
    )
