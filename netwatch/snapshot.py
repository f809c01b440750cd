"""What is so right now, for the page, the CLI and /metrics: frozen views over the inventory and the beliefs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netwatch.model import Belief, Incident, Line, Outcome, Sample, Site, State, Subject

__all__ = ["CheckView", "RuleView", "SelfView", "SiteView", "Snapshot", "TargetView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check: what is shown, what is believed, and the last result as it came."""

    id: str
    name: str
    kind: str
    state: State
    belief: Belief
    hard: bool
    since: float | None  # wall; None before the first result
    last_wall: float | None
    duration_seconds: float
    outcome: Outcome | None
    code: str
    detail: str
    interval_seconds: float
    samples: tuple[Sample, ...]
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule on one instance that is not ok."""

    subject: Subject
    belief: Belief
    hard: bool
    since: float
    value: float | None
    detail: str
    metric: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A line or a device of a site; `state` is the worst of its checks and rules, under the overlays."""

    site: str
    id: str
    kind: str  # line, device
    role: str  # primary or backup; router, switch, printer …
    profile: str
    label: str
    address: str
    up: bool | None  # its primary check; None while unknown
    state: State
    since: float | None
    detail: str
    checks: tuple[CheckView, ...]
    problems: tuple[RuleView, ...]
    line: Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A site; `state` is crit when its last line is down, else the worst of its targets, a crit device counting as warn."""

    site: Site
    up: bool | None  # any line answers; None while unknown
    state: State
    since: float | None
    detail: str
    rtt_seconds: float | None
    loss_ratio: float | None
    targets: tuple[TargetView, ...]


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

    def counts(self) -> Mapping[State, int]:
        """Commune sites by state; hubs are not counted among the 45."""
        counted = dict.fromkeys(State, 0)
        for view in self.sites:
            if view.site.kind == "commune":
                counted[view.state] += 1
        return counted
