"""What failed by itself at one site: the topmost thing, and what it hides. Pure.

A failed target waits for a fresh result of its parents. Behind a failed parent it is hidden, and never an incident of
its own. When the parent is back, only a fresh bad result of its own makes it one. What has no parent waits until
anything at all has been seen since it failed: else it may be we who are cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, TypeAlias

from netwatch.memory import ANSWERS, Memory, SubjectMemory
from netwatch.model import Audience, Belief, Cause, Check, Device, Inventory, Line, Outcome, Rule, Severity, Site, Subject

__all__ = [
    "BRIGHT",
    "PARENT_WAIT_SECONDS",
    "POWER_METRICS",
    "Finding",
    "Findings",
    "Sight",
    "Symptom",
    "Verdict",
    "line_checks",
    "place",
    "survey",
    "verdict",
]

PARENT_WAIT_SECONDS = 15.0
POWER_METRICS = frozenset({"ups_on_battery", "ups_runtime_seconds", "ups_battery_low", "ups_charge_ratio"})
Symptom: TypeAlias = Literal["", "dark", "power", "quality"]  # what may have a cause in common with other sites
_NEVER = Memory()


class Verdict(Enum):
    """What the parents of a failed check say of it."""

    OWN = "own"  # the failure is its own
    HIDDEN = "hidden"  # it cannot be reached: a parent has failed
    WAIT = "wait"  # a parent has not been heard of since


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause as it stands: what an incident would say."""

    key: str
    cause: Cause
    sites: tuple[str, ...]
    severity: Severity
    audience: Audience
    members: tuple[Subject, ...]
    hidden: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    confidence: float = 1.0
    symptom: Symptom = ""
    began_at: float = 0.0  # monotonic


@dataclass(frozen=True, slots=True)
class Sight:
    """When anything far away last answered, and when we last came out of blindness. Monotonic."""

    seen_at: float = float("inf")
    sighted_at: float = float("-inf")


BRIGHT = Sight()


@dataclass(frozen=True, slots=True)
class Findings:
    findings: tuple[Finding, ...] = ()
    down: tuple[str, ...] = ()  # checks of lines that failed by themselves: outages.py says by what
    wanted: tuple[str, ...] = ()  # checks whose fresh result somebody waits for
    waiting: bool = False
    hidden: int = 0


def verdict(check: Check, memories: Mapping[str, Memory], now: float) -> tuple[Verdict, tuple[str, ...]]:
    """What the parents say of a failed check, and which of them must be asked anew."""
    memory = memories[check.id]
    wanted: list[str] = []
    waiting = memory.last is None or memory.last.outcome is not Outcome.FAILED  # recovering, or just restored
    for group in check.parents:
        parents = {parent: memories.get(parent, _NEVER) for parent in group}
        if group and all(parent.is_down for parent in parents.values()):
            return Verdict.HIDDEN, ()
        if any(_spoke_well(parent, memory) for parent in parents.values()):
            continue
        if any(_will_speak(parent, memory, now) for parent in parents.values()):
            waiting = True
            wanted += [parent_id for parent_id, parent in parents.items() if not _suspect(parent) and not parent.failed]
    if any(memory.last_at < memories[parent].answers.changed_at for group in check.parents for parent in group if parent in memories):
        # A parent came back since we last looked: only a fresh bad result of its own counts.
        return Verdict.WAIT, (check.id, *wanted)
    return (Verdict.WAIT if waiting else Verdict.OWN), tuple(wanted)


