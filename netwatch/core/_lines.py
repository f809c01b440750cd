"""What is found of lines' contracts: tests, users' traffic and ports, judged by `netwatch.line`; and which tests meetings end. Pure.

A test that says "below" is judged once a control test next to us and the router's counters after it have come in, or have not
within two minutes: it takes both to refute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from netwatch import line
from netwatch.core._line_book import Key, Waiting
from netwatch.core._line_verdicts import (
    cross_of,
    evidence_for,
    key_of,
    limits_of,
    record,
    standing_samples,
    tell_check,
    zone_of,
)
from netwatch.core._world import Draft, World
from netwatch.line import Clock, Control, Direction, Measurement, PortReading, RatePoint
from netwatch.matcher import parse
from netwatch.model import STOPPED, Cancel, Check, Maintenance, Outcome, Result, Run
from netwatch.windows import next_occurrence

__all__ = ["busy_ratio", "look_at_lines", "meeting_of", "others_bits_per_second", "router_to_ask", "take_line_result"]

WORDS: Mapping[Direction, str] = {"down": "receive", "up": "transmit"}  # as the site's router counts
MOST_POINTS = 24
WAIT_SECONDS = 120.0
SETTLED_SECONDS = 5.0  # after a test, for a router that looks at its counters every few seconds
SAID_AGAIN_SECONDS = 43_200.0  # what traffic or a port says is worth a record twice a day
FRESH_SECONDS = 300.0
WORTH_JUDGING = 0.9  # of the contract
LOOK_SECONDS = 600.0
ROUTER_FRESH_SECONDS = 5.0
OTHERS_RATIO = 0.01  # of the contract: less than that makes no difference to a test


def take_line_result(world: World, draft: Draft, check: Check, result: Result) -> Result:
    """The result as it is to be judged: with what is now known of the line's contract, where it tells of one."""
    uplinks = world.uplinks.get(check.id)
    if uplinks:
        _note_router(world, draft, check, result, uplinks)
    if check.kind != "bandwidth":
        return result
    if check.target not in world.inventory.sites[check.site].lines:
        _take_control(world, draft, check, result)
        return result
    _take_test(world, draft, check, result)
    if result.outcome is not Outcome.OK:
        return result
    return replace(result, samples=(*result.samples, *standing_samples(world, key_of(check), draft.wall)))


def look_at_lines(world: World, draft: Draft) -> None:
    """Time has passed: what a test waited for does not come, a meeting begins, a proof has grown old."""
    _make_way(world, draft)
    for check_id in [one for one, waiting in world.lines.waiting.items() if draft.at >= waiting.ended_at + WAIT_SECONDS]:
        _settle(world, draft, check_id)
    if draft.at - world.lines.looked_at >= LOOK_SECONDS:
        world.lines.looked_at = draft.at
        for check_id in world.line_tests.values():
            tell_check(world, draft, world.inventory.checks[check_id])


def busy_ratio(world: World, key: Key, at: float) -> float | None:
    """How much of a line's contract others use by the router's last figures; None where there are none."""
    place = world.inventory.sites[key[0]].lines[key[1]]
    found = []
    for direction in ("down", "up"):
        points, contract = world.lines.points.get((key[0], key[1], direction), ()), place.contract_bits_per_second(direction)
        if points and contract and points[-1].bytes_per_second is not None and at - points[-1].at <= FRESH_SECONDS:
            found.append(points[-1].bytes_per_second * 8 / contract)
    return max(found, default=None)


def others_bits_per_second(world: World, key: Key, at: float) -> float:
    """What others send over a line in one direction, by the router's last figures, at most; 0 where there are none."""
    points = world.lines.points.get(key, ())[-2:]
    return max(
        (point.bytes_per_second * 8 for point in points if point.bytes_per_second is not None and at - point.at <= FRESH_SECONDS),
        default=0.0,
    )


def router_to_ask(world: World, check: Check, at: float) -> str:
    """The check of the router that counts on the line which this one tests, unless it has just been answered; "" for none."""
    points = world.lines.points.get(key_of(check), ())
    fresh = bool(points) and at - points[-1].at <= ROUTER_FRESH_SECONDS
    return "" if fresh else world.router_of.get((check.site, check.target), "")


