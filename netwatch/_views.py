"""What is shown of a check, a rule, a line or device, and a site. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from netwatch.model import Belief, Line, Outcome, Sample, Site, State, Subject

__all__ = ["CheckView", "LineView", "RuleView", "SiteView", "TargetView", "WindowView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check: what is shown, what is believed, and the last result as it came.

    `rechecking`: it is being asked again, for its last results say otherwise than `state`; `since` is then since when.
    Not `confirmed`: nothing may be concluded from it for its site yet.
    """

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
    rechecking: bool = False
    confirmed: bool = True


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
class LineView:
    """What one direction of a line stands at against its contract. `wall` is when that was found; None: nobody has ever looked.

    `decided` is the verdict it goes by, also when that is too old to count and `verdict` is stale.
    """

    direction: Literal["down", "up"]
    contract_bits_per_second: float
    verdict: str
    reason: str
    decided: str
    value_bits_per_second: float
    wall: float | None
    proved_wall: float | None
    below_contract: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A line or a device of a site; `state` is the worst of its checks and rules, under the overlays.

    `rechecking` and `confirmed` as of its checks; `urgent`: what is being asked again would wake somebody.
    """

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
    standings: tuple[LineView, ...] = ()  # of a line, by direction
    rechecking: bool = False
    urgent: bool = False
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A site; `state` is crit when its last line is down, else the worst of its targets, a crit device counting as warn.

    Targets that are not confirmed do not count. `rechecking`: a line or device that would wake somebody is being asked again.
    """

    site: Site
    up: bool | None  # any line answers; None while unknown
    state: State
    since: float | None
    detail: str
    rtt_seconds: float | None
    loss_ratio: float | None
    targets: tuple[TargetView, ...]
    rechecking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """A silence or a maintenance that is in force or to come. `id`: what `end` takes; 0 for one the inventory plans, which has a `name`."""

    id: int = 0
    name: str = ""
    kind: Literal["silence", "maintenance"]
    matcher: str
    starts: float
    ends: float
    who: str = ""
    note: str = ""

    def in_force(self, wall: float) -> bool:
        return self.starts <= wall < self.ends