def survey(
    inventory: Inventory, site: Site, checks: tuple[Check, ...], memories: Mapping[str, Memory], now: float, sight: Sight = BRIGHT
) -> Findings:
    """Every cause at one site, from the beliefs about its checks; of its lines, only which are down."""
    findings: list[Finding] = []
    down: list[str] = []
    wanted: list[str] = []
    hidden_targets = 0
    waiting = False
    for check in checks:
        memory = memories.get(check.id, _NEVER)
        if memory.failed:
            said, ask = verdict(check, memories, now)
            said, ask = _with_sibling_lines(inventory, site, check, memories, said, ask, now)
            if said is Verdict.OWN and not check.parents and not _is_seen(memory, sight, now):
                said = Verdict.WAIT
            wanted += ask
            waiting = waiting or said is Verdict.WAIT
            is_primary = inventory.primary_check(site.id, check.target) == check.id
            hidden_targets += said is Verdict.HIDDEN and is_primary
            if said is Verdict.OWN and check.audience != "none":
                if is_primary and check.target in site.lines:
                    down.append(check.id)
                else:
                    findings.append(_answer_finding(site, check, memories, is_primary=is_primary))
        findings += _rule_findings(site, check, memory)
    told = tuple(_with_hidden(finding, hidden_targets) for finding in findings)
    return Findings(told, tuple(down), tuple(dict.fromkeys(wanted)), waiting, hidden_targets)


def _is_seen(memory: Memory, sight: Sight, now: float) -> bool:
    """Whether something far away has answered since this failed, and this has failed again since we could last see."""
    if memory.last_at < sight.sighted_at:
        return False
    return sight.seen_at >= memory.answers.since_at or now - memory.answers.changed_at >= PARENT_WAIT_SECONDS


def _with_sibling_lines(
    inventory: Inventory, site: Site, check: Check, memories: Mapping[str, Memory], said: Verdict, ask: tuple[str, ...], now: float
) -> tuple[Verdict, tuple[str, ...]]:
    """A failed line waits for its sibling lines: when all are failing it is the site that is dark, and one page."""
    if said is not Verdict.OWN or check.target not in site.lines or len(site.lines) == 1:
        return said, ask
    mine = memories[check.id]
    siblings = [memories.get(other, _NEVER) for other in line_checks(inventory, site) if other != check.id]
    if any(_came_back(sibling, mine, now) for sibling in siblings):
        return Verdict.WAIT, ask
    if all(sibling.failed or _spoke_well(sibling, mine) for sibling in siblings):
        return said, ask
    if not any(_will_speak(sibling, mine, now) for sibling in siblings if not sibling.failed):
        return said, ask
    stale = [o for o in line_checks(inventory, site) if o != check.id and not _suspect(memories.get(o, _NEVER))]
    return Verdict.WAIT, (*ask, *stale)


def _answer_finding(site: Site, check: Check, memories: Mapping[str, Memory], *, is_primary: bool) -> Finding:
    """A check that does not answer, named by what it is: a device, or one check."""
    name = f"{site.id}/{check.target}" if is_primary else check.id
    answers = memories[check.id].answers
    return Finding(
        key=f"netwatch/{name}",
        cause=Cause("device" if is_primary else "check", name),
        sites=(site.id,),
        severity="critical" if check.audience == "page" else "info",
        audience=check.audience,
        members=(Subject(check.id),),
        facts={**place(site, check), "code_word": answers.code, "detail": answers.detail},
        began_at=answers.since_at,
    )


def _rule_findings(site: Site, check: Check, memory: Memory) -> Iterator[Finding]:
    """Thresholds crossed: one cause for all instances and all rules of a metric, told to whoever the sternest of them tells."""
    bad: dict[str, list[tuple[Rule, tuple[str, str], SubjectMemory]]] = {}
    for rule in check.rules:
        if rule.audience == "none":
            continue
        for key, subject in memory.subjects.items():
            if key[0] == rule.name and subject.hard and subject.belief in {Belief.WARN, Belief.CRIT}:
                bad.setdefault(rule.metric, []).append((rule, key, subject))
    for metric, broken in bad.items():
        rule, key, subject = max(broken, key=lambda one: (one[0].audience == "page", one[2].belief is Belief.CRIT, one[1]))
        threshold = rule.crit if subject.belief is Belief.CRIT else rule.warn
        name = f"{check.site}/{check.target}/{metric}"
        facts = {
            **place(site, check),
            "metric": metric,
            "rule": rule.name,
            "instance": key[1],
            "value": "" if subject.value is None else f"{subject.value:g}",
            "threshold": "" if threshold is None else f"{threshold:g}",
        }
        yield Finding(
            key=f"netwatch/{name}",
            cause=Cause("check", name),
            sites=(site.id,),
            severity=_severity(rule.audience, subject.belief),
            audience=rule.audience,
            members=tuple(Subject(check.id, *one[1]) for one in sorted(broken, key=lambda one: one[1])),
            facts=facts,
            symptom=_symptom(site, check, metric, rule.audience),
            began_at=min(one[2].since_at for one in broken),
        )


