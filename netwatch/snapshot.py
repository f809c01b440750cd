"""What is so right now, for the page, the CLI and /metrics: frozen views over the inventory and the beliefs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from netwatch._line_views import line_views
from netwatch._standing import Standings
from netwatch._views import CheckView, LineView, RuleView, SiteView, TargetView, WindowView
from netwatch.core import World, maintenance_now
from netwatch.matcher import Matcher
from netwatch.memory import ANSWERS, Memory, SubjectMemory
from netwatch.model import Belief, Check, Device, Incident, Line, Site, State, Subject
from netwatch.windows import next_occurrence

__all__ = ["CheckView", "LineView", "RuleView", "SelfView", "SiteView", "Snapshot", "TargetView", "WindowView", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfView:
    """How netwatch itself is doing."""

    version: str = ""
    started_wall: float = 0.0
    generation: int = 0
    checks: int = 0
    runs: int = 0
    runs_in_flight: int = 0
    schedule_lag_seconds: float = 0.0
    loop_lag_seconds: float = 0.0
    samples_dropped: int = 0
    database_bytes: int = 0
    database_ok: bool = True
    backup_wall: float | None = None  # of the newest daily backup
    backup_failures: int = 0
    outbox_pending: int = 0
    inventory_path: str = ""
    inventory_ok: bool = True
    inventory_errors: tuple[str, ...] = ()
    reloaded_wall: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything at one moment. `revision` grows with every change worth telling a browser."""

    wall: float
    revision: int
    sites: tuple[SiteView, ...]
    incidents: tuple[Incident, ...]  # open, newest first
    closed: tuple[Incident, ...]  # closed in the last 24 h, newest first
    self_view: SelfView
    windows: tuple[WindowView, ...] = ()  # silences and maintenance in force or to come, the first to begin first
    isolated: bool = False  # it is we who are cut off

    def counts(self) -> Mapping[State, int]:
        """Commune sites by state; hubs are not counted among the 45."""
        counted = dict.fromkeys(State, 0)
        for view in self.sites:
            if view.site.kind == "commune":
                counted[view.state] += 1
        return counted

    def rechecking(self) -> int:
        """Commune sites that count as well, or as unknown, while something there is being asked again."""
        return sum(view.rechecking and view.state in {State.OK, State.UNKNOWN} for view in self.sites if view.site.kind == "commune")


_NOTHING = Memory()
_SEVERITY = {
    State.OK: 0,
    State.MAINTENANCE: 1,
    State.UNREACHABLE: 2,
    State.UNKNOWN: 3,
    State.WARN: 4,
    State.CRIT: 5,
}


def worst(states: Iterable[State]) -> State:
    """The state to show for several; unknown when there are none."""
    return max(states, key=_SEVERITY.__getitem__, default=State.UNKNOWN)


def take(world: World, wall: float, revision: int, self_view: SelfView) -> Snapshot:
    """The world as it is shown."""
    now = world.tick_at if world.tick_at is not None else -math.inf
    standings = Standings(world.inventory.checks, world.memories, world.incidents.values(), now, blind=world.isolated)
    look = _Look(world, standings, maintenance_now(world, wall), wall)
    return Snapshot(
        wall=wall,
        revision=revision,
        sites=tuple(_site_view(look, site) for site in world.inventory.sites.values()),
        incidents=tuple(sorted(world.incidents.values(), key=lambda incident: (-incident.opened, incident.id))),
        closed=tuple(sorted(world.closed, key=lambda incident: -(incident.closed or 0.0))),
        self_view=self_view,
        windows=tuple(sorted(_windows(world, wall), key=lambda window: (window.starts, window.id, window.name))),
        isolated=world.isolated,
    )


def _windows(world: World, wall: float) -> Iterable[WindowView]:
    for asked in world.windows.values():
        if wall < asked.ends:
            yield WindowView(
                id=asked.id,
                kind=asked.kind,
                matcher=asked.matcher,
                starts=asked.starts,
                ends=asked.ends,
                who=asked.who,
                note=asked.note,
            )
    zone = ZoneInfo(world.inventory.settings.timezone)
    for planned in world.inventory.maintenance:
        span = next_occurrence(planned, wall, zone)
        if span is not None:
            yield WindowView(name=planned.id, kind="maintenance", matcher=planned.matcher, starts=span[0], ends=span[1], note=planned.note)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the views of one moment are made of."""

    world: World
    standings: Standings
    works: tuple[Matcher, ...]  # maintenance under way
    wall: float


def _site_view(look: _Look, site: Site) -> SiteView:
    checks: dict[str, list[Check]] = {}
    for check in look.world.checks_by_site.get(site.id, ()):
        checks.setdefault(check.target, []).append(check)
    lines = [_target_view(look, site, line, checks.get(line.id, [])) for line in site.lines.values()]
    devices = [_target_view(look, site, device, checks.get(device.id, [])) for device in site.devices.values()]
    state, up, speaker = _judge(lines, devices)
    best = next((view for view in lines if view.up), lines[0] if lines else None)
    return SiteView(
        site=site,
        up=up,
        state=state,
        since=speaker.since if speaker is not None else None,
        detail=speaker.detail if speaker is not None else "",
        rtt_seconds=_value(best, "icmp_rtt_seconds"),
        loss_ratio=_value(best, "icmp_loss_ratio"),
        targets=(*lines, *devices),
        rechecking=any(view.rechecking and view.urgent for view in (*lines, *devices)),
    )


def _judge(lines: list[TargetView], devices: list[TargetView]) -> tuple[State, bool | None, TargetView | None]:
    """A site's state, whether it can be reached, and the target that says since when and why."""
    ways_out = lines or devices
    ups = [view.up for view in ways_out]
    up = True if True in ups else None if None in ups or not ups else False
    if up is False:
        return (
            worst(view.state for view in ways_out),
            up,
            min(ways_out, key=lambda view: view.since if view.since is not None else math.inf),
        )
    if ways_out and all(view.state is State.MAINTENANCE for view in ways_out):
        return State.MAINTENANCE, up, None
    eased = {id(view): _eased(view) for view in (*lines, *devices)}
    state = State.UNKNOWN if up is None else worst(eased.values())
    doubted = next((view for view in (*lines, *devices) if view.rechecking and view.urgent), None)
    if doubted is not None and state in {State.OK, State.UNKNOWN}:
        return state, up, doubted
    return state, up, max((*lines, *devices), key=lambda view: _SEVERITY[eased[id(view)]], default=None)


