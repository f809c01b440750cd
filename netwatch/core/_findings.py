"""What is failing at many sites, grouped by what they share: the findings behind shared incidents. Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace

from netwatch.causes import PROVINCE, Group, Tag, Units, explain
from netwatch.core._mutes import in_maintenance
from netwatch.core._world import World
from netwatch.correlate import POWER_METRICS, Finding, line_checks, place
from netwatch.memory import Memory
from netwatch.model import Audience, Belief, Cause, Site, Subject

__all__ = ["findings_of"]

WINDOW_SECONDS = {"dark": 120.0, "power": 240.0, "quality": 900.0}  # failures further apart have nothing to do with each other
DRAINED_METRICS = frozenset({"ups_runtime_seconds", "ups_charge_ratio"})
MOST_NAMES = 12


def findings_of(world: World) -> Iterator[Finding]:
    """Every shared cause as it stands; each failing line, UPS and lossy line is in one of them."""
    powerless = yield from _of_power(world, {site: told for site in world.raised if (told := _of_battery(world, site))})
    dark = {check: at for check, at in world.down.items() if check not in powerless}
    yield from _of_lines(world, dark)
    yield from _of_quality(world)


# --- power


def _of_battery(world: World, site: str) -> tuple[Finding, ...]:
    """What a site's UPS says of power. On battery says it all; little charge while mains charges it is nobody's call."""
    told = tuple(one for one in world.raised[site] if one.symptom == "power")
    on_battery = tuple(one for one in told if one.facts["metric"] == "ups_on_battery")
    if on_battery or not _has_mains(world, site):
        return on_battery or told
    return tuple(one for one in told if one.facts["metric"] not in DRAINED_METRICS)


def _of_power(world: World, power: Mapping[str, tuple[Finding, ...]]) -> Generator[Finding, None, frozenset[str]]:
    """Sites on battery by their feeder, with what went dark since; returns the lines that are explained by it."""
    explained: set[str] = set()
    began = {site: min(one.began_at for one in told) for site, told in power.items()}
    feeders = {tag: {site: (site,) for site in units} for tag, units in world.bearers.items() if tag[0] == "feeder"}
    joined = _dark_at_once(world, began, feeders)
    for group in explain(
        began | joined, feeders, lambda site: _has_mains(world, site), lambda site: site, window_seconds=WINDOW_SECONDS["power"]
    ):
        if group.tag is None and group.parts[0] not in power:
            continue  # dark on a feeder that did not fail: its line, most likely
        sites = group.parts
        lines = [check for site in sites for check in _lines(world, site) if check in world.down]
        explained.update(lines)
        yield _power_finding(world, group, sites, lines, [one for site in sites for one in power.get(site, ())])
    return frozenset(explained)


def _dark_at_once(world: World, began: Mapping[str, float], feeders: Mapping[Tag, Units]) -> dict[str, float]:
    """Sites without a UPS that went dark when others of their feeder went to battery."""
    joined = {}
    for units in feeders.values():
        times = [began[site] for site in units if site in began]
        for site in units:
            lines = _lines(world, site)
            if site in began or not times or not lines or not all(line in world.down for line in lines) or _ups_check(world, site):
                continue
            at = max(world.down[line] for line in lines)
            if min(abs(at - time) for time in times) <= WINDOW_SECONDS["power"]:
                joined[site] = at
    return joined


def _power_finding(world: World, group: Group, sites: tuple[str, ...], lines: list[str], raised: list[Finding]) -> Finding:
    members = (*(Subject(line) for line in lines), *(member for one in raised for member in one.members))
    dark = tuple(site for site in sites if _is_dark(world, site))
    facts: dict[str, str] = {"likely": "power"}
    if group.tag is None:
        main = max(raised, key=lambda one: one.severity == "critical")
        if not dark:
            return replace(main, members=tuple(dict.fromkeys(members)), hidden=0)
        return _dark_site(world, sites[0], lines, facts | _battery(main), members, main.began_at)
    return Finding(
        key=_key(group.tag),
        cause=Cause("feeder", group.tag[1]),
        sites=sites,
        severity="critical",
        audience="page",
        members=tuple(dict.fromkeys(members)),
        hidden=sum(world.hidden.get(site, 0) for site in dark),
        facts=_shared_facts(world, group, sites) | facts | {"dark": str(len(dark))},
        confidence=group.confidence,
        symptom="power",
        began_at=min(one.began_at for one in raised),
    )


def _battery(main: Finding) -> dict[str, str]:
    return {f"ups_{name}": main.facts[name] for name in ("metric", "value") if name in main.facts}


def _ups_check(world: World, site: str) -> str:
    """The check that reads a site's UPS, if there is one."""
    for check in world.checks_by_site.get(site, ()):
        if any(rule.metric in POWER_METRICS for rule in check.rules):
            return check.id
    return ""


