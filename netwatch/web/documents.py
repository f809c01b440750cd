"""The JSON documents of the API. Pure.

RFC 3339 times, SI base units, enums in English; `text` and `title` are for people, in the language asked for.
`rechecking` is true while something is being asked again: its last results say otherwise than its `state`, which is
what was last confirmed; `since` is then since when. `confirmed` is false where nothing may be concluded from it yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from netwatch.lang import writing
from netwatch.model import Human, Incident, Line, Sample, State, Transition
from netwatch.snapshot import CheckView, LineView, SiteView, Snapshot, TargetView, WindowView
from netwatch.web import standings
from netwatch.web import words as say
from netwatch.web.board import Reader
from netwatch.web.changes import transition_text

__all__ = ["error", "human", "incident", "site", "summary", "transitions", "window"]

LONGEST_PATH = 1_200  # twenty hops, by their IPv6 addresses
Document = dict[str, Any]


def error(code: str, text: str) -> Document:
    return {"schema": "netwatch/v1/error", "error": code, "text": text}


def summary(snapshot: Snapshot, reader: Reader) -> Document:
    sites = {view.site.id: view for view in snapshot.sites}
    counts = snapshot.counts()
    return {
        "schema": "netwatch/v1/summary",
        "wall": _time(snapshot.wall, reader),
        "revision": snapshot.revision,
        "text": say.sentence(snapshot, reader.words),
        "total": sum(counts.values()),
        "counts": {state.value: counts[state] for state in State},
        "rechecking": snapshot.rechecking(),
        "sites": [_site_head(view, reader) for view in snapshot.sites],
        "incidents": [incident(one, sites, reader) for one in snapshot.incidents],
        "closed": [incident(one, sites, reader) for one in snapshot.closed],
        "windows": [window(one, snapshot.wall, reader) for one in snapshot.windows],
        "lines": standings.counted(snapshot.sites),
        "isolated": snapshot.isolated,
        "self": _self(snapshot, reader),
    }


def site(snapshot: Snapshot, view: SiteView, transitions: Sequence[Transition], reader: Reader) -> Document:
    sites = {one.site.id: one for one in snapshot.sites}
    about = view.site
    contact = {"name": writing.clean(about.contact.name), "phone": writing.clean(about.contact.phone)} if about.contact else None
    return {
        "schema": "netwatch/v1/site",
        "wall": _time(snapshot.wall, reader),
        "revision": snapshot.revision,
        **_site_head(view, reader),
        "office": say.office_text(about.office),
        "note": writing.clean(about.note),
        "latitude": about.latitude,
        "longitude": about.longitude,
        "tags": dict(about.tags),
        "contact": contact,
        "targets": [_target(one, snapshot.wall, reader) for one in view.targets],
        "incidents": [incident(one, sites, reader) for one in snapshot.incidents if about.id in one.sites],
        "transitions": [_transition(one, view, reader) for one in transitions],
    }


def transitions(snapshot: Snapshot, found: Sequence[Transition], reader: Reader, *, complete: bool) -> Document:
    """Each with its site; a site that is no longer watched is only an id. `complete`: there are no more of them."""
    views = {view.site.id: view for view in snapshot.sites}
    listed = []
    for one in found:
        slug = one.subject.check.partition("/")[0]
        view = views.get(slug)
        listed.append({"site": slug, "site_name": view.site.name if view else slug, **_transition(one, view, reader)})
    return {"schema": "netwatch/v1/transitions", "wall": _time(snapshot.wall, reader), "complete": complete, "transitions": listed}


def incidents(snapshot: Snapshot, found: Sequence[Incident], reader: Reader, *, complete: bool) -> Document:
    sites = {view.site.id: view for view in snapshot.sites}
    listed = [incident(one, sites, reader) for one in found]
    return {"schema": "netwatch/v1/incidents", "wall": _time(snapshot.wall, reader), "complete": complete, "incidents": listed}


def incident(one: Incident, sites: Mapping[str, SiteView], reader: Reader) -> Document:
    owner = one.acknowledgement
    return {
        "id": one.id,
        "key": one.key,
        "title": say.incident_text(one, sites, reader.words),
        "cause": {"type": one.cause.type, "name": writing.clean(one.cause.name)},
        "sites": list(one.sites),
        "severity": one.severity,
        "opened": _time(one.opened, reader),
        "updated": _time(one.updated, reader),
        "closed": _time(one.closed, reader),
        "close_reason": one.close_reason,
        "members": [{"check": m.check, "rule": m.rule, "instance": writing.clean(m.instance)} for m in one.members],
        "hidden": one.hidden,
        "facts": _texts(one.facts, LONGEST_PATH),
        "acknowledgement": {
            "who": writing.clean(owner.who),
            "wall": _time(owner.wall, reader),
            "note": writing.clean(owner.note),
            "until": _time(owner.until, reader),
        }
        if owner
        else None,
    }


def window(one: WindowView, wall: float, reader: Reader) -> Document:
    """`id` is null for what the inventory plans; `state` is planned or active."""
    return {
        "id": one.id or None,
        "name": writing.clean(one.name),
        "kind": one.kind,
        "matcher": writing.clean(one.matcher),
        "starts": _time(one.starts, reader),
        "ends": _time(one.ends, reader),
        "state": "active" if one.in_force(wall) else "planned",
        "who": writing.clean(one.who),
        "note": writing.clean(one.note),
    }


def human(one: Human, reader: Reader) -> Document:
    return {
        "wall": _time(one.wall, reader),
        "action": one.action,
        "who": writing.clean(one.who),
        "via": writing.clean(one.via),
        "incident": one.incident or None,
        "window": one.window or None,
        "matcher": writing.clean(one.matcher),
        "starts": _time(one.starts, reader),
        "until": _time(one.until, reader),
        "note": writing.clean(one.note),
    }


def _site_head(view: SiteView, reader: Reader) -> Document:
    about = view.site
    return {
        "id": about.id,
        "kind": about.kind,
        "name": about.name,
        "full_name": about.full_name,
        "code": about.code,
        "district": about.district,
        "tile": list(about.tile) if about.tile else None,
        "state": view.state.value,
        "rechecking": view.rechecking,
        "up": view.up,
        "since": _time(view.since, reader),
        "text": say.site_text(view, reader.words),
        "detail": writing.clean(view.detail),
        "rtt_seconds": _number(view.rtt_seconds),
        "loss_ratio": _number(view.loss_ratio),
    }


def _target(target: TargetView, wall: float, reader: Reader) -> Document:
    samples = {check.id: check.samples for check in target.checks}
    return {
        "id": target.id,
        "kind": target.kind,
        "role": target.role,
        "profile": target.profile,
        "name": say.target_name(target, reader.words),
        "address": target.address,
        "state": target.state.value,
        "rechecking": target.rechecking,
        "confirmed": target.confirmed,
        "up": target.up,
        "since": _time(target.since, reader),
        "text": say.target_text(target, reader.words),
        "detail": writing.clean(target.detail),
        "line": _line(target.line, target.standings, wall, reader) if target.line else None,
        "problems": [
            {
                "check": one.subject.check,
                "rule": one.subject.rule,
                "instance": writing.clean(one.subject.instance),
                "belief": one.belief.value,
                "hard": one.hard,
                "since": _time(one.since, reader),
                "value": _number(one.value),
                "text": say.rule_text(one, samples.get(one.subject.check, ()), reader.words),
            }
            for one in target.problems
        ],
        "checks": [_check(one, reader) for one in target.checks],
    }


def _line(line: Line, found: Sequence[LineView], wall: float, reader: Reader) -> Document:
    return {
        "carrier": line.carrier,
        "circuit": line.circuit,
        "hotline": line.hotline,
        "contract_down_bits_per_second": line.contract_down_bits_per_second,
        "contract_up_bits_per_second": line.contract_up_bits_per_second,
        "interface": line.interface,
        "metered": line.metered,
        "standings": [standings.document(one, wall, reader) for one in found],
    }


def _check(check: CheckView, reader: Reader) -> Document:
    return {
        "id": check.id,
        "name": check.name,
        "kind": check.kind,
        "state": check.state.value,
        "rechecking": check.rechecking,
        "confirmed": check.confirmed,
        "belief": check.belief.value,
        "hard": check.hard,
        "since": _time(check.since, reader),
        "last": _time(check.last_wall, reader),
        "duration_seconds": _number(check.duration_seconds),
        "interval_seconds": check.interval_seconds,
        "outcome": check.outcome.value if check.outcome else None,
        "code": check.code,
        "text": say.check_text(check, reader.words),
        "detail": writing.clean(check.detail),
        "samples": [_sample(one, reader) for one in check.samples],
        "facts": _texts(check.facts),
    }


def _sample(sample: Sample, reader: Reader) -> Document:
    return {
        "name": sample.name,
        "instance": writing.clean(sample.instance),
        "values": [_number(value) for value in sample.values],
        "title": say.sample_name(sample, reader.words),
        "text": say.sample_text(sample, reader.words),
    }


def _transition(one: Transition, view: SiteView | None, reader: Reader) -> Document:
    return {
        "check": one.subject.check,
        "rule": one.subject.rule,
        "instance": writing.clean(one.subject.instance),
        "old": one.old.value,
        "new": one.new.value,
        "hard": one.hard,
        "wall": _time(one.wall, reader),
        "since": _time(one.since, reader),
        "code": one.code,
        "detail": writing.clean(one.detail),
        "text": transition_text(one, view, reader.words),
    }


def _self(snapshot: Snapshot, reader: Reader) -> Document:
    own = snapshot.self_view
    return {
        "version": own.version,
        "started": _time(own.started_wall, reader),
        "generation": own.generation,
        "checks": own.checks,
        "runs": own.runs,
        "runs_in_flight": own.runs_in_flight,
        "schedule_lag_seconds": _number(own.schedule_lag_seconds),
        "loop_lag_seconds": _number(own.loop_lag_seconds),
        "samples_dropped": own.samples_dropped,
        "database_bytes": own.database_bytes,
        "database_ok": own.database_ok,
        "outbox_pending": own.outbox_pending,
        "inventory_path": own.inventory_path,
        "inventory_ok": own.inventory_ok,
        "inventory_errors": [writing.clean(text) for text in own.inventory_errors],
        "reloaded": _time(own.reloaded_wall, reader),
    }


def _texts(facts: Mapping[str, str], longest: int = writing.LONGEST) -> dict[str, str]:
    return {writing.clean(name, 60): writing.clean(value, longest) for name, value in facts.items()}


def _time(wall: float | None, reader: Reader) -> str | None:
    return writing.rfc3339(wall, reader.zone) if wall is not None else None


def _number(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
