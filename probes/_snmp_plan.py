"""What to ask one device for, instance by instance: learned by walking once, then asked by GET at every run."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from probes._snmp_ports import IF_ALIAS, IF_DESCR, IF_NAME, IF_TYPE, Port
from probes._snmp_profile import Fact, Interfaces, Profile, Quantity, Source
from probes._snmp_session import Session, Value
from probes._snmp_text import clean
from probes._snmp_values import Row, measure

__all__ = ["Learning", "Plan", "Reader", "learn"]

MOST_ROWS = 1000
ENTERPRISES = "1.3.6.1.4.1."

# SNMPv2-MIB, HOST-RESOURCES-MIB, SNMP-FRAMEWORK-MIB, IF-MIB
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
HR_SYSTEM_UPTIME = "1.3.6.1.2.1.25.1.1.0"
SNMP_ENGINE_BOOTS = "1.3.6.1.6.3.10.2.1.2.0"
IF_TABLE_LAST_CHANGE = "1.3.6.1.2.1.31.1.5.0"
CLOCK = (SYS_UP_TIME, HR_SYSTEM_UPTIME, SNMP_ENGINE_BOOTS, IF_TABLE_LAST_CHANGE)
SYSTEM = {
    "sysDescr": "1.3.6.1.2.1.1.1.0",
    "sysObjectID": "1.3.6.1.2.1.1.2.0",
    "sysName": "1.3.6.1.2.1.1.5.0",
    "sysLocation": "1.3.6.1.2.1.1.6.0",
}


@dataclass(slots=True)
class Reader:
    """A metric by the source that was chosen for this device."""

    metric: str
    source: Source
    rows: list[Row]


@dataclass(slots=True)
class Plan:
    profile: Profile
    learned_at: float
    facts: dict[str, str]
    readers: list[Reader] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    clock: tuple[str, ...] = ()
    live: dict[str, list[str]] = field(default_factory=dict)
    flaws: tuple[str, ...] = ()
    last_change: Value = None
    oids: tuple[str, ...] = ()

    def confirm(self, values: Mapping[str, Value]) -> None:
        """Takes out what a first GET did not answer."""
        for port in self.ports:
            port.confirm(values)
        for reader in self.readers:
            reader.rows = [row for row in reader.rows if row.value in values]
        self.live = {name: [oid for oid in oids if oid in values] for name, oids in self.live.items()}
        self.collect()

    def same_instances(self, other: Plan) -> bool:
        """Whether every OID still means what it meant there: then readings of the two can be compared."""
        return self is other or self._names() == other._names()

    def _names(self) -> list[tuple[str, str]]:
        return [(port.name, port.index) for port in self.ports] + [(row.instance, row.index) for one in self.readers for row in one.rows]

    def collect(self) -> None:
        oids: dict[str, None] = dict.fromkeys(self.clock)
        for port in self.ports:
            oids |= dict.fromkeys(port.oids.values())
            if IF_TABLE_LAST_CHANGE not in self.clock:
                # An agent that does not tell when its ports were renumbered: their names are asked each time.
                oids[port.name_oid] = None
        for reader in self.readers:
            for row in reader.rows:
                oids |= dict.fromkeys((row.value, *row.add, *row.divide_by, *row.point))
        for lines in self.live.values():
            oids |= dict.fromkeys(lines)
        self.oids = tuple(oids)


@dataclass(slots=True)
class Learning:
    """What has been read so far: a slow device on a lossy line may need several runs to be learned."""

    last_change: Value
    scalars: dict[str, Value] | None = None
    columns: dict[str, dict[str, Value]] = field(default_factory=dict)
    flaws: dict[str, None] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return len(self.columns) + (self.scalars is not None)


@dataclass(slots=True)
class _Walker:
    session: Session
    learning: Learning

    async def column(self, oid: str) -> dict[str, Value]:
        """Walks each column once, and remembers what was wrong with it."""
        columns = self.learning.columns
        if oid not in columns:
            if not await self._has_branch_of(oid):
                return {}
            walk = await self.session.walk(oid, MOST_ROWS)
            if walk.flaw:
                self.learning.flaws[f"{walk.flaw} {oid}"] = None
            columns[oid] = walk.rows
        return columns[oid]

    async def _has_branch_of(self, oid: str) -> bool:
        """Whether the agent has anything of that maker: most have one or two, and a profile knows a dozen."""
        if not oid.startswith(ENTERPRISES):
            return True
        branch = ".".join(oid.split(".")[: ENTERPRISES.count(".") + 1])
        if branch not in self.learning.columns:
            self.learning.columns[branch] = (await self.session.walk(branch, 1)).rows
        return bool(self.learning.columns[branch])

    async def scalars(self, oids: list[str]) -> dict[str, Value]:
        if self.learning.scalars is None:
            self.learning.scalars = await self.session.get(oids)
        return self.learning.scalars


async def learn(session: Session, profile: Profile, identity: Mapping[str, Value], now: float, learning: Learning) -> Plan:
    """Finds out what the device has. `identity` is the answer to SYSTEM and CLOCK.

    Raises ProbeFailed as `walk` does; what was read until then stays in `learning` for the next attempt.
    """
    walker = _Walker(session, learning)
    facts = {"profile": profile.name} | system_facts(identity)
    plan = Plan(profile, now, facts, clock=tuple(oid for oid in CLOCK if identity.get(oid) is not None))
    plan.last_change = identity.get(IF_TABLE_LAST_CHANGE)
    # With one that is sure to be there, an answer is empty only for an error, not for want of all the others.
    scalars = await walker.scalars([*plan.clock[:1], *_scalars(profile)])
    if profile.interfaces is not None:
        plan.ports = await _ports(walker, profile.interfaces)
        if not session.counter64:
            for port in plan.ports:
                port.narrow()
        facts |= {f"alias {port.name}": port.alias for port in plan.ports if port.alias}
    for metric, quantity in profile.metrics.items():
        reader = await _choose(walker, metric, quantity, scalars)
        if reader is not None:
            plan.readers.append(reader)
    for name, fact in profile.facts.items():
        await _learn_fact(walker, plan, name, fact, scalars)
    plan.flaws = tuple(learning.flaws)
    plan.collect()
    return plan


def system_facts(identity: Mapping[str, Value]) -> dict[str, str]:
    return {name: text for name, oid in SYSTEM.items() if (text := clean(identity.get(oid)))}


def _scalars(profile: Profile) -> list[str]:
    oids: dict[str, None] = {}
    for quantity in profile.metrics.values():
        for source in quantity.source:
            if source.scalar:
                oids |= dict.fromkeys((source.scalar, *source.add, *source.divide_by))
            oids |= dict.fromkeys(source.only_if)
    for fact in profile.facts.values():
        oids |= dict.fromkeys(oid for oid in fact.oid if not fact.is_column(oid))
    return list(oids)


async def _ports(walker: _Walker, wanted: Interfaces) -> list[Port]:
    descriptions = await walker.column(IF_DESCR)
    if not descriptions:
        return []
    types, names, aliases = await walker.column(IF_TYPE), await walker.column(IF_NAME), await walker.column(IF_ALIAS)
    ports: dict[str, Port] = {}
    for index, description in descriptions.items():
        if types and types.get(index) not in wanted.types:
            continue
        named = names if clean(names.get(index)) else descriptions
        name = clean(named.get(index)) or f"#{index}"
        if _fits(wanted.skip, name) or len(ports) >= wanted.most:
            continue
        if name in ports:
            name = f"{name} #{index}"
        alias = clean(aliases.get(index))
        name_oid = f"{IF_NAME if named is names else IF_DESCR}.{index}"
        spoken = names[index] if named is names else description
        ports[name] = Port(name, alias, index, _fits(wanted.uplinks, name, alias), name_oid, spoken)
    return list(ports.values())


def _fits(patterns: Iterable[str], *texts: str) -> bool:
    return any(fnmatch.fnmatchcase(text.casefold(), pattern.casefold()) for pattern in patterns for text in texts)


async def _choose(walker: _Walker, metric: str, quantity: Quantity, scalars: Mapping[str, Value]) -> Reader | None:
    """The first source that says something now; else the first that is there at all."""
    silent: Reader | None = None
    for source in quantity.source:
        if any(_plain(scalars.get(oid)) not in {str(one) for one in accepted} for oid, accepted in source.only_if.items()):
            continue
        if source.column:
            rows = await _rows(walker, source)
            if rows:
                return Reader(metric, source, rows)
        elif source.scalar in scalars:
            row = Row("", "0", source.scalar, source.add, source.divide_by)
            reader = Reader(metric, source, [row])
            if source.bits or source.rate or measure(source, row, scalars) is not None:
                return reader
            silent = silent or reader
    return silent


async def _rows(walker: _Walker, source: Source) -> list[Row]:
    column = await walker.column(source.column)
    if not column:
        return []
    kept = await _filtered(walker, column, source.keep_if, wanted=True)
    kept = await _filtered(walker, kept, source.skip_if, wanted=False)
    labels = [await walker.column(oid) for oid in source.instance] if kept else []
    rows: dict[str, Row] = {}
    for index in kept:
        label = next((text for texts in labels if (text := clean(texts.get(index)))), index)
        if label in rows:
            label = f"{label} #{index}"
        point = (source.si_scale, source.digits) if source.si_scale and source.digits else ()
        more = (_at(oids, index) for oids in (source.add, source.divide_by, point))
        rows[label] = Row(label, index, f"{source.column}.{index}", *more)
    return list(rows.values())


async def _filtered(walker: _Walker, rows: Iterable[str], filters: Mapping[str, tuple[int | str, ...]], *, wanted: bool) -> dict[str, None]:
    kept = dict.fromkeys(rows)
    for oid, accepted in filters.items() if kept else ():
        answers, texts = await walker.column(oid), {str(one) for one in accepted}
        kept = {index: None for index in kept if (index in answers and _plain(answers[index]) in texts) is wanted}
    return kept


def _at(oids: Sequence[str], index: str) -> tuple[str, ...]:
    return tuple(f"{oid}.{index}" for oid in oids)


def _plain(value: Value) -> str:
    return clean(value) if isinstance(value, bytes) else str(value)


async def _learn_fact(walker: _Walker, plan: Plan, name: str, fact: Fact, scalars: Mapping[str, Value]) -> None:
    for oid in fact.oid:
        answered: dict[str, Value] = {oid: scalars.get(oid)}
        if fact.is_column(oid):
            column = await walker.column(oid)
            answered = {f"{oid}.{index}": column[index] for index in await _filtered(walker, column, fact.keep_if, wanted=True)}
        lines = [text for value in answered.values() if (text := clean(value))]
        if fact.live and any(value is not None for value in answered.values()):
            plan.live[name] = list(answered)[:16]
            return
        if lines:
            plan.facts[name] = clean(" / ".join(dict.fromkeys(lines)))
            return
