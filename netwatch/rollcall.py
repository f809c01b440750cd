"""Who of a meeting is ready: which meetings there are, and what is known of each place, out of beliefs and the last figures. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from netwatch import core, line
from netwatch.conference import Bridge, Endpoint, Evidence, Leg, Power, Proof
from netwatch.core import World
from netwatch.matcher import parse
from netwatch.model import Belief, Meeting, Site
from netwatch.snapshot import CheckView, SiteView, Snapshot, TargetView
from netwatch.windows import next_occurrence

__all__ = ["ENDPOINT_ROLE", "ROOM_CALL", "Sitting", "evidence_of", "line_in_use", "places_of", "room_of", "rooms_of", "sittings"]

ENDPOINT_ROLE = "conference"
BRIDGE_PROBE, NODE_PROFILE = "pexip", "pexip-node"
SILENT_SECONDS = 180.0  # since the manager heard of a node
SEVERE = "error"
LATELY_SECONDS = 600.0
REGISTERED = ("poly_registered", "h323_registered")  # what an endpoint says of itself
ROOM_REGISTERED, ROOM_CALL = "pexip_room_registered", "pexip_room_call_quality"  # what the bridge says of it, by alias
BAD_VERDICTS = {"proved": 0, "inconclusive": 1, "stale": 2, "refuted": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """A meeting on the day it is. Times are wall."""

    meeting: Meeting
    starts: float
    ends: float

    @property
    def key(self) -> str:
        """The same meeting next week is another sitting."""
        return f"{self.meeting.id}@{self.starts:.0f}"


def sittings(meetings: Iterable[Meeting], wall: float, zone: dt.tzinfo, *, within_seconds: float) -> list[Sitting]:
    """Those that are on or begin within that time, the first to begin first."""
    found = []
    for meeting in meetings:
        span = next_occurrence(meeting, wall, zone)
        if span is not None and span[0] - wall <= within_seconds:
            found.append(Sitting(meeting=meeting, starts=span[0], ends=span[1]))
    return sorted(found, key=lambda one: (one.starts, one.meeting.id))


def places_of(meeting: Meeting, sites: Mapping[str, Site]) -> tuple[str, ...]:
    """Its sites by id; of a meeting without a matcher, every commune."""
    if not meeting.matcher:
        return tuple(site.id for site in sites.values() if site.kind == "commune")
    matcher = parse(meeting.matcher)
    return tuple(site.id for site in sites.values() if matcher.covers(site))


def line_in_use(view: SiteView) -> TargetView | None:
    """The primary line as long as it is not down, else a backup that is not."""
    lines = [target for target in view.targets if target.line is not None]
    ordered = sorted(lines, key=lambda target: target.role != "primary")
    return next((target for target in ordered if target.up is not False), ordered[0] if ordered else None)


def evidence_of(
    world: World, snapshot: Snapshot, sitting: Sitting, legs: Mapping[str, Leg], good_calls: Mapping[str, float] = MappingProxyType({})
) -> list[Evidence]:
    """Of each place of it. `legs` by site, of the line in use; one that is missing was not measured. `good_calls`: wall, by endpoint."""
    views = {view.site.id: view for view in snapshot.sites}
    places = [place for place in places_of(sitting.meeting, world.inventory.sites) if place in views]
    look = _Look(
        world=world,
        snapshot=snapshot,
        sitting=sitting,
        legs=legs,
        good_calls=good_calls,
        bridges=tuple(_bridges(snapshot)),
        rooms=rooms_of(snapshot),
        without_power=frozenset(site for incident in snapshot.incidents if incident.cause.type == "feeder" for site in incident.sites),
        callers=len(places),
        back_since=_back_lately(snapshot),
    )
    return [_of(look, views[place]) for place in places]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What the evidence of every place is taken from."""

    world: World
    snapshot: Snapshot
    sitting: Sitting
    legs: Mapping[str, Leg]
    good_calls: Mapping[str, float]
    bridges: tuple[Bridge, ...]
    rooms: Mapping[str, Mapping[str, float]]
    without_power: frozenset[str]
    callers: int
    back_since: Mapping[str, float]


def _of(look: _Look, view: SiteView) -> Evidence:
    site, wall, sitting, used = view.site.id, look.snapshot.wall, look.sitting, line_in_use(view)
    work = [one for one in look.snapshot.windows if one.kind == "maintenance" and one.in_force(max(wall, sitting.starts))]
    return Evidence(
        site=site,
        up=view.up,
        starts_in_seconds=sitting.starts - wall,
        lasts_seconds=sitting.ends - sitting.starts,
        rate_bits_per_second=sitting.meeting.rate_bits_per_second,
        blind=look.snapshot.isolated,
        dark_since=view.since if view.up is False else None,
        back_since=look.back_since.get(site) if view.up else None,
        without_power=site in look.without_power,
        on_backup=used is not None and used.role != "primary" and any(one.line and one.role == "primary" for one in view.targets),
        maintenance=any(parse(one.matcher).covers(view.site) for one in work),
        proof=_proof(look.world, site, used, wall),
        leg=look.legs.get(site),
        free_bits_per_second=_free(look.world, site, used),
        endpoints=tuple(_endpoints(look, view)),
        power=_power(view),
        bridges=look.bridges,
        ports_needed=look.callers,
    )


