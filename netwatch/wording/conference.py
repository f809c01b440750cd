"""Why a place is not ready for a meeting, what to do about it, and whom to ring, in words. Pure."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from netwatch.conference import Reason
from netwatch.lang import Catalog, writing
from netwatch.model import Line, Site

__all__ = ["Ring", "do_text", "reason_text", "ring"]

LONGEST_NAME = 40
RATES = frozenset({"free", "rate"})


@dataclass(frozen=True, slots=True)
class Ring:
    """Who is to be rung; empty where nobody is."""

    name: str = ""
    phone: str = ""
    about: str = ""  # the circuit

    def text(self) -> str:
        return " · ".join(part for part in (self.name, self.phone, self.about) if part)


def reason_text(reason: Reason, words: Catalog, wall: float, zone: dt.tzinfo) -> str:
    """One line, short enough for a list."""
    fields = {name: _written(reason.code, name, value, words) for name, value in reason.fields.items() if name != "since"}
    since = reason.fields.get("since")
    at = "" if since is None else words.text("conference.since", at=writing.clock(float(since), wall, words, zone))
    return words.text(f"conference.reason_{reason.code}", **fields, since=at)


def do_text(reason: Reason, words: Catalog) -> str:
    return words.text(f"conference.do_{reason.code}")


def ring(reason: Reason, site: Site, line: Line | None, power_hotline: str) -> Ring:
    """The carrier of the line in use, somebody at the place, or the power company; nobody for what is ours to mend."""
    if reason.whom == "carrier" and line is not None:
        return Ring(line.carrier, line.hotline, line.circuit)
    if reason.whom == "power":
        return Ring("EVN" if power_hotline else "", power_hotline)
    if reason.whom == "site" and site.contact is not None:
        return Ring(writing.clean(site.contact.name, LONGEST_NAME), writing.clean(site.contact.phone, LONGEST_NAME))
    return Ring()


def _written(code: str, name: str, value: float | str, words: Catalog) -> str:
    if isinstance(value, str):
        return writing.clean(value, LONGEST_NAME)
    if name == "runtime":
        return writing.age(value, words)
    if name in RATES:
        return writing.bits_per_second(value, words)
    if name == "days":
        return str(math.floor(value))
    if name == "ratio" or code == "quality_loss":
        return writing.percent(value, words)
    if code.startswith("quality_"):
        return writing.seconds(value, words)
    return str(int(value))