def _symptom(site: Site, check: Check, metric: str, audience: Audience) -> Symptom:
    if audience != "page":
        return ""
    return "power" if metric in POWER_METRICS else "quality" if check.target in site.lines else ""


def _severity(audience: Audience, belief: Belief) -> Severity:
    if audience != "page":
        return "info"
    return "critical" if belief is Belief.CRIT else "warning"


def _with_hidden(finding: Finding, hidden_targets: int) -> Finding:
    if finding.cause.type == "check" or not hidden_targets:
        return finding
    return replace(finding, hidden=hidden_targets, facts={**finding.facts, "hidden": str(hidden_targets)})


def place(site: Site, check: Check) -> dict[str, str]:
    """The words about a place that a page needs, for as long as the incident lives."""
    facts = {
        "site_name": site.name,
        "site_full_name": site.full_name,
        "code": site.code,
        "office": site.office,
        "district": site.district,
        "address": check.address,
        "target": check.target,
        "contact": site.contact.name if site.contact else "",
        "phone": site.contact.phone if site.contact else "",
    }
    line: Line | None = site.lines.get(check.target) or next(iter(site.lines.values()), None)
    if line is not None:
        facts |= {
            "line_label": line.label,
            "carrier": line.carrier,
            "circuit": line.circuit,
            "hotline": line.hotline,
            "line_role": line.role,
        }
    device: Device | None = site.devices.get(check.target)
    if device is not None:
        facts |= {"target_label": device.label or device.id, "target_role": device.role}
    return {name: text for name, text in facts.items() if text}


def line_checks(inventory: Inventory, site: Site) -> tuple[str, ...]:
    found = (inventory.primary_check(site.id, line) for line in site.lines)
    return tuple(check for check in found if check is not None)


def _suspect(memory: Memory) -> bool:
    """Failing, but not yet hard: it is being asked again already."""
    answers = memory.subjects.get(ANSWERS)
    return answers is not None and not answers.hard


def _came_back(sibling: Memory, mine: Memory, now: float) -> bool:
    """A sibling line that failed with this one has just come back: this one may be about to."""
    answers = sibling.answers
    return answers.belief is Belief.OK and answers.changed_at > mine.answers.changed_at and now - answers.changed_at < PARENT_WAIT_SECONDS


def _spoke_well(parent: Memory, child: Memory) -> bool:
    """The parent answered a run that began after the child's failure, and has not failed since."""
    if parent.last is None or parent.last.outcome is not Outcome.OK or parent.failed:
        return False
    return parent.good_at >= (child.last_at if _has_changed(parent, child) else child.answers.since_at)


def _has_changed(parent: Memory, child: Memory) -> bool:
    """It failed or came back while the child was failing: what it said then says nothing of how the child fails now."""
    return parent.answers.changed_at > child.answers.since_at


def _will_speak(parent: Memory, child: Memory, now: float) -> bool:
    """Whether a word of the parent is worth waiting for: it is being asked, or may answer soon."""
    if _suspect(parent) or now - child.answers.changed_at < PARENT_WAIT_SECONDS:
        return True
    answers_us = parent.last is not None and parent.last.outcome is Outcome.OK
    return answers_us and _has_changed(parent, child) and now - child.last_at < PARENT_WAIT_SECONDS