def _back_lately(snapshot: Snapshot) -> dict[str, float]:
    """Sites that were dark and are not any more since a while ago."""
    since: dict[str, float] = {}
    for incident in snapshot.closed:
        if incident.closed is not None and snapshot.wall - incident.closed < LATELY_SECONDS and incident.facts.get("symptom") == "dark":
            since |= {site: max(incident.closed, since.get(site, 0.0)) for site in incident.sites if site not in incident.degraded}
    return since


def _proof(world: World, site: str, used: TargetView | None, wall: float) -> Proof | None:
    found = []
    for direction in ("down", "up"):
        key = (site, used.id if used else "", direction)
        if key not in world.line_tests and key not in world.lines.pasts:
            continue
        stands = line.standing(world.lines.pasts.get(key, ()), wall, core.limits_of(world))
        age = None if stands.last is None else wall - stands.last.wall
        found.append(Proof(verdict=stands.verdict, age_seconds=age))
    return max(found, key=lambda one: (BAD_VERDICTS[one.verdict], one.age_seconds or 0.0), default=None)


def _free(world: World, site: str, used: TargetView | None) -> float | None:
    """What the router says others leave of the contract; None where it says nothing."""
    if used is None or used.line is None:
        return None
    contracts = [one for one in (used.line.contract_down_bits_per_second, used.line.contract_up_bits_per_second) if one]
    busy = core.busy_ratio(world, (site, used.id, "down"), world.tick_at or 0.0)  # of the busier direction
    return None if busy is None or not contracts else min(contracts) * max(0.0, 1.0 - busy)


def _endpoints(look: _Look, view: SiteView) -> Iterator[Endpoint]:
    for target in view.targets:
        if target.role != ENDPOINT_ROLE:
            continue
        figures = _figures(target.checks)
        alias = room_of(look.rooms, view.site.id, target.id)
        registered = next((figures[name, ""] for name in REGISTERED if (name, "") in figures), alias.get(ROOM_REGISTERED))
        good = look.good_calls.get(f"{view.site.id}/{target.id}")
        yield Endpoint(
            id=target.id,
            label=target.label,
            reachable=target.up,
            registered=None if registered is None else bool(registered),
            refusing=bool(figures.get(("sip_refusing", ""))),
            since=target.since if target.up is False else None,
            good_call_age_seconds=None if good is None else look.snapshot.wall - good,
        )


def room_of(rooms: Mapping[str, Mapping[str, float]], site: str, device: str) -> Mapping[str, float]:
    """What bridges say of one room; nothing where they know none of that alias."""
    return next((rooms[name] for name in (f"{site}-{device}", site) if name in rooms), {})


def rooms_of(snapshot: Snapshot) -> dict[str, dict[str, float]]:
    """What bridges say of rooms, by the part of their alias before the @: the site's id, or `site-device` where it has several."""
    found: dict[str, dict[str, float]] = {}
    for view in snapshot.sites:
        for target in view.targets:
            for check in target.checks:
                for sample in check.samples if check.kind == BRIDGE_PROBE else ():
                    if sample.name in {ROOM_REGISTERED, ROOM_CALL} and sample.values:
                        found.setdefault(sample.instance.partition("@")[0], {})[sample.name] = sample.values[-1]
    return found


def _bridges(snapshot: Snapshot) -> Iterator[Bridge]:
    """The managers. Meetings run on the nodes, so it is they whose silence ends one: of a manager that is silent nothing is known."""
    nodes = [target.up for view in snapshot.sites for target in view.targets if target.profile == NODE_PROFILE]
    for view in snapshot.sites:
        for target in view.targets:
            for check in target.checks:
                if check.kind == BRIDGE_PROBE:
                    yield _bridge(
                        target.label or view.site.name, check, nodes_down=bool(nodes) and not any(up is not False for up in nodes)
                    )


def _bridge(name: str, check: CheckView, *, nodes_down: bool) -> Bridge:
    known = check.belief is Belief.OK
    figures = [sample for sample in check.samples if sample.values] if known else []
    alarms = sum(sample.values[-1] for sample in figures if sample.name == "pexip_alarms" and sample.instance == SEVERE)
    ports = [sample.values[-1] for sample in figures if (sample.name, sample.instance) == ("pexip_licences_left", "port")]
    silent = [sample.values[-1] > SILENT_SECONDS for sample in figures if sample.name == "pexip_node_silent_seconds"]
    loads = [sample.values[-1] for sample in figures if sample.name == "pexip_node_media_load_ratio"]
    down = nodes_down or (bool(silent) and all(silent))
    return Bridge(
        name=name,
        reachable=False if down else True if known else None,
        alarms=int(alarms),
        ports_left=int(ports[0]) if ports else None,
        media_load_ratio=max(loads, default=None),
    )


def _power(view: SiteView) -> Power | None:
    for target in view.targets:
        figures = _figures(target.checks)
        on_battery = figures.get(("ups_on_battery", ""))
        if on_battery is not None:
            return Power(on_battery=bool(on_battery), runtime_seconds=figures.get(("ups_runtime_seconds", "")))
    return None


def _figures(checks: Iterable[CheckView]) -> dict[tuple[str, str], float]:
    return {(sample.name, sample.instance): sample.values[-1] for check in checks for sample in check.samples if sample.values}