def meeting_of(world: World, site: str, wall: float) -> tuple[float, float] | None:
    """From when to when the meeting lasts that is on at a site, or comes next."""
    covering = (next_occurrence(one, wall, zone_of(world)) for one in world.inventory.meetings if _is_of(world, one, site))
    return min((found for found in covering if found is not None), default=None)


def _is_of(world: World, meeting: Maintenance, site: str) -> bool:
    return not meeting.matcher or parse(meeting.matcher).covers(world.inventory.sites[site])


def _make_way(world: World, draft: Draft) -> None:
    """A meeting that begins ends the tests of its sites."""
    book = world.lines
    for number, meeting in enumerate(world.inventory.meetings if world.line_tests else ()):
        known = book.meetings.get(number)
        if number not in book.meetings or (known is not None and draft.wall >= known[1]):
            known = book.meetings[number] = next_occurrence(meeting, draft.wall, zone_of(world))
        if known is not None and known[0] <= draft.wall and book.begun.get(number) != known[0]:
            book.begun[number] = known[0]
            ended = [check for (site, _, _), check in world.line_tests.items() if _is_of(world, meeting, site)]
            draft.requests += [Cancel(check=check, reason="meeting") for check in ended]


# --- what the router tells


def _note_router(world: World, draft: Draft, check: Check, result: Result, lines: tuple[str, ...]) -> None:
    if result.outcome is not Outcome.OK:
        return
    figures = {(sample.name, sample.instance): sample.values[-1] for sample in result.samples if sample.values}
    cpu = [value for (name, _), value in figures.items() if name == "cpu_ratio"]
    if cpu:
        world.lines.cpu_ratio[check.site] = max(cpu)
    for name in lines:
        place = world.inventory.sites[check.site].lines[name]
        speed = figures.get(("interface_speed_bytes_per_second", place.interface))
        if speed:
            before = world.lines.ports.get((check.site, name), ())[-1:]
            world.lines.ports[check.site, name] = (*before, PortReading(wall=result.wall, speed_bits_per_second=speed * 8))
        for direction, word in WORDS.items():
            key = (check.site, name, direction)
            point = RatePoint(
                at=result.at,
                wall=result.wall,
                took_seconds=result.duration_seconds,
                bytes_per_second=figures.get((f"interface_{word}_bytes_per_second", place.interface)),
                packets_per_second=figures.get((f"interface_{word}_packets_per_second", place.interface)),
                uptime_seconds=figures.get(("uptime_seconds", "")),
            )
            world.lines.points[key] = (*world.lines.points.get(key, ()), point)[-MOST_POINTS:]
            _judge_without_test(world, draft, key, point, speed)
    for waiting in [one for one, awaited in world.lines.waiting.items() if awaited.router == check.id]:
        _settle_if_ready(world, draft, waiting)


def _judge_without_test(world: World, draft: Draft, key: Key, point: RatePoint, speed: float | None) -> None:
    """The cheap steps of the ladder, where there is something to see."""
    place = world.inventory.sites[key[0]].lines[key[1]]
    direction = cast("Direction", key[2])
    contract = place.contract_bits_per_second(direction)
    busy = point.bytes_per_second is not None and point.bytes_per_second * 8 >= WORTH_JUDGING * contract
    slow = speed is not None and speed * 8 < contract / WORTH_JUDGING
    if not contract or not (busy or slow):
        return
    evidence = evidence_for(world, draft, key)
    verdict = line.judge(evidence, limits_of(world))
    pasts = world.lines.pasts.get(key, ())
    said = any(one.grade == verdict.grade and draft.wall - one.wall < SAID_AGAIN_SECONDS for one in pasts)
    if verdict.verdict not in {"proved", "refuted"} or said:
        return
    check_id = world.line_tests.get(key, "")
    if verdict.verdict == "proved" and check_id:
        draft.requests.append(Cancel(check=check_id, reason="evidence"))
    record(world, draft, key, evidence, verdict)


# --- what a test tells


def _take_control(world: World, draft: Draft, check: Check, result: Result) -> None:
    measured = _measured(check, result)
    if measured is not None and measured.verdict == "proved" and measured.bounds is not None:
        direction = cast("Direction", getattr(check.probe, "direction", "down"))
        world.lines.controls[check.id] = Control(wall=result.wall, anchor=check.address, direction=direction, low=measured.bounds.low)
    for waiting in [one for one, awaited in world.lines.waiting.items() if awaited.control == check.id]:
        world.lines.waiting[waiting] = replace(world.lines.waiting[waiting], control="")
        _settle_if_ready(world, draft, waiting)


