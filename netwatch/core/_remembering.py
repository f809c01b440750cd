"""What the core must not forget over a restart, beside beliefs and incidents, as JSON; monotonic times become wall times. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, get_args

from netwatch.core._world import Timer, Window, World
from netwatch.model import Severity

__all__ = ["dump", "load_into"]


def dump(world: World, at: float, wall: float) -> str:
    offset = wall - at
    timers = {
        str(number): {name: None if value is None else value + offset for name, value in asdict(timer).items()}
        for number, timer in world.timers.items()
    }
    windows = [asdict(window) for window in world.windows.values() if window.ends > wall]
    document = {
        "wall": wall,
        "timers": timers,
        "windows": windows,
        "next_window_id": world.next_window_id,
        "digest_day": world.digest_day,
        "meetings_told": world.meetings_told,
        "down": {check: since + offset for check, since in world.down.items()},
    }
    return json.dumps(document, ensure_ascii=False)


def load_into(world: World, text: str, at: float, wall: float) -> None:
    """Puts back what `dump` wrote. Raises ValueError for anything else; the world is then as it was.

    A clock that was set meanwhile cannot put a page off: nothing waits longer than it would have waited then.
    """
    try:
        document = json.loads(text)
        timers, windows = _timers(document, at, wall), _windows(document)
        next_window_id, digest_day = int(document["next_window_id"]), str(document["digest_day"])
        meetings_told = _severities(document.get("meetings_told", {}))  # an older daemon stored none
        down = {str(check): _past(since, at, wall) for check, since in document["down"].items()}
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a stored world: {error!r}") from error
    world.timers, world.windows = timers, windows
    world.next_window_id = max([next_window_id, *(number + 1 for number in windows)])
    world.digest_day = digest_day
    world.meetings_told = meetings_told
    world.down = {check: since for check, since in down.items() if check in world.line_checks}


def _timers(document: Any, at: float, wall: float) -> dict[int, Timer]:
    stored = float(document["wall"])

    def moment(value: Any) -> float | None:
        return None if value is None else at + min(float(value) - wall, float(value) - stored)

    return {
        int(number): Timer(**{str(name): moment(value) for name, value in timer.items()}) for number, timer in document["timers"].items()
    }


def _past(stored: Any, at: float, wall: float) -> float:
    value = float(stored)
    if not math.isfinite(value):
        raise TypeError("a time that is no number")
    return min(at, at + value - wall)


def _severities(document: Any) -> dict[str, Severity]:
    known = get_args(Severity)
    if any(severity not in known for severity in document.values()):
        raise TypeError("a severity there is not")
    return {str(step): severity for step, severity in document.items()}


def _windows(document: Any) -> dict[int, Window]:
    found = [
        Window(
            id=int(entry["id"]),
            kind="maintenance" if entry["kind"] == "maintenance" else "silence",
            matcher=str(entry["matcher"]),
            starts=float(entry["starts"]),
            ends=float(entry["ends"]),
            who=str(entry["who"]),
            note=str(entry["note"]),
        )
        for entry in document["windows"]
    ]
    return {window.id: window for window in found}
