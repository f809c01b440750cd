"""What is known of a place before a meeting and what is not, a cell for each check. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from netwatch import quality
from netwatch.conference import LEVELS, Evidence, Leg, Level, Limits, Readiness
from netwatch.lang import Catalog, writing
from netwatch.model import Belief

__all__ = ["COLUMNS", "COLUMN_OF", "Cell", "cells_of"]

COLUMNS = ("line", "loss", "rtt", "jitter", "free", "room", "registered", "ups", "proof")
COLUMN_OF: Mapping[str, str] = {  # the reason's code: the cell that it colours; delay, jitter and loss are graded one by one
    "dark": "line",
    "without_power": "line",
    "unknown": "line",
    "back_lately": "line",
    "maintenance": "line",
    "on_backup": "line",
    "no_room": "free",
    "endpoint_silent": "room",
    "endpoint_unknown": "room",
    "endpoint_refuses": "room",
    "no_endpoint": "room",
    "no_call_lately": "room",
    "not_registered": "registered",
    "battery_ends_before": "ups",
    "battery_ends_during": "ups",
    "on_battery": "ups",
    "below_contract": "proof",
    "never_tested": "proof",
    "proof_old": "proof",
    "proof_open": "proof",
}
MARK_OF_LEVEL: Mapping[Level, str] = {"go": "ok", "risk": "warn", "no_go": "crit"}
MARK_OF_BELIEF: Mapping[Belief, str] = {Belief.OK: "ok", Belief.WARN: "warn", Belief.CRIT: "crit"}
FIGURES = ("loss", "rtt", "jitter")
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`mark` ok, warn or crit; empty with an empty text where nothing is known."""

    mark: str = ""
    text: str = ""


def cells_of(evidence: Evidence, judged: Readiness, words: Catalog) -> tuple[Cell, ...]:
    """In the order of COLUMNS. While a place is dark, or we are, what lies behind is not known, whatever it said last."""
    found = {"line": _line(evidence, words), "proof": _proof(evidence, words)}
    if evidence.blind:
        found["line"] = ""
    elif evidence.up is not False:
        found |= {"free": _free(evidence, words), "room": _room(evidence, words), "registered": _registered(evidence, words)}
        found["ups"] = _ups(evidence, words)
    levels: dict[str, Level] = {}
    for reason in reversed(judged.reasons):  # the worst is first
        if reason.code in COLUMN_OF:
            levels[COLUMN_OF[reason.code]] = reason.level
    figures = {} if evidence.blind or evidence.up is False else _figures(evidence, words)
    return tuple(
        figures.get(name, Cell())
        if name in FIGURES
        else Cell(mark=MARK_OF_LEVEL[levels.get(name, LEVELS[0])], text=found[name])
        if found.get(name)
        else Cell()
        for name in COLUMNS
    )


def _line(evidence: Evidence, words: Catalog) -> str:
    if evidence.up is None:
        return ""
    if evidence.up is False:
        return words.text("conference_page.line_no_power" if evidence.without_power else "conference_page.line_down")
    backup = "backup" if evidence.on_backup else "lately" if evidence.back_since is not None else ""
    return words.text(f"conference_page.line_{backup or ('work' if evidence.maintenance else 'up')}")


def _figures(evidence: Evidence, words: Catalog) -> dict[str, Cell]:
    leg, strict = evidence.leg, evidence.starts_in_seconds <= 0
    if leg is None or leg.sent < Limits().least_packets:
        return {}
    found = {"loss": Cell(mark=_graded(None, None, leg, strict=strict), text=writing.percent(leg.loss_ratio, words))}
    whole = Leg(sent=leg.sent, received=leg.sent, rtt_seconds=None, jitter_seconds=None)
    if leg.rtt_seconds is not None:
        found["rtt"] = Cell(mark=_graded(leg.rtt_seconds, None, whole, strict=strict), text=writing.seconds(leg.rtt_seconds, words))
    if leg.jitter_seconds is not None:
        found["jitter"] = Cell(
            mark=_graded(None, leg.jitter_seconds, whole, strict=strict), text=writing.seconds(leg.jitter_seconds, words)
        )
    return found


def _graded(rtt_seconds: float | None, jitter_seconds: float | None, leg: Leg, *, strict: bool) -> str:
    return MARK_OF_BELIEF[quality.grade_video(rtt_seconds, jitter_seconds, leg.sent, leg.received, strict=strict)]


def _free(evidence: Evidence, words: Catalog) -> str:
    return "" if evidence.free_bits_per_second is None else writing.bits_per_second(evidence.free_bits_per_second, words)


def _room(evidence: Evidence, words: Catalog) -> str:
    """Of several rooms how many can be called."""
    rooms = evidence.endpoints
    if not rooms:
        return words.text("conference_page.room_none")
    if all(one.reachable is None for one in rooms):
        return ""
    usable = sum(bool(one.reachable) and not one.refusing for one in rooms)
    if len(rooms) > 1:
        return f"{usable}/{len(rooms)}"
    return words.text(f"conference_page.room_{'up' if usable else 'refuses' if rooms[0].reachable else 'silent'}")


def _registered(evidence: Evidence, words: Catalog) -> str:
    known = [one.registered for one in evidence.endpoints if one.registered is not None]
    if len(known) > 1:
        return f"{sum(known)}/{len(known)}"
    return words.text(f"conference_page.{'yes' if known[0] else 'no'}") if known else ""


def _ups(evidence: Evidence, words: Catalog) -> str:
    power = evidence.power
    if power is None or power.on_battery is None:
        return ""
    if not power.on_battery:
        return words.text("conference_page.ups_mains")
    left = "" if power.runtime_seconds is None else writing.age(power.runtime_seconds, words)
    return words.text("conference_page.ups_battery_left", left=left) if left else words.text("conference_page.ups_battery")


def _proof(evidence: Evidence, words: Catalog) -> str:
    proof = evidence.proof
    if proof is None:
        return ""
    if proof.age_seconds is None:
        return words.text("conference_page.proof_never")
    days = math.floor(proof.age_seconds / DAY_SECONDS)
    return words.text(f"conference_page.proof_{proof.verdict}", days=days)