def _has_mains(world: World, site: str) -> bool:
    """Whether a site is known to have power: its UPS says so, or without one, it answers."""
    check = _ups_check(world, site)
    if not check:
        lines = _lines(world, site)
        return any(_stands(world, line) for line in lines)
    memory = world.memories.get(check, Memory())
    rules = {rule.name for rule in world.inventory.checks[check].rules if rule.metric == "ups_on_battery"}
    return any(key[0] in rules and subject.belief is Belief.OK for key, subject in memory.subjects.items())


# --- lines that are down


def _of_lines(world: World, dark: Mapping[str, float]) -> Iterator[Finding]:
    wall = _wall(world)
    apart = {check for check in dark if in_maintenance(world, *_place_of(check), wall)} if wall is not None else set()
    together = {check: at for check, at in dark.items() if check not in apart}
    for group in explain(
        together, world.bearers, lambda line: _stands(world, line), lambda line: _place_of(line)[0], window_seconds=WINDOW_SECONDS["dark"]
    ):
        if group.tag is None:
            yield _own_finding(world, list(group.parts), dark)
        else:
            yield _line_finding(world, group, dark)
    by_site: dict[str, list[str]] = {}
    for check in sorted(apart):
        by_site.setdefault(_place_of(check)[0], []).append(check)
    for lines in by_site.values():
        yield _own_finding(world, lines, dark)


def _line_finding(world: World, group: Group, dark: Mapping[str, float]) -> Finding:
    tag = group.tag or PROVINCE
    touched = tuple(dict.fromkeys(_place_of(line)[0] for line in group.parts))
    lost = tuple(site for site in touched if _is_dark(world, site))
    severity, audience = ("critical", _audience(world, group.parts)) if lost else ("warning", _audience(world, group.parts))
    return Finding(
        key=_key(tag),
        cause=Cause("carrier" if tag[0] == "carrier" else "feeder" if tag[0] == "feeder" else "tag", _cause_name(tag)),
        sites=lost or touched,
        severity=severity,  # type: ignore[arg-type]  # one of the two words above
        audience=audience,
        members=tuple(Subject(line) for line in group.parts),
        hidden=sum(world.hidden.get(site, 0) for site in lost),
        facts=_shared_facts(world, group, lost or touched),
        degraded=tuple(site for site in touched if site not in lost) if lost else (),
        confidence=group.confidence,
        symptom="dark",
        began_at=min(dark[line] for line in group.parts),
    )


def _own_finding(world: World, lines: list[str], dark: Mapping[str, float]) -> Finding:
    """Of one site: the whole of it, or one of its lines."""
    site = _place_of(lines[0])[0]
    began_at = min(dark[line] for line in lines)
    members = tuple(Subject(line) for line in lines)
    if _is_dark(world, site):
        return _dark_site(world, site, lines, _likely(world, site), members, began_at)
    check = world.inventory.checks[lines[0]]
    name = f"{site}/{check.target}"
    answers = world.memories[check.id].answers
    other = next((line for line in world.inventory.sites[site].lines.values() if line.id != check.target), None)
    facts = {**place(world.inventory.sites[site], check), "code_word": answers.code, "detail": answers.detail}
    if other is not None:
        facts["other_line"] = other.label or other.id
    return Finding(
        key=f"netwatch/{name}",
        cause=Cause("line", name),
        sites=(site,),
        severity="warning",
        audience=_audience(world, lines),
        members=members,
        facts=facts,
        symptom="dark",
        began_at=began_at,
    )


def _dark_site(
    world: World, site: str, lines: list[str], facts: Mapping[str, str], members: tuple[Subject, ...], began_at: float
) -> Finding:
    check = world.inventory.checks[lines[0]]
    answers = world.memories[check.id].answers
    told = {**place(world.inventory.sites[site], check), "code_word": answers.code, "detail": answers.detail, **facts}
    hidden = world.hidden.get(site, 0)
    return Finding(
        key=f"netwatch/{site}",
        cause=Cause("site", site),
        sites=(site,),
        severity="critical",
        audience=_audience(world, lines),
        members=tuple(dict.fromkeys(members)),
        hidden=hidden,
        facts=told | ({"hidden": str(hidden)} if hidden else {}),
        confidence=0.9 if facts.get("likely") else 0.8,
        symptom="power" if facts.get("likely") == "power" else "dark",
        began_at=began_at,
    )


