"""An incident in words, for somebody woken at three in the morning: where, what, how much, then what to do first. Pure.

Everything comes from the incident itself and its facts, any of which may be missing: a page can always be written.
"""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netwatch.lang import LANGUAGES, Catalog, catalog, fold, writing
from netwatch.model import Incident, PageText

__all__ = ["LONGEST_SMS", "LONGEST_TITLE", "describe"]

LONGEST_TITLE = 60  # what a lock screen shows
LONGEST_SMS = 160  # one segment of GSM 03.38 letters
SHORTEST_NAME = 6
MOST_NAMES = 5
ICONS = {"critical": "🔴", "warning": "🟠", "info": "🟠", "recovered": "🟢", "removed": "⚪", "self": "🟣"}
SHARED = frozenset({"tag", "feeder", "carrier"})
SELF = frozenset({"netwatch", "uplink"})
# GSM 03.38 counts these twice or has none of them.
SMS_LETTERS = str.maketrans({"[": "(", "]": ")", "{": "(", "}": ")", "\\": "/", "|": "/", "^": "-", "~": "-", "`": "'", "–": "-", "·": "-"})

Kind = Literal["open", "update", "recover"]


def describe(
    incident: Incident, kind: Kind, language: str, *, wall: float, zone: dt.tzinfo = writing.VIETNAM, page_url: str = ""
) -> PageText:
    """The page about an incident as it is at `wall`. An unknown language is Vietnamese."""
    words = catalog(language if language in LANGUAGES else LANGUAGES[0])
    draft = _Draft(incident, kind, words, wall, zone, page_url.rstrip("/"))
    title = draft.title()
    return PageText(title=title, body="\n".join((title, *draft.lines())), sms=draft.sms(title), url=draft.url())


