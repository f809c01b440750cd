"""From one GET of a plan to samples, with what is remembered of the GET before. Pure: time comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from probes import Sample
from probes._snmp_counters import Clock, Passed, passed, rate
from probes._snmp_plan import HR_SYSTEM_UPTIME, IF_TABLE_LAST_CHANGE, SNMP_ENGINE_BOOTS, SYS_UP_TIME, Plan, Reader
from probes._snmp_session import Value
from probes._snmp_text import clean
from probes._snmp_values import bits, combine, measure

__all__ = ["Memory", "clock_of", "clock_samples", "facts_of", "gap_between", "outdated", "samples_of"]


@dataclass(frozen=True, slots=True)
class Memory:
    """The GET before this one. `plan` says what its OIDs meant."""

    clock: Clock | None = None
    plan: Plan | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


def clock_of(values: Mapping[str, Value], at: float) -> Clock:
    return Clock(at, _whole(values.get(SYS_UP_TIME)), _whole(values.get(HR_SYSTEM_UPTIME)), _whole(values.get(SNMP_ENGINE_BOOTS)))


def outdated(plan: Plan, values: Mapping[str, Value], memory: Memory, clock: Clock, age_limit_seconds: float) -> str:
    """Why the plan must be learned anew: `changed` (its instances may mean something else), `aged`, or "" for not at all."""
    gap = gap_between(memory, clock)
    if (gap is not None and gap.restarted) or values.get(IF_TABLE_LAST_CHANGE) != plan.last_change:
        return "changed"
    if IF_TABLE_LAST_CHANGE not in plan.clock and any(values.get(port.name_oid) != port.spoken for port in plan.ports):
        return "changed"
    if clock.at - plan.learned_at > age_limit_seconds or ((missing := _missing(plan, values)) and missing != memory.missing):
        return "aged"
    return ""


def _missing(plan: Plan, values: Mapping[str, Value]) -> frozenset[str]:
    return frozenset() if len(values) == len(plan.oids) else frozenset(plan.oids) - values.keys()


def clock_samples(clock: Clock, gap: Passed | None) -> list[Sample]:
    # No agent is older than its host: a host's time that says so has wrapped, or is not what it is called.
    ticks = max((ticks for ticks in (clock.host_ticks, clock.ticks) if ticks is not None), default=None)
    samples = [] if ticks is None else [Sample("uptime_seconds", (ticks / 100,))]
    if gap is not None:
        samples.append(Sample("device_reboots", (float(gap.rebooted),)))
    return samples


def samples_of(plan: Plan, values: Mapping[str, Value], memory: Memory, clock: Clock) -> tuple[list[Sample], Memory]:
    """All samples of a GET and the memory for the next. No rates at the first, after a restart, and of other instances."""
    gap = gap_between(memory, clock)
    samples = clock_samples(clock, gap)
    comparable = gap is not None and not gap.restarted and memory.plan is not None and plan.same_instances(memory.plan)
    before = memory.values if comparable else {}
    seconds = gap.seconds if gap is not None else 0.0
    for port in plan.ports:
        port.read(values, before, seconds, samples)
    for reader in plan.readers:
        if reader.source.rate:
            samples += _read_rates(reader, values, before, seconds)
        elif reader.source.bits:
            samples += _read_bits(reader, values)
        else:
            samples += _read_values(reader, values)
    return samples, Memory(clock, plan, values, _missing(plan, values))


def _read_rates(reader: Reader, values: Mapping[str, Value], before: Mapping[str, Value], seconds: float) -> list[Sample]:
    width: Literal[32, 64] = 64 if reader.source.rate == 64 else 32
    growths = []
    for row in reader.rows:
        now, earlier = values.get(row.value), before.get(row.value)
        if isinstance(now, int) and isinstance(earlier, int):
            growth = rate(earlier, now, seconds, width)
            if growth is not None:
                growths.append(Sample(reader.metric, (growth * reader.source.scale,), row.instance))
    return _combined(reader, growths)


def _read_values(reader: Reader, values: Mapping[str, Value]) -> list[Sample]:
    found = [
        Sample(reader.metric, (value,), row.instance) for row in reader.rows if (value := measure(reader.source, row, values)) is not None
    ]
    return _combined(reader, found)


def _combined(reader: Reader, samples: list[Sample]) -> list[Sample]:
    if not reader.source.combine or not samples:
        return samples
    return [Sample(reader.metric, (combine(reader.source.combine, [sample.values[0] for sample in samples]),))]


def _read_bits(reader: Reader, values: Mapping[str, Value]) -> list[Sample]:
    told: dict[str, float] = {}
    for row in reader.rows:
        for name, bit in bits(reader.source, values.get(row.value)).items():
            told[name] = max(bit, told.get(name, 0.0))
    return [Sample(reader.metric, (bit,), name) for name, bit in told.items()]


def facts_of(plan: Plan, values: Mapping[str, Value]) -> Mapping[str, str]:
    """What was learned, and the texts that change, such as a printer's display; lines that are empty are left out."""
    if not plan.live:
        return plan.facts
    return plan.facts | {
        name: clean(" / ".join(text for oid in oids if (text := clean(values.get(oid))))) for name, oids in plan.live.items()
    }


def _whole(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def gap_between(memory: Memory, clock: Clock) -> Passed | None:
    return None if memory.clock is None else passed(memory.clock, clock)