def _likely(world: World, site: str) -> dict[str, str]:
    """Power or line, where a UPS can tell; and who of the neighbours is well."""
    facts = {}
    if _ups_check(world, site) and _has_mains(world, site):
        facts["likely"] = "line"
    mates = {
        other
        for tag, units in world.bearers.items()
        if tag[0] not in {"carrier", PROVINCE[0]} and any(_place_of(line)[0] == site for parts in units.values() for line in parts)
        for parts in units.values()
        for other in (_place_of(line)[0] for line in parts if _stands(world, line))
        if other != site
    }
    if mates:
        facts["neighbours"] = ", ".join(world.inventory.sites[mate].name for mate in sorted(mates)[:3])
    return facts


# --- loss and delay on many lines


def _of_quality(world: World) -> Iterator[Finding]:
    by_metric: dict[str, dict[str, Finding]] = {}
    for found in world.raised.values():
        for one in found:
            if one.symptom == "quality":
                by_metric.setdefault(one.facts["metric"], {})[one.members[0].check] = one
    for metric, raised in by_metric.items():
        began = {check: one.began_at for check, one in raised.items()}
        for group in explain(
            began,
            world.bearers,
            lambda line: _stands(world, line),
            lambda line: _place_of(line)[0],
            window_seconds=WINDOW_SECONDS["quality"],
        ):
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
        key=f"{_key(tag)}/{metric}",
        cause=Cause("carrier" if tag[0] == "carrier" else "feeder" if tag[0] == "feeder" else "tag", _cause_name(tag)),
        sites=sites,
        severity=worst.severity,
        audience="page",
        members=tuple(member for one in raised for member in one.members),
        facts=_shared_facts(world, group, sites) | told,
        confidence=group.confidence,
        symptom="quality",
        began_at=min(one.began_at for one in raised),
    )


# --- what all of them say


def _key(tag: Tag) -> str:
    return f"netwatch/{tag[0]}/{tag[1]}"


def _cause_name(tag: Tag) -> str:
    return tag[1] if tag[0] in {"carrier", "feeder"} else "=".join(tag)


def _shared_facts(world: World, group: Group, sites: tuple[str, ...]) -> dict[str, str]:
    """Reasons that need no language: how many of how many, and of which places."""
    tag = group.tag or PROVINCE
    places: list[Site] = [world.inventory.sites[site] for site in sites]
    facts = {
        "tag": tag[0],
        "place": tag[1],
        "place_name": _place_name(world, tag, sites),
        "failed": str(group.failed),
        "standing": str(group.standing),
        "outside": str(len(world.down.keys() - set(group.parts))),
        "names": ", ".join(place.name for place in places[:MOST_NAMES]),
    }
    carriers = {(line.carrier, line.hotline) for place in places for line in place.lines.values() if line.role == "primary"}
    if len(carriers) == 1:
        facts |= dict(zip(("carrier", "hotline"), carriers.pop(), strict=True))
    return {name: text for name, text in facts.items() if text}


def _place_name(world: World, tag: Tag, sites: tuple[str, ...]) -> str:
    """What people call it, where the inventory has a name for it: a ring by the commune it is named for, a carrier as written."""
    if tag[0] == "carrier":
        spelt = (
            line.carrier for site in sites for line in world.inventory.sites[site].lines.values() if line.tags.get("carrier") == tag[1]
        )
        return next(spelt, tag[1])
    name, sites_named = tag[1], world.inventory.sites
    held = max((slug for slug in sites_named if f"-{slug}-" in f"-{name}-"), key=len, default="")
    return name.replace(held, f" {sites_named[held].name} ").replace(" -", " ").replace("- ", " ").strip() if held else name


def _audience(world: World, lines: list[str] | tuple[str, ...]) -> Audience:
    told: set[Audience] = {world.inventory.checks[line].audience for line in lines}
    return "page" if "page" in told else "digest"


def _lines(world: World, site: str) -> tuple[str, ...]:
    place = world.inventory.sites.get(site)
    return line_checks(world.inventory, place) if place is not None else ()


def _is_dark(world: World, site: str) -> bool:
    """Whether no line of a site answers."""
    lines = _lines(world, site)
    return bool(lines) and all(line in world.down or _failed(world, line) for line in lines)


def _failed(world: World, line: str) -> bool:
    memory = world.memories.get(line)
    return memory is not None and memory.answers.belief is Belief.CRIT and memory.answers.hard


def _stands(world: World, line: str) -> bool:
    """Whether a line is known to work, and nothing says otherwise just now."""
    memory = world.memories.get(line)
    return memory is not None and memory.answers.belief is Belief.OK and memory.answers.candidate is None


def _place_of(check: str) -> tuple[str, str]:
    site, target, _ = check.split("/", 2)
    return site, target


def _wall(world: World) -> float | None:
    """The time of the last tick, if maintenance is to be looked for at all."""
    return world.tick_wall if world.windows or world.inventory.maintenance else None
