"""What an incident says of itself, each part ready to stand in a sentence. Pure; any fact may be missing."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from netwatch.correlate import POWER_METRICS
from netwatch.lang import Catalog, writing
from netwatch.model import Incident

__all__ = ["SELF", "SHARED", "Kind", "Told", "listed", "spoken"]

Kind: TypeAlias = Literal["open", "update", "recover"]
MOST_NAMES = 5
LONGEST_ACRONYM = 5
FORMER_UNITS = ("huyện ", "thành phố ", "thị xã ")
SHARED = frozenset({"tag", "feeder", "carrier"})
SELF = frozenset({"netwatch", "uplink"})
OWN_SHAPES = frozenset({"config", "history", "pager", "digest"})
LEAST_SPELLS = 3  # what is called flapping was down so often


@dataclass(frozen=True, slots=True)
class Told:
    """An incident, and to whom and when it is told."""

    incident: Incident
    kind: Kind
    words: Catalog
    wall: float
    zone: dt.tzinfo
    page_url: str
    power_hotline: str = ""

    def text(self, key: str, **fields: object) -> str:
        return self.words.text(f"incident.{key}", **fields)

    def has(self, key: str) -> bool:
        return self.words.has(f"incident.{key}")

    def fact(self, name: str, limit: int = 120) -> str:
        """A fact made harmless: much of it was said by devices."""
        return writing.clean(self.incident.facts.get(name, ""), limit)

    def figure(self, name: str) -> int:
        """A fact that counts something; 0 when it is none."""
        written = self.fact(name, 10)
        return int(written) if written.isascii() and written.isdigit() else 0

    # --- which of the texts it is

    def over(self) -> bool:
        return self.kind == "recover"

    def shape(self) -> str:
        """Which of the texts of the catalog it is."""
        cause = self.incident.cause
        if cause.type in SHARED:
            return self._shared_shape()
        if cause.type == "netwatch":
            return cause.name if cause.name in OWN_SHAPES else "netwatch"
        if cause.type == "uplink":
            return "anchors" if cause.name == "anchors" else "uplink"
        if cause.type == "check" and self.fact("metric"):
            return self._rule_shape()
        if cause.type == "site":
            return "site_power" if self.fact("likely") == "power" else "site"
        return "line_backup" if cause.type == "line" and self.fact("line_role") == "backup" else cause.type

    def _shared_shape(self) -> str:
        symptom = self.fact("symptom")
        if symptom == "quality":
            return "shared_quality"
        if symptom == "power":
            return "feeder"
        return "shared_line" if symptom == "dark" and self.incident.severity != "critical" else "shared"

    def _rule_shape(self) -> str:
        if self.fact("metric") in POWER_METRICS:
            return "power"
        return "quality" if self.fact("symptom") == "quality" else "rule"

    def again(self) -> bool:
        """It was over, and came back soon after."""
        return self.kind == "update" and self.incident.relapses > 0

    # --- how much

    def sites(self) -> tuple[str, ...]:
        """Its sites; of one that is over, those that are back: what is not has an incident of its own by now."""
        incident = self.incident
        if not self.over() or incident.close_reason != "recovered":
            return incident.sites
        back = {member.check.partition("/")[0] for member in incident.members}
        return tuple(site for site in incident.sites if site in back) or incident.sites

    def count(self) -> int:
        """What is counted: sites of a shared cause, what a digest tells of, checks that netwatch cannot run."""
        incident = self.incident
        if incident.cause.type in SHARED:
            return len(self.sites())
        return self.figure("count") or max(incident.hidden, len(incident.members))

    def times(self) -> int:
        """How often it has been down in this thread."""
        return self.incident.relapses + 1

    def spells(self) -> str:
        """How often it has been down of late; `20+` when it was too often to be counted."""
        return self.fact("spells", 10) or str(max(self.times(), LEAST_SPELLS))

    # --- where

    def site(self) -> str:
        incident = self.incident
        return self.fact("site_name", 60) or writing.clean(incident.sites[0] if incident.sites else "", 60) or self.text("some_site")

    def tag(self) -> tuple[str, str]:
        """What a shared cause is: of which kind, and its name."""
        cause = self.incident.cause
        kind, _, name = cause.name.partition("=") if cause.type == "tag" else (cause.type, "", cause.name)
        return self.fact("tag", 30) or writing.clean(kind, 30), self.fact("place", 60) or writing.clean(name, 60)

    def place(self) -> str:
        """What the sites have in common: `vòng Tuần Giáo`."""
        kind, name = self.tag()
        known = f"place_{kind}"
        name = spoken(self.fact("place_name", 60) or name, kind)
        return self.text(known, name=name) if self.has(known) else self.text("place", kind=kind, name=name).strip()

    def names(self) -> str:
        """Of the sites, the first few."""
        named = [name for name in self.fact("names", 400).split(", ") if name]
        shown = named or [writing.clean(site, 40) for site in self.incident.sites]
        return listed(shown, max(len(self.incident.sites), len(shown)), self)

    def target(self) -> str:
        named = self.fact("target_label", 60)
        role = f"state.role_{self.fact('target_role', 30)}"
        if not named and self.words.has(role):
            named = self.words.text(role)
        parts = self.incident.cause.name.split("/")
        is_line = self.incident.cause.type == "line" or (self.incident.cause.type == "check" and not self.fact("target_role"))
        if not named and is_line:
            carrier = self.fact("carrier", 30).upper()
            named = self.fact("line_label", 60) or (self.text("carrier_line", carrier=carrier) if carrier else self.text("some_line"))
        return named or writing.clean(parts[1] if len(parts) > 1 else self.incident.cause.name, 60)

    # --- what

    def check_name(self) -> str:
        name = writing.clean(self.incident.cause.name.rpartition("/")[2], 30)
        return name.upper() if len(name) <= 4 else name

    def reason(self) -> str:
        """Why a check failed: our words for a code we know, otherwise the code as it is."""
        code = self.fact("code_word", 30)
        known = f"state.code_{code}"
        return self.words.text(known, detail=self.fact("detail", 60)) if self.words.has(known) else code

    def what(self) -> str:
        """A crossed threshold: what, how much."""
        metric, instance = self.fact("metric", 60), self.fact("instance", 40)
        own = next((key for key in (f"what_{metric}_{instance}", f"what_{metric}") if self.has(key)), "")
        key = own or ("what_instance" if instance else "what")
        label = f"state.sample_{metric}"
        return self.text(
            key,
            metric=self.words.text(label).lower() if self.words.has(label) else metric.replace("_", " "),
            instance=instance or "?",
            value=self.quantity("value", metric),
            threshold=self.quantity("threshold", metric),
        )

    def quantity(self, name: str, metric: str) -> str:
        """A figure in the unit that the metric's name ends with."""
        try:
            value = float(self.fact(name))
        except ValueError:
            return "?"
        if not math.isfinite(value):
            return "?"
        if metric.endswith("_ratio"):
            return writing.percent(value, self.words)
        if metric.endswith("_bytes_per_second"):
            return writing.bits_per_second(value * 8, self.words)
        if metric.endswith("_seconds"):
            shown = writing.age(abs(value), self.words) if abs(value) >= 60 else writing.seconds(value, self.words)
            return f"-{shown}" if value <= -60 else shown
        return writing.number(value, 0 if value == int(value) else 2, self.words)

    # --- since when

    def clock(self, wall: float) -> str:
        return writing.clock(wall, self.wall, self.words, self.zone)

    def age(self) -> str:
        until = self.wall if self.incident.closed is None else self.incident.closed
        return writing.age(until - self.incident.opened, self.words)


def listed(names: list[str], count: int, told: Told) -> str:
    """`A, B, C, D, E và 3 điểm khác`."""
    shown = names[:MOST_NAMES]
    rest = count - len(shown)
    return told.text("and_others", names=", ".join(shown), count=rest) if rest > 0 and shown else ", ".join(shown)


def spoken(name: str, kind: str) -> str:
    """A name as people say it: `Huyện Mường Nhé` is gone since 2025, `373-e21` is written for machines."""
    if kind == "carrier":
        return name.upper() if name.islower() and len(name) <= LONGEST_ACRONYM else name
    for former in FORMER_UNITS:
        if name.lower().startswith(former):
            return name[len(former) :]
    if not name.islower() or " " in name:
        return name
    return " ".join(part.upper() if any(letter.isdigit() for letter in part) else part.capitalize() for part in name.split("-"))
