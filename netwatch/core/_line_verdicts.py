"""What speaks for a line's contract, gathered; the verdict of it, recorded; what is believed of the line since. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import cast
from zoneinfo import ZoneInfo

from netwatch import __version__, line, state
from netwatch.core._line_book import MOST_PASTS, Key, Waiting
from netwatch.core._sites import look_at_site
from netwatch.core._world import Draft, World
from netwatch.line import Bounds, Clock, Direction, Evidence, Limits, Measurement, Past, RatePoint, Verdict
from netwatch.memory import Memory
from netwatch.model import Check, LineVerdict, Outcome, Result, Sample

__all__ = [
    "cross_of",
    "evidence_for",
    "key_of",
    "limits_of",
    "record",
    "standing_samples",
    "tell_check",
    "zone_of",
]


def limits_of(world: World) -> Limits:
    return Limits(stale_seconds=world.inventory.line_tests.stale_after_seconds)


def zone_of(world: World) -> ZoneInfo:
    return ZoneInfo(world.inventory.settings.timezone)


def cross_of(points: tuple[RatePoint, ...], waiting: Waiting, direction: str, limits: Limits) -> Bounds | None:
    """What else went over the line, by the last figures before the test and the first after it.

    A third figure before them must show that the router does not answer with old ones. What reached the line is at least what
    arrived; upwards the router counts what was sent.
    """
    before = [point for point in points if point.at <= waiting.began_at]
    after = next((point for point in points if point.at >= waiting.counted_at), None)
    if len(before) < 2 or after is None:
        return None
    between = [point for point in points if before[-1].at < point.at < after.at]
    if _over(limits, (*before[-2:], *between, after), None).bounds is None:
        return None
    found = _over(limits, (before[-1], *between, after), 0.0)
    test = waiting.measurement
    own = test.bytes if direction == "up" else line.passed_bytes(test)
    counted_seconds = math.fsum(one[0] for one in test.bins)
    return line.cross_traffic(found, own, counted_seconds or test.seconds)


def _over(limits: Limits, points: tuple[RatePoint, ...], cache_seconds: float | None) -> line.Carried:
    """All of the time between the first of them and the last."""
    counters = line.counters_of(points, cache_seconds=cache_seconds)
    if counters is None:
        return line.Carried(None)
    whole = counters.readings[-1].at - counters.readings[0].at - counters.readings[0].took_seconds
    return line.carried(counters, replace(limits, counters_seconds=whole))


def evidence_for(world: World, draft: Draft, key: Key, measurement: Measurement | None = None, clock: Clock | None = None) -> Evidence:
    place = world.inventory.sites[key[0]].lines[key[1]]
    direction = cast("Direction", key[2])
    ports = world.lines.ports.get((key[0], key[1]), ())
    return Evidence(
        direction=direction,
        contract=place.contract_bits_per_second(direction),
        other_contract=place.contract_bits_per_second("up" if direction == "down" else "down"),
        wall=draft.wall,
        counters=line.counters_of(
            world.lines.points.get(key, ()), speed_bits_per_second=ports[-1].speed_bits_per_second if ports else None
        ),
        ports=ports,
        measurement=measurement,
        clock=clock or Clock(),
    )


def record(world: World, draft: Draft, key: Key, evidence: Evidence, verdict: Verdict | None) -> None:
    limits = limits_of(world)
    found = verdict or line.judge(evidence, limits)
    site = world.inventory.sites[key[0]]
    written = line.record_of(
        line.Subject(site, site.lines[key[1]]), evidence, found, limits, recorded_wall=draft.wall, zone=zone_of(world), version=__version__
    )
    wall = evidence.measurement.wall if evidence.measurement else evidence.wall
    past = Past(wall=wall, verdict=found.verdict, reason=found.reason, grade=found.grade, value=found.bounds.value)
    world.lines.pasts[key] = (*world.lines.pasts.get(key, ()), past)[-MOST_PASTS:]
    check_id = world.line_tests.get(key, "")
    draft.verdicts.append(
        LineVerdict(
            site=key[0],
            line=key[1],
            direction=cast("Direction", key[2]),
            verdict=found.verdict,
            wall=wall,
            bytes=found.bytes,
            check=check_id,
            record=written,
        )
    )
    if check_id and evidence.measurement is None:
        tell_check(world, draft, world.inventory.checks[check_id])


def tell_check(world: World, draft: Draft, check: Check) -> None:
    """What is believed of the line's contract, without a run of its test."""
    result = Result(
        check=check.id,
        at=draft.at,
        wall=draft.wall,
        duration_seconds=0.0,
        outcome=Outcome.OK,
        samples=tuple(standing_samples(world, key_of(check), draft.wall)),
        generation=world.generation,
        reason="evidence",
    )
    world.memories[check.id], transitions = state.observe_rules(check, world.memories.get(check.id, Memory()), result)
    draft.transitions += transitions
    if transitions:
        look_at_site(world, draft, check.site)


def standing_samples(world: World, key: Key, wall: float) -> Iterator[Sample]:
    pasts, limits = world.lines.pasts.get(key, ()), limits_of(world)
    yield Sample(f"line_below_contract_{key[2]}", (float(bool(line.below_contract(pasts, wall, limits))),))
    yield Sample(f"line_proof_old_{key[2]}", (float(line.standing(pasts, wall, limits).reason == "old"),))


def key_of(check: Check) -> Key:
    return check.site, check.target, str(getattr(check.probe, "direction", ""))
