"""What is failing at many sites, grouped by what they share: the findings behind shared incidents. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from netwatch.causes import PROVINCE, Group, explain
from netwatch.core._common_cause import Facts, audience_of, cause_of, dark_site, is_dark, key_of, shared_facts, stands
from netwatch.core._mutes import maintenance_now
from netwatch.core._power import findings_of_power, has_mains
from netwatch.core._world import World
from netwatch.correlate import Finding, place
from netwatch.model import Cause, Check, Subject

__all__ = ["findings_of"]

WINDOW_SECONDS = {"dark": 120.0, "quality": 900.0}  # failures further apart have nothing to do with each other
NEIGHBOURS_SHOWN = 3


def findings_of(world: World, wall: float) -> Iterator[Finding]:
    """Every shared cause as it stands; each failing line, UPS and lossy line is in one of them."""
    powerless = yield from findings_of_power(world)
    yield from _of_lines(world, {check: at for check, at in world.down.items() if check not in powerless}, wall)
    yield from _of_quality(world)


def _grouped(world: World, began: Mapping[str, float], symptom: str) -> tuple[Group, ...]:
    checks = world.inventory.checks
    return explain(
        began, world.bearers, lambda line: stands(world, line), lambda line: checks[line].site, window_seconds=WINDOW_SECONDS[symptom]
    )


def _of_lines(world: World, dark: Mapping[str, float], wall: float) -> Iterator[Finding]:
    """Lines that are worked on say nothing of others."""
    apart = _worked_on(world, dark, wall)
    for group in _grouped(world, {check: at for check, at in dark.items() if check not in apart}, "dark"):
        yield _line_finding(world, group, dark) if group.tag is not None else _own_finding(world, group.parts, dark)
    by_site: dict[str, list[str]] = {}
    for check in sorted(apart):
        by_site.setdefault(world.inventory.checks[check].site, []).append(check)
    for lines in by_site.values():
        yield _own_finding(world, tuple(lines), dark)


def _worked_on(world: World, lines: Mapping[str, float], wall: float) -> set[str]:
    matchers = maintenance_now(world, wall)
    checks = [world.inventory.checks[line] for line in lines] if matchers else []
    return {check.id for check in checks if any(matcher.covers(world.inventory.sites[check.site], check.target) for matcher in matchers)}


def _line_finding(world: World, group: Group, dark: Mapping[str, float]) -> Finding:
    tag = group.tag or PROVINCE
    touched = tuple(dict.fromkeys(world.inventory.checks[line].site for line in group.parts))
    lost = tuple(site for site in touched if is_dark(world, site))
    return Finding(
        key=key_of(tag),
        cause=cause_of(tag),
        sites=lost or touched,
        severity="critical" if lost else "warning",
        audience=audience_of(world, group.parts),
        members=tuple(Subject(line) for line in group.parts),
        hidden=sum(world.hidden.get(site, 0) for site in lost),
        facts=Facts(lambda: shared_facts(world, group, lost or touched)),
        degraded=tuple(site for site in touched if site not in lost) if lost else (),
        confidence=group.confidence,
        symptom="dark",
        began_at=min(dark[line] for line in group.parts),
    )


def _own_finding(world: World, lines: tuple[str, ...], dark: Mapping[str, float]) -> Finding:
    """Of one site: the whole of it, or one of its lines."""
    check = world.inventory.checks[lines[0]]
    site = check.site
    began_at = min(dark[line] for line in lines)
    members = tuple(Subject(line) for line in lines)
    if is_dark(world, site):
        likely = "line" if site in world.ups_of and has_mains(world, site) else ""
        return dark_site(world, site, lines, members, began_at, likely=likely, more=partial(_neighbours, world, site))
    name = f"{site}/{check.target}"
    return Finding(
        key=f"netwatch/{name}",
        cause=Cause("line", name),
        sites=(site,),
        severity="warning",
        audience=audience_of(world, lines),
        members=members,
        facts=Facts(partial(_of_line, world, check)),
        symptom="dark",
        began_at=began_at,
    )


def _of_line(world: World, check: Check) -> dict[str, str]:
    site = world.inventory.sites[check.site]
    answers = world.memories[check.id].answers
    other = next((line for line in site.lines.values() if line.id != check.target), None)
    facts = {**place(site, check), "code_word": answers.code, "detail": answers.detail}
    return facts if other is None else {**facts, "other_line": other.label or other.id}


def _neighbours(world: World, site: str) -> dict[str, str]:
    """Who of them is well."""
    mates = {
        world.inventory.checks[line].site
        for line in world.mates(world.lines_of[site], leaving_out=frozenset({"carrier", PROVINCE[0]}))
        if stands(world, line)
    } - {site}
    return {"neighbours": ", ".join(world.inventory.sites[mate].name for mate in sorted(mates)[:NEIGHBOURS_SHOWN])} if mates else {}


def _of_quality(world: World) -> Iterator[Finding]:
    by_metric: dict[str, dict[str, Finding]] = {}
    for found in world.raised.values():
        for one in found:
            if one.symptom == "quality":
                by_metric.setdefault(one.facts["metric"], {})[one.members[0].check] = one
    for metric, raised in by_metric.items():
        for group in _grouped(world, {check: one.began_at for check, one in raised.items()}, "quality"):
            if group.tag is None:
                yield from (raised[check] for check in group.parts)
            else:
                yield _quality_finding(world, group, metric, [raised[check] for check in group.parts])


def _quality_finding(world: World, group: Group, metric: str, raised: list[Finding]) -> Finding:
    tag = group.tag or PROVINCE
    sites = tuple(dict.fromkeys(site for one in raised for site in one.sites))
    worst = max(raised, key=lambda one: one.severity == "critical")
    told = {name: worst.facts[name] for name in ("metric", "value", "threshold", "rule") if name in worst.facts}
    return Finding(
        key=f"{key_of(tag)}/{metric}",
        cause=cause_of(tag),
        sites=sites,
        severity=worst.severity,
        audience="page",
        members=tuple(member for one in raised for member in one.members),
        facts=Facts(lambda: shared_facts(world, group, sites) | told),
        confidence=group.confidence,
        symptom="quality",
        began_at=min(one.began_at for one in raised),
    )
