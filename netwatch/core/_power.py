"""Power that is gone: what UPSes say, by feeder, and what went dark with it. Pure."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from functools import partial

from netwatch.causes import Group, Tag, Units, explain
from netwatch.core._common_cause import Facts, cause_of, dark_site, is_dark, key_of, shared_facts, stands
from netwatch.core._world import World
from netwatch.correlate import Finding
from netwatch.model import Belief, Subject

__all__ = ["findings_of_power", "has_mains"]

WINDOW_SECONDS = 240.0  # batteries that took over further apart have nothing to do with each other
DRAINED_METRICS = frozenset({"ups_runtime_seconds", "ups_charge_ratio"})


def _of_battery(world: World, site: str) -> tuple[Finding, ...]:
    """What a site's UPS says of power. On battery says it all; little charge while mains charges it is nobody's call."""
    told = tuple(one for one in world.raised[site] if one.symptom == "power")
    on_battery = tuple(one for one in told if one.facts["metric"] == "ups_on_battery")
    if on_battery or not has_mains(world, site):
        return on_battery or told
    return tuple(one for one in told if one.facts["metric"] not in DRAINED_METRICS)


def findings_of_power(world: World) -> Generator[Finding, None, frozenset[str]]:
    """Sites on battery by their feeder, with what went dark since; returns the lines that are explained by it."""
    power = {site: told for site in world.raised if (told := _of_battery(world, site))}
    explained: set[str] = set()
    if not power:
        return frozenset()
    began = {site: min(one.began_at for one in told) for site, told in power.items()}
    feeders = {tag: {site: (site,) for site in units} for tag, units in world.bearers.items() if tag[0] == "feeder"}
    joined = _dark_at_once(world, began, feeders)
    for group in explain(began | joined, feeders, lambda site: has_mains(world, site), lambda site: site, window_seconds=WINDOW_SECONDS):
        if group.tag is None and group.parts[0] not in power:
            continue  # dark on a feeder that did not fail: its line, most likely
        sites = group.parts
        lines = [check for site in sites for check in world.lines_of[site] if check in world.down]
        explained.update(lines)
        yield _power_finding(world, group, sites, lines, [one for site in sites for one in power.get(site, ())])
    return frozenset(explained)


def _dark_at_once(world: World, began: Mapping[str, float], feeders: Mapping[Tag, Units]) -> dict[str, float]:
    """Sites without a UPS that went dark when others of their feeder went to battery."""
    joined = {}
    for units in feeders.values():
        times = [began[site] for site in units if site in began]
        for site in units:
            lines = world.lines_of[site]
            if site in began or not times or not lines or not all(line in world.down for line in lines) or site in world.ups_of:
                continue
            at = max(world.down[line] for line in lines)
            if min(abs(at - time) for time in times) <= WINDOW_SECONDS:
                joined[site] = at
    return joined


def _power_finding(world: World, group: Group, sites: tuple[str, ...], lines: list[str], raised: list[Finding]) -> Finding:
    members = (*(Subject(line) for line in lines), *(member for one in raised for member in one.members))
    dark = tuple(site for site in sites if is_dark(world, site))
    if group.tag is None:
        main = max(raised, key=lambda one: one.severity == "critical")
        if not dark:
            return replace(main, members=tuple(dict.fromkeys(members)), hidden=0)
        return dark_site(world, sites[0], lines, members, main.began_at, likely="power", more=partial(_battery, main))
    return Finding(
        key=key_of(group.tag),
        cause=cause_of(group.tag),
        sites=sites,
        severity="critical",
        audience="page",
        members=tuple(dict.fromkeys(members)),
        hidden=sum(world.hidden.get(site, 0) for site in dark),
        facts=Facts(lambda: shared_facts(world, group, sites) | {"likely": "power", "dark": str(len(dark))}),
        confidence=group.confidence,
        symptom="power",
        began_at=min(one.began_at for one in raised),
    )


def _battery(main: Finding) -> dict[str, str]:
    return {f"ups_{name}": main.facts[name] for name in ("metric", "value") if name in main.facts}


def has_mains(world: World, site: str) -> bool:
    """Whether a site is known to have power: its UPS says so, or without one, it answers."""
    check = world.ups_of.get(site, "")
    if not check:
        return any(stands(world, line) for line in world.lines_of[site])
    rules = {rule.name for rule in world.inventory.checks[check].rules if rule.metric == "ups_on_battery"}
    return any(key[0] in rules and subject.belief is Belief.OK for key, subject in world.memory(check).subjects.items())