def _take_test(world: World, draft: Draft, check: Check, result: Result) -> None:
    measured = _measured(check, result)
    if measured is None:
        return
    key = key_of(check)
    if measured.reason == "yielded":
        meeting = meeting_of(world, check.site, draft.wall)
        if meeting is not None and meeting[0] <= draft.wall:
            draft.requests.append(Run(check=check.id, not_before=draft.at + meeting[1] - draft.wall, reason="meeting"))
    clock = _clock(result)
    if measured.verdict != "refuted" and not _others_may_tell(world, key, measured, result.at):
        record(world, draft, key, evidence_for(world, draft, key, measured, clock), None)
        return
    control = _control_check(world, check)
    router = world.router_of.get((key[0], key[1]), "")
    fresh = control in world.lines.controls and result.wall - world.lines.controls[control].wall <= limits_of(world).control_fresh_seconds
    world.lines.waiting[check.id] = Waiting(
        measurement=measured,
        clock=clock,
        began_at=result.at,
        ended_at=draft.at,
        counted_at=draft.at + SETTLED_SECONDS,
        control="" if fresh else control,
        router=router,
    )
    if control and not fresh:
        draft.requests.append(Run(check=control, not_before=draft.at, reason="evidence"))
    if router:
        draft.requests.append(Run(check=router, not_before=draft.at + SETTLED_SECONDS, reason="evidence"))
    _settle_if_ready(world, draft, check.id)


def _others_may_tell(world: World, key: Key, measured: Measurement, at: float) -> bool:
    """Whether the test alone could not tell, and others took a part of the line: then the router's next figures may."""
    contract = world.inventory.sites[key[0]].lines[key[1]].contract_bits_per_second(cast("Direction", key[2]))
    return line.is_open(measured) and others_bits_per_second(world, key, at) > OTHERS_RATIO * contract


def _measured(check: Check, result: Result) -> Measurement | None:
    """What a run tells, be it only what it has cost; None when it tells nothing."""
    spent = sum(sum(sample.values) for sample in result.samples if sample.name == "bandwidth_spent_bytes")
    told = result.facts.get("bandwidth", "")
    if result.outcome is Outcome.OK and told:
        try:
            found = json.loads(told)
            return line.measurement_of(found, result.wall, full="full" in found)
        except ValueError:
            return None
    stopped = result.code == STOPPED
    if not stopped and not spent:
        return None
    return Measurement(
        method=str(getattr(check.probe, "method", "")),
        verdict="inconclusive",
        reason="yielded" if stopped else "undecided",
        wall=result.wall,
        seconds=result.duration_seconds,
        bytes=int(spent),
        bounds=None,
    )


def _clock(result: Result) -> Clock:
    """What the daemon says of its clock during the run; nothing where it says nothing."""
    told = result.facts.get("clock_synchronised", "")
    moved = result.facts.get("clock_moved_seconds", "0")
    return Clock(synchronised=None if not told else told == "yes", source="adjtimex" if told else "", moved_seconds=float(moved))


def _control_check(world: World, check: Check) -> str:
    wanted = (getattr(check.probe, "direction", ""), getattr(check.probe, "contract_bits_per_second", 0.0))
    return world.controls.get(wanted, "")


def _settle_if_ready(world: World, draft: Draft, check_id: str) -> None:
    waiting = world.lines.waiting[check_id]
    points = world.lines.points.get(key_of(world.inventory.checks[check_id]), ())
    heard = not waiting.router or any(point.at >= waiting.counted_at for point in points)
    if not waiting.control and heard:
        _settle(world, draft, check_id)


def _settle(world: World, draft: Draft, check_id: str) -> None:
    """Judges by what has come in."""
    waiting = world.lines.waiting.pop(check_id)
    check = world.inventory.checks.get(check_id)
    if check is None:
        return
    key = key_of(check)
    evidence = evidence_for(world, draft, key, waiting.measurement, waiting.clock)
    evidence = replace(
        evidence,
        control=world.lines.controls.get(_control_check(world, check)),
        cross=cross_of(world.lines.points.get(key, ()), waiting, key[2], limits_of(world)),
        router_cpu_ratio=waiting.measurement.router_cpu_ratio or world.lines.cpu_ratio.get(key[0]),
    )
    record(world, draft, key, evidence, None)
    tell_check(world, draft, check)
