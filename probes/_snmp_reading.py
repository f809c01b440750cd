"""From one GET of a plan to samples, with what is remembered of the GET before. Pure: time comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from probes import Sample
from probes._snmp_counters import Clock, Counter, Passed, passed, rate
from probes._snmp_plan import HR_SYSTEM_UPTIME, IF_TABLE_LAST_CHANGE, SNMP_ENGINE_BOOTS, SYS_UP_TIME, Plan, Port, Reader
from probes._snmp_session import Value
from probes._snmp_text import clean
from probes._snmp_values import bits, combine, measure

__all__ = ["Memory", "clock_of", "clock_samples", "live_facts", "outdated", "samples_of"]

UP, NOT_UP = 1, frozenset({2, 6, 7})  # ifOperStatus; testing, unknown and dormant say neither
COUNTED: tuple[tuple[str, str, Literal[32, 64], bool], ...] = (
    ("receive", "interface_receive_bytes_per_second", 64, True),
    ("receive_32", "interface_receive_bytes_per_second", 32, True),
    ("transmit", "interface_transmit_bytes_per_second", 64, True),
    ("transmit_32", "interface_transmit_bytes_per_second", 32, True),
    ("receive_errors", "interface_receive_errors_per_second", 32, False),
    ("transmit_errors", "interface_transmit_errors_per_second", 32, False),
    ("receive_discards", "interface_receive_discards_per_second", 32, False),
    ("transmit_discards", "interface_transmit_discards_per_second", 32, False),
)


@dataclass(slots=True)
class Memory:
    """The GET before this one."""

    clock: Clock | None = None
    counters: dict[tuple[str, str], Counter] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


def clock_of(values: Mapping[str, Value], at: float) -> Clock:
    return Clock(at, _whole(values.get(SYS_UP_TIME)), _whole(values.get(HR_SYSTEM_UPTIME)), _whole(values.get(SNMP_ENGINE_BOOTS)))


def outdated(plan: Plan, values: Mapping[str, Value], memory: Memory, gap: Passed, age_limit_seconds: float, at: float) -> str:
    """Why the plan must be learned anew: `changed` (its instances may mean something else), `aged`, or "" for not at all."""
    if gap.restarted or values.get(IF_TABLE_LAST_CHANGE) != plan.last_change:
        return "changed"
    if IF_TABLE_LAST_CHANGE not in plan.clock and any(values.get(port.name_oid) != port.spoken for port in plan.ports):
        return "changed"
    if at - plan.learned_at > age_limit_seconds or ((missing := _missing(plan, values)) and missing != memory.missing):
        return "aged"
    return ""


def _missing(plan: Plan, values: Mapping[str, Value]) -> frozenset[str]:
    return frozenset() if len(values) == len(plan.oids) else frozenset(plan.oids) - values.keys()


def clock_samples(clock: Clock, gap: Passed | None) -> list[Sample]:
    ticks = clock.host_ticks if clock.host_ticks is not None else clock.ticks
    samples = [] if ticks is None else [Sample("uptime_seconds", (ticks / 100,))]
    if gap is not None:
        samples.append(Sample("device_reboots", (float(gap.rebooted),)))
    return samples


def samples_of(plan: Plan, values: Mapping[str, Value], memory: Memory, gap: Passed | None, at: float) -> tuple[list[Sample], Memory]:
    """All samples of a GET and the memory for the next. `gap` is None at the first: then there are no rates."""
    counters: dict[tuple[str, str], Counter] = {}
    clock = clock_of(values, at)
    samples = clock_samples(clock, gap)
    for port in plan.ports:
        _read_port(port, values, memory, gap, samples, counters)
    for reader in plan.readers:
        if reader.source.rate:
            _read_rate(reader, values, memory, gap, samples, counters)
        elif reader.source.bits:
            samples += _read_bits(reader, values)
        else:
            samples += _read_values(reader, values)
    return samples, Memory(clock, counters, _missing(plan, values))


def _read_port(
    port: Port,
    values: Mapping[str, Value],
    memory: Memory,
    gap: Passed | None,
    samples: list[Sample],
    counters: dict[tuple[str, str], Counter],
) -> None:
    oids = port.oids
    name = port.name
    if "oper" not in oids or ("admin" in oids and values.get(oids["admin"]) != UP):
        return
    status = values.get(oids["oper"])
    if status == UP or status in NOT_UP:
        state = (1.0 if status == UP else 0.0,)
        samples.append(Sample("interface_up", state, name))
        if port.uplink:
            samples.append(Sample("interface_uplink_up", state, name))
    speed = _speed(oids, values)
    if speed:
        samples.append(Sample("interface_speed_bytes_per_second", (speed,), name))
    discontinuity = _whole(values.get(oids["discontinuity"])) if "discontinuity" in oids else None
    for form, metric, width, octets in COUNTED:
        oid = oids.get(form)
        if oid is None or (value := _whole(values.get(oid))) is None:
            continue
        key = (metric, name)
        now = counters[key] = Counter(value, port.index, discontinuity, speed if octets else 0.0)
        growth = rate(memory.counters.get(key), now, gap, width) if gap is not None else None
        if growth is not None:
            samples.append(Sample(metric, (growth,), name))


def _speed(oids: Mapping[str, str], values: Mapping[str, Value]) -> float:
    """Bytes a second; 0 where the port has no such notion. ifSpeed sticks at 2^32-1 (RFC 2863)."""
    if "speed" in oids:
        return (_whole(values.get(oids["speed"])) or 0) * 125_000.0
    slow = _whole(values.get(oids["speed_32"])) if "speed_32" in oids else None
    return slow / 8 if slow and 0 < slow < 2**32 - 1 else 0.0


def _read_rate(
    reader: Reader,
    values: Mapping[str, Value],
    memory: Memory,
    gap: Passed | None,
    samples: list[Sample],
    counters: dict[tuple[str, str], Counter],
) -> None:
    growths = []
    for row in reader.rows:
        value = _whole(values.get(row.value))
        if value is None:
            continue
        key = (reader.metric, row.instance)
        now = counters[key] = Counter(value, row.index)
        width: Literal[32, 64] = 64 if reader.source.rate == 64 else 32
        growth = rate(memory.counters.get(key), now, gap, width) if gap is not None else None
        if growth is not None:
            growths.append(Sample(reader.metric, (growth * reader.source.scale,), row.instance))
    samples += _combined(reader, growths)


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


def live_facts(plan: Plan, values: Mapping[str, Value]) -> dict[str, str]:
    """Texts that change, such as a printer's display; lines that are empty are left out."""
    return {name: clean(" / ".join(text for oid in oids if (text := clean(values.get(oid))))) for name, oids in plan.live.items()}


def _whole(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def gap_between(memory: Memory, clock: Clock) -> Passed | None:
    return None if memory.clock is None else passed(memory.clock, clock)