@dataclass(frozen=True, slots=True)
class _Draft:
    incident: Incident
    kind: Kind
    words: Catalog
    wall: float
    zone: dt.tzinfo
    page_url: str

    def fact(self, name: str, limit: int = 120) -> str:
        """A fact made harmless: much of it was said by devices."""
        return writing.clean(self.incident.facts.get(name, ""), limit)

    def over(self) -> bool:
        return self.kind == "recover"

    def shape(self) -> str:
        """Which of the texts of the catalog it is."""
        cause = self.incident.cause
        if cause.type in SHARED:
            return "shared"
        if cause.type == "netwatch":
            return cause.name if cause.name in {"config", "history", "pager"} else "netwatch"
        if cause.type == "check" and self.fact("metric"):
            return "rule"
        return cause.type

    # --- the title

    def title(self) -> str:
        shape = self.shape()
        if self.over() and self.incident.close_reason == "removed":
            key = "removed_site" if shape in {"site", "shared"} else "removed"
        else:
            key = f"{'recover' if self.over() else 'open'}_{shape}"
        return self._fitted(key)

    def _fitted(self, key: str) -> str:
        """Long names give way first, the end of the sentence last."""
        names = {"site": self.site(), "target": self.target(), "what": self.what() if "rule" in key else ""}
        fixed = {
            "icon": self.icon(),
            "clock": self.clock(self.incident.opened),
            "age": self.age(),
            "reason": self.reason() or self.text("failed"),
            "check": self.check_name(),
            "count": self.count(),
        }
        for name in ("target", "site", "what"):
            excess = len(self.text(key, **fixed, **names)) - LONGEST_TITLE
            if excess <= 0:
                break
            names[name] = _cut(names[name], max(SHORTEST_NAME, len(names[name]) - excess))
        return _cut(" ".join(self.text(key, **fixed, **names).split()), LONGEST_TITLE)

    def icon(self) -> str:
        if self.over():
            return ICONS["removed" if self.incident.close_reason == "removed" else "recovered"]
        return ICONS["self"] if self.incident.cause.type in SELF else ICONS.get(self.incident.severity, ICONS["critical"])

    def count(self) -> int:
        """What is counted: sites of a shared cause, checks that netwatch cannot run."""
        return len(self.incident.sites) if self.incident.cause.type in SHARED else max(self.incident.hidden, len(self.incident.members))

    def site(self) -> str:
        incident = self.incident
        if incident.cause.type in SHARED:
            return writing.clean(incident.cause.name, 60)
        return self.fact("site_name", 60) or writing.clean(incident.sites[0] if incident.sites else "", 60) or self.text("some_site")

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
        key = f"what_{metric}" if self.words.has(f"incident.what_{metric}") else "what_instance" if instance else "what"
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

    # --- the body

    def lines(self) -> Iterator[str]:
        if self.over():
            yield self._lasted()
            if self.shape() == "rule":
                yield self.text("over", what=self.what())
        else:
            incident = self.incident
            yield self.text("since", clock=self.clock(incident.opened), age=self.age(), severity=self.severity(), id=incident.id)
            if self.kind == "update":
                yield self.text("update", clock=self.clock(self.wall), severity=self.severity().lower())
            yield from self._findings()
            yield from self._whom_to_ring()
        if self.page_url:
            yield self.text("read_on", url=self.url())

    def _lasted(self) -> str:
        incident = self.incident
        closed = self.wall if incident.closed is None else incident.closed
        line = self.text("lasted", clock=self.clock(incident.opened), until=self.clock(closed), age=self.age(), id=incident.id)
        acknowledged = incident.acknowledgement
        if acknowledged is None:
            return line
        return f"{line} · {self.text('acknowledged', who=writing.clean(acknowledged.who, 60), clock=self.clock(acknowledged.wall))}"

    def _findings(self) -> Iterator[str]:
        shape = self.shape()
        impact = self._impact(shape)
        if impact:
            yield f"{impact}."
        signs = self._signs(shape)
        if signs:
            yield self.text("signs", signs="; ".join(signs)).rstrip(".") + "."
        if self.fact("path_to"):
            yield self._path()
        if shape == "site":
            yield self.text("likely_site" if self.fact("neighbours") else "unclear")
        if self.words.has(f"incident.first_{shape}"):
            yield self.text(f"first_{shape}")

    def _path(self) -> str:
        """How far towards the failing line anybody answered."""
        target, end = self.fact("path_to", 60), self.fact("path_end", 60)
        key = "path_whole" if end == target else "path_ends" if end else "path_silent"
        return self.text(key, target=target, end=end, hops=self.fact("path_hops", 5))

    def _impact(self, shape: str) -> str:
        count = self.incident.hidden
        if shape == "site":
            ward = self.fact("site_full_name").startswith("Phường")
            impact = self.text("impact_hub" if not self.fact("code") else "impact_ward" if ward else "impact_commune")
            return f"{impact}; {self.text('hidden', count=count)}" if count else impact
        if shape == "line":
            return self.text("impact_line")
        return self.text("hidden_only", count=count) if shape == "device" and count else ""

    def _signs(self, shape: str) -> list[str]:
        if shape in {"netwatch", "config", "history", "pager"}:
            return [self.fact("detail", 300)] if self.fact("detail") else []
        answer = "" if shape == "rule" else " ".join(filter(None, (self.fact("address", 60), self.reason())))
        signs = [answer, self.what() if shape == "rule" else "", self.fact("detail", 200)]
        if self.fact("neighbours"):
            signs.append(self.text("neighbours", names=self.fact("neighbours", 200)))
        if shape == "shared":
            names = ", ".join(writing.clean(site, 40) for site in self.incident.sites[:MOST_NAMES])
            signs.append(names + ("…" if len(self.incident.sites) > MOST_NAMES else ""))
        return [sign for sign in signs if sign]

    def _whom_to_ring(self) -> Iterator[str]:
        parts = [part for part in self._numbers() if part]
        if parts:
            yield self.text("contact", parts=" · ".join(parts))
        office = self.fact("office")
        if office and self.incident.cause.type not in SELF:
            yield office if office.startswith(self.text("office", office="").strip()) else self.text("office", office=office)

    def _numbers(self) -> tuple[str, ...]:
        """Whom to ring about it; nobody at a site for trouble of netwatch itself."""
        if self.incident.cause.type in SELF:
            return ()
        on_duty = " ".join(filter(None, (self.fact("contact", 60), self.fact("phone", 30))))
        circuit = self.fact("circuit", 60)
        carrier = " ".join(filter(None, (self.fact("carrier", 30).upper(), self.fact("hotline", 30))))
        return on_duty, self.text("circuit", circuit=circuit) if circuit else "", carrier if self.fact("hotline") else ""

    # --- the rest

    def sms(self, title: str) -> str:
        """The title without its icon, the number, then as much of whom to ring as one segment holds."""
        told = _plain(f"{title.partition(' ')[2]} #{self.incident.id}")[:LONGEST_SMS]
        for part in () if self.over() else self._numbers():
            longer = f"{told}. {_plain(part)}"
            if part and len(longer) <= LONGEST_SMS:
                told = longer
        return told

    def url(self) -> str:
        if not self.page_url or len(self.incident.sites) != 1 or not self.incident.sites[0]:
            return self.page_url
        return f"{self.page_url}/sites/{urllib.parse.quote(self.incident.sites[0], safe='')}"

    def severity(self) -> str:
        return self.text(self.incident.severity)

    def clock(self, wall: float) -> str:
        return writing.clock(wall, self.wall, self.words, self.zone)

    def age(self) -> str:
        until = self.wall if self.incident.closed is None else self.incident.closed
        return writing.age(until - self.incident.opened, self.words)

    def text(self, key: str, **fields: object) -> str:
        return self.words.text(f"incident.{key}", **fields)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _plain(text: str) -> str:
    """Only letters that GSM 03.38 counts once."""
    folded = unicodedata.normalize("NFKC", fold(text).replace("…", "...")).translate(SMS_LETTERS)
    return " ".join(folded.encode("ascii", "replace").decode().split())
