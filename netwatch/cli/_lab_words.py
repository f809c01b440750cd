"""How places and amounts are written after `netwatch lab`, and what they are in a lab's fault."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from netwatch.cli._output import Exit, fail, text

__all__ = [
    "Calls",
    "Duplex",
    "Form",
    "Paper",
    "Power",
    "Registration",
    "Supply",
    "UpDown",
    "Way",
    "has_line",
    "line_of",
    "number",
    "place_of",
]


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


class Way(StrEnum):
    DOWN = "down"
    UP = "up"
    BOTH = "both"


class Power(StrEnum):
    ON = "on"
    OFF = "off"


class Supply(StrEnum):
    BATTERY = "battery"
    MAINS = "mains"


class Paper(StrEnum):
    OUT = "out"
    OK = "ok"


class Registration(StrEnum):
    LOST = "lost"
    OK = "ok"


class Calls(StrEnum):
    REFUSED = "refused"
    TAKEN = "taken"


class UpDown(StrEnum):
    UP = "up"
    DOWN = "down"


class Duplex(StrEnum):
    HALF = "half"
    FULL = "full"


def has_line(socket: Path, place: str, name: str) -> bool:
    """Asks for what is wanted anyway: the line as it was at the start. A device is never called as a line of its site."""
    from netwatch.lab.client import LabAway, ask

    try:
        return bool(ask(socket, {"fault": {"restore": {**place_of("restore", place), "line": name}}})["ok"])
    except LabAway:
        return False


def line_of(where: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """`na-tau/main` means the line main of na-tau where only lines can be meant."""
    place, _, line = where.partition("/")
    if not line or values["line"] not in {"", line}:
        fail(Exit.USAGE, text("lab.bad_place", found=where))
    return place, {**values, "line": line}


def place_of(kind: str, where: str) -> dict[str, Any]:
    """`na-tau`, `na-tau/printer1`, `ring=tuan-giao` or `ring=tuan-giao/ups` as the keys of a fault."""
    if kind == "uplink":
        return {}
    place, slash, device = where.partition("/")
    key, equals, value = place.partition("=")
    if not place or (slash and not device) or (equals and not (key and value)):
        fail(Exit.USAGE, text("lab.bad_place", found=where))
    return ({"tag": {key: value}} if equals else {"site": place}) | ({"device": device} if device else {})


def number(value: str) -> float | str:
    """A plain number as one; anything with a unit stays text for the lab to read."""
    try:
        return float(value)
    except ValueError:
        return value
