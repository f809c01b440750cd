"""What stands below the title: how long, who is hit, the signs, the likely cause and why, what to do first, whom to ring. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netwatch.lang import writing
from netwatch.model import Acknowledgement
from netwatch.wording._told import SELF, SHARED, Told, spoken

__all__ = ["lines", "numbers"]

SURE, PERHAPS = 0.85, 0.5  # of an incident's confidence
QUALITY = frozenset({"quality", "shared_quality"})
RULES = frozenset({"rule", "power", "quality"})
POWERLESS = frozenset({"power", "site_power", "feeder"})


def lines(told: Told) -> Iterator[str]:
    if told.over():
        yield from _end(told)
        return
    incident = told.incident
    yield told.text("since", clock=told.clock(incident.opened), age=told.age(), severity=told.text(incident.severity), id=incident.id)
    if told.kind == "update":
        yield told.text("update", clock=told.clock(told.wall), news=", ".join(_news(told)))
    if incident.acknowledgement is not None:
        yield _acknowledged(told, incident.acknowledgement)
    yield from _impact(told)
    yield from _findings(told)
    yield from _first(told, told.shape())
    yield from _whom_to_ring(told)
    yield from _note(told)
    again = incident.next_repeat
    if again is not None and again > told.wall and incident.acknowledgement is None and not incident.flapping:
        yield told.text("repeats", clock=told.clock(again))


def _end(told: Told) -> Iterator[str]:
    incident, shape = told.incident, told.shape()
    closed = told.wall if incident.closed is None else incident.closed
    line = told.text("lasted", clock=told.clock(incident.opened), until=told.clock(closed), age=told.age(), id=incident.id)
    acknowledged = incident.acknowledgement
    if acknowledged is not None:
        who, clock = writing.clean(acknowledged.who, 60), told.clock(acknowledged.wall)
        line = f"{line} · {told.text('acknowledged', who=who, clock=clock)}"
    yield line
    if incident.close_reason in {"removed", "merged"}:
        yield told.text(f"why_{incident.close_reason}")
    elif shape in RULES:
        yield told.text("over", what=told.what())
    left = len(incident.sites) - len(told.sites())
    if left > 0 and incident.cause.type in SHARED:
        yield told.text("left_behind", count=left)
    yield from _note(told)


def _news(told: Told) -> Iterator[str]:
    """What an update may be about; its cause is not stored, so what is true now is told."""
    incident = told.incident
    if incident.flapping:
        yield told.text("news_flapping", times=told.spells())
    elif told.again():
        yield told.text("news_again", times=told.times())
    if incident.reminds and incident.acknowledgement is None:
        yield told.text("news_repeat", times=incident.repeats)
    if incident.cause.type in SHARED:
        yield told.text("news_sites", count=told.count())
    yield told.text("news_severity", severity=told.text(incident.severity).lower())


def _acknowledged(told: Told, taken: Acknowledgement) -> str:
    parts = [told.text("taken", who=writing.clean(taken.who, 60), clock=told.clock(taken.wall))]
    if taken.until is not None:
        parts.append(told.text("until", clock=told.clock(taken.until)))
    return ", ".join(parts) + (f": {writing.clean(taken.note, 200)}" if taken.note else ".")


# --- who is hit


def _impact(told: Told) -> Iterator[str]:
    impact = _impact_text(told, told.shape())
    if impact:
        yield f"{impact}."
    if told.incident.cause.type in SHARED:
        yield told.text("sites", names=told.names())
        if told.incident.degraded:
            yield told.text("degraded", count=len(told.incident.degraded))


def _impact_text(told: Told, shape: str) -> str:
    count = told.incident.hidden
    behind = f"; {told.text('hidden', count=count)}" if count else ""
    if shape in {"site", "site_power"}:
        ward = told.fact("site_full_name").startswith("Phường")
        return told.text("impact_hub" if not told.fact("code") else "impact_ward" if ward else "impact_commune") + behind
    if shape == "shared":
        return told.text("impact_shared", count=told.count()) + behind
    if shape == "line" and told.fact("other_line"):
        return told.text("impact_line_other", other=told.fact("other_line", 60))
    if shape == "device":
        return told.text("hidden_only", count=count) if count else ""
    if shape == "feeder":
        dark = told.figure("dark")
        key = "impact_feeder" if not dark else "impact_feeder_dark" if dark >= told.count() else "impact_feeder_partly"
        return told.text(key, dark=dark) + behind
    key = "impact_quality" if shape in QUALITY else f"impact_{shape}"
    return told.text(key, count=told.figure("count") or told.text("all_sites")) if told.has(key) else ""


# --- what is seen, and what follows from it


def _findings(told: Told) -> Iterator[str]:
    signs = [sign for sign in _signs(told, told.shape()) if sign]
    if signs:
        yield told.text("signs", signs="; ".join(signs)).rstrip(".") + "."
    if told.fact("path_to"):
        target, end = told.fact("path_to", 60), told.fact("path_end", 60)
        key = "path_whole" if end == target else "path_ends" if end else "path_silent"
        yield told.text(key, target=target, end=end, hops=told.fact("path_hops", 5))
    yield from _cause(told)


def _signs(told: Told, shape: str) -> list[str]:
    if told.incident.cause.type == "netwatch":
        return [told.fact("detail", 300)]
    if told.incident.cause.type == "uplink":
        return [told.text("anchors_lost", names=told.fact("names", 200))] if told.fact("names") else []
    address = " ".join(filter(None, (told.fact("address", 60), told.reason())))
    signs = ["" if shape in RULES else address, told.what() if shape in RULES | {"shared_quality"} else "", told.fact("detail", 200)]
    if told.fact("neighbours"):
        signs.append(told.text("neighbours", names=told.fact("neighbours", 200)))
    return signs


def _cause(told: Told) -> Iterator[str]:
    """A guess is only told with its reason."""
    shape, likely = told.shape(), told.fact("likely")
    if told.incident.cause.type in SHARED:
        key = "cause_power" if likely == "power" else f"cause_{told.tag()[0]}"
        yield _guess(told, told.text(key, place=told.place()) if told.has(key) else told.place(), _shared_reason(told))
    elif shape == "site_power":
        metric = told.fact("ups_metric", 60)
        what = f"what_{metric}" if told.has(f"what_{metric}") else "what_ups_on_battery"
        said = told.text(what, value=told.quantity("ups_value", metric), threshold="", instance="", metric="")
        yield _guess(told, told.text("cause_site_power"), told.text("why_ups_on_battery", what=said))
    elif shape == "site" and likely == "line":
        yield _guess(told, told.text("cause_site_line"), told.text("why_ups_has_mains"))
    elif shape == "site":
        yield told.text("likely_site" if told.fact("neighbours") else "unclear")


def _guess(told: Told, cause: str, why: str) -> str:
    confidence = told.incident.confidence
    key = "sure" if confidence >= SURE else "perhaps" if confidence >= PERHAPS else "unsure"
    return told.text(key, cause=cause, why=why)


def _shared_reason(told: Told) -> str:
    """How many of how many, and whether anything else failed with them."""
    failed, standing, outside = told.figure("failed"), told.figure("standing"), told.figure("outside")
    kind = told.tag()[0]
    by_shape = {"feeder": "why_feeder", "shared_quality": "why_quality"}
    key = by_shape.get(told.shape(), "why_carrier" if kind == "carrier" else "why_shared")
    total = (failed or len(told.incident.sites)) + standing
    why = told.text(key, failed=failed or len(told.incident.sites), total=total, place=told.place())
    return f"{why}; {told.text('why_outside', count=outside) if outside else told.text('why_nothing_else')}"


# --- what to do


def _first(told: Told, shape: str) -> Iterator[str]:
    is_shared = told.incident.cause.type in SHARED
    key = f"first_{told.tag()[0]}" if shape in {"shared", "shared_line"} else f"first_{shape}"
    if shape == "site" and told.fact("likely") == "line":
        key = "first_line"
    if not told.has(key):
        key = "first_shared" if is_shared else ""
    if key:
        yield told.text(key, place=told.place() if is_shared else "")


def _whom_to_ring(told: Told) -> Iterator[str]:
    parts = [part for part in numbers(told) if part]
    if parts:
        yield told.text("contact", parts=" · ".join(parts))
    office = told.fact("office")
    if office and told.incident.cause.type not in SELF:
        yield office if office.startswith(told.text("office", office="").strip()) else told.text("office", office=office)


def numbers(told: Told) -> tuple[str, ...]:
    """Whom to ring about it; nobody at a site for trouble of netwatch itself."""
    if told.incident.cause.type in SELF:
        return ()
    on_duty = " ".join(filter(None, (told.fact("contact", 60), told.fact("phone", 30))))
    if told.shape() in POWERLESS:
        return on_duty, told.text("power_company", hotline=told.power_hotline) if told.power_hotline else ""
    circuit = told.fact("circuit", 60)
    carrier = " ".join(filter(None, (spoken(told.fact("carrier", 30), "carrier"), told.fact("hotline", 30))))
    return on_duty, told.text("circuit", circuit=circuit) if circuit else "", carrier if told.fact("hotline") else ""


def _note(told: Told) -> Iterator[str]:
    note = told.fact("note", 300)
    if note:
        yield told.text("note", who=told.fact("note_by", 60) or "?", note=note)