def _eased(view: TargetView) -> State:
    """What one target counts for its site: a device down is a warning, the site still serves.

    Nothing: what has not been asked yet, what is not confirmed or worked on, and a device that cannot be reached, for its parent counts.
    """
    if not view.confirmed or view.state is State.MAINTENANCE:
        return State.OK
    if view.kind == "device" and (view.since is None or view.state is State.UNREACHABLE):
        return State.OK
    if view.kind == "device" and view.state is State.UNKNOWN:
        return State.WARN
    return view.state if view.state is not State.CRIT else State.WARN


def _value(view: TargetView | None, metric: str) -> float | None:
    """The mean of a line's last sample of a metric."""
    for check in view.checks if view else ():
        for sample in check.samples:
            if sample.name == metric and sample.values:
                return sum(sample.values) / len(sample.values)
    return None


def _target_view(look: _Look, site: Site, target: Line | Device, checks: list[Check]) -> TargetView:
    primary = look.world.inventory.primary_check(site.id, target.id)
    views = tuple(_check_view(look, check) for check in checks)
    problems = tuple(problem for check in checks for problem in _problems(check, look.world.memories.get(check.id, _NOTHING)))
    main = next((view for view in views if view.id == primary), None)
    hidden = main is not None and main.state is State.UNREACHABLE
    counted = [view.state for view in views if view.last_wall is not None or view.kind != "bandwidth" or len(views) == 1]
    state = State.UNREACHABLE if hidden else worst([*counted, *(State(problem.belief.value) for problem in problems)])
    since, detail = _speaks(main, views, problems, state)
    asked_again = [view.id for view in views if view.rechecking]
    view = TargetView(
        site=site.id,
        id=target.id,
        kind="line" if isinstance(target, Line) else "device",
        role=target.role,
        profile=target.profile if isinstance(target, Device) else "",
        label=target.label,
        address=target.address,
        up=None if main is None or main.state is State.UNKNOWN else main.state in {State.OK, State.WARN, State.MAINTENANCE},
        state=state,
        since=since,
        detail=detail,
        checks=views,
        problems=problems,
        line=target if isinstance(target, Line) else None,
        standings=tuple(line_views(look.world, look.wall, site, target)) if isinstance(target, Line) else (),
        rechecking=bool(asked_again),
        urgent=any(check.audience == "page" for check in checks if check.id in asked_again),
        confirmed=all(view.confirmed for view in views if view.state is state),
    )
    return _under_work(view) if any(matcher.covers(site, target.id) for matcher in look.works) else view


def _under_work(view: TargetView) -> TargetView:
    """Whatever it does, it is maintenance; `up` still tells whether it answers."""
    state = State.MAINTENANCE
    checks = tuple(replace(check, state=state, rechecking=False, confirmed=True) for check in view.checks)
    return replace(view, state=state, checks=checks, since=None, detail="", rechecking=False, urgent=False, confirmed=True)


def _speaks(main: CheckView | None, views: tuple[CheckView, ...], problems: tuple[RuleView, ...], state: State) -> tuple[float | None, str]:
    """Since when and why a target is as it is: its main check first, then other checks, then rules."""
    ordered = sorted(views, key=lambda view: view is not main)
    for view in ordered:
        if view.state is state:
            return view.since, view.detail or view.code
    for problem in problems:
        if problem.belief.value == state.value:
            return problem.since, problem.detail
    return (main.since if main else None), ""


def _check_view(look: _Look, check: Check) -> CheckView:
    memory = look.world.memories.get(check.id, _NOTHING)
    answers = memory.answers
    last = memory.last
    standing = look.standings.of(check)
    since = answers.since if standing.since is None else standing.since
    return CheckView(
        id=check.id,
        name=check.name,
        kind=check.kind,
        state=standing.state,
        belief=answers.belief,
        hard=answers.hard,
        since=since if ANSWERS in memory.subjects else None,
        last_wall=last.wall if last else None,
        duration_seconds=last.duration_seconds if last else 0.0,
        outcome=last.outcome if last else None,
        code=last.code if last else "",
        detail=last.detail if last else "",
        interval_seconds=check.interval_seconds,
        samples=last.samples if last else (),
        facts=last.facts if last else {},
        rechecking=standing.rechecking,
        confirmed=standing.confirmed,
    )


def _problems(check: Check, memory: Memory) -> Iterable[RuleView]:
    for key, subject in memory.subjects.items():
        if key != ANSWERS and subject.belief in {Belief.WARN, Belief.CRIT}:
            yield _rule_view(check, key, subject)


def _rule_view(check: Check, key: tuple[str, str], subject: SubjectMemory) -> RuleView:
    return RuleView(
        subject=Subject(check.id, *key),
        belief=subject.belief,
        hard=subject.hard,
        since=subject.since,
        value=subject.value,
        detail=f"{key[0]} {key[1]}".strip(),
        metric=next((rule.metric for rule in check.rules if rule.name == key[0]), ""),
    )
