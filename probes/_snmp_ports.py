"""One row of IF-MIB (RFC 2863): what was learned of it, and what a GET says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from probes import Sample
from probes._snmp_counters import rate
from probes._snmp_session import Value

__all__ = ["IF_ALIAS", "IF_DESCR", "IF_NAME", "IF_TYPE", "Port"]

IF_DESCR, IF_TYPE, IF_NAME, IF_ALIAS = "1.3.6.1.2.1.2.2.1.2", "1.3.6.1.2.1.2.2.1.3", "1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.31.1.1.1.18"
COLUMNS = {
    "admin": "1.3.6.1.2.1.2.2.1.7",
    "oper": "1.3.6.1.2.1.2.2.1.8",
    "receive": "1.3.6.1.2.1.31.1.1.1.6",
    "transmit": "1.3.6.1.2.1.31.1.1.1.10",
    "receive_errors": "1.3.6.1.2.1.2.2.1.14",
    "transmit_errors": "1.3.6.1.2.1.2.2.1.20",
    "receive_discards": "1.3.6.1.2.1.2.2.1.13",
    "transmit_discards": "1.3.6.1.2.1.2.2.1.19",
    "speed": "1.3.6.1.2.1.31.1.1.1.15",
    "discontinuity": "1.3.6.1.2.1.31.1.1.1.19",
    "receive_32": "1.3.6.1.2.1.2.2.1.10",
    "transmit_32": "1.3.6.1.2.1.2.2.1.16",
    "speed_32": "1.3.6.1.2.1.2.2.1.5",
    "duplex": "1.3.6.1.2.1.10.7.2.1.19",  # dot3StatsDuplexStatus, EtherLike-MIB (RFC 3635)
}
PACKETS: Mapping[str, tuple[str, ...]] = {  # unicast, multicast, broadcast; asked of uplinks only: framing is counted by packet
    "interface_receive_packets_per_second": tuple(f"1.3.6.1.2.1.31.1.1.1.{column}" for column in (7, 8, 9)),
    "interface_transmit_packets_per_second": tuple(f"1.3.6.1.2.1.31.1.1.1.{column}" for column in (11, 12, 13)),
}
OLDER_FORMS = {"receive": "receive_32", "transmit": "transmit_32", "speed": "speed_32"}
COUNTED: tuple[tuple[str, str, Literal[32, 64], bool], ...] = (  # form, metric, bits, whether the speed is its ceiling
    ("receive", "interface_receive_bytes_per_second", 64, True),
    ("receive_32", "interface_receive_bytes_per_second", 32, True),
    ("transmit", "interface_transmit_bytes_per_second", 64, True),
    ("transmit_32", "interface_transmit_bytes_per_second", 32, True),
    ("receive_errors", "interface_receive_errors_per_second", 32, False),
    ("transmit_errors", "interface_transmit_errors_per_second", 32, False),
    ("receive_discards", "interface_receive_discards_per_second", 32, False),
    ("transmit_discards", "interface_transmit_discards_per_second", 32, False),
)
UP, NOT_UP = 1, frozenset({2, 6, 7})  # ifOperStatus; testing, unknown and dormant say neither
FASTEST_MEGABITS = 1_600_000  # the fastest Ethernet there is
DUPLEX = {2: 1.0, 3: 0.0}  # halfDuplex, fullDuplex; a port without link often says half


class Counting(NamedTuple):
    """A counter; `bounded` says that the port's speed is its ceiling, `still` is the sample of one that did not move."""

    oid: str
    metric: str
    bits: Literal[32, 64]
    bounded: bool
    still: Sample


@dataclass(slots=True)
class Port:
    """`oids` has only what the device answered; `spoken` is its name as the agent says it.

    Most of what a port says is what it said before: those samples are made once.
    """

    name: str
    alias: str
    index: str
    uplink: bool
    name_oid: str
    spoken: Value
    oids: dict[str, str] = field(default_factory=dict)
    _counted: list[Counting] = field(default_factory=list)
    _packets: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    _said: tuple[Value, ...] = ()
    _samples: list[Sample] = field(default_factory=list)
    _bytes_per_second: float = 0.0

    def __post_init__(self) -> None:
        self.oids = {form: f"{column}.{self.index}" for form, column in COLUMNS.items()}
        for metric, columns in PACKETS.items() if self.uplink else ():
            self.oids.update({f"{metric}/{kind}": f"{column}.{self.index}" for kind, column in enumerate(columns)})

    def narrow(self) -> None:
        """For a protocol without 64-bit counters: they need not be asked for."""
        self.oids = {form: oid for form, oid in self.oids.items() if form not in {"receive", "transmit"} and "/" not in form}

    def confirm(self, values: Mapping[str, Value]) -> None:
        """Keeps what was answered, and of two forms of an object the wider."""
        self.oids = {form: oid for form, oid in self.oids.items() if oid in values}
        for form, older in OLDER_FORMS.items():
            if form in self.oids:
                self.oids.pop(older, None)
        self._counted = [
            Counting(self.oids[form], metric, bits, bounded, Sample(metric, (0.0,), self.name))
            for form, metric, bits, bounded in COUNTED
            if form in self.oids
        ]
        self._packets = [
            (metric, oids)
            for metric, columns in PACKETS.items()
            if len(oids := tuple(oid for form, oid in self.oids.items() if form.startswith(f"{metric}/"))) == len(columns)
        ]

    def read(self, values: Mapping[str, Value], before: Mapping[str, Value], seconds: float, samples: list[Sample]) -> None:
        """Adds its samples; no rates where `before` is empty or has another ifCounterDiscontinuityTime."""
        get, earlier_get, oids = values.get, before.get, self.oids
        if "oper" not in oids:
            return
        speed_oid = oids.get("speed") or oids.get("speed_32", "")
        said = (get(oids["oper"]), get(oids["admin"]) if "admin" in oids else UP, get(speed_oid), get(oids.get("duplex", "")))
        if said != self._said:
            self._judge(*said)
        if said[1] != UP:
            return
        samples += self._samples
        apart = oids.get("discontinuity", "")
        if not before or get(apart) != earlier_get(apart):
            return
        ceiling = self._bytes_per_second
        if said[2] != earlier_get(speed_oid):
            ceiling = max(ceiling, self._speed(earlier_get(speed_oid)))
        for oid, metric, bits, bounded, still in self._counted:
            now, earlier = get(oid), earlier_get(oid)
            if type(now) is not int or type(earlier) is not int:
                continue
            if now == earlier and (bits == 64 or not bounded):
                samples.append(still)
            elif (growth := rate(earlier, now, seconds, bits, ceiling if bounded else 0.0)) is not None:
                samples.append(Sample(metric, (growth,), self.name))
        for metric, kinds in self._packets:
            grown = [_growth(earlier_get(oid), get(oid), seconds) for oid in kinds]
            if None not in grown:
                samples.append(Sample(metric, (sum(one for one in grown if one is not None),), self.name))

    def _judge(self, oper: Value, admin: Value, speed: Value, duplex: Value) -> None:
        self._said = (oper, admin, speed, duplex)
        self._samples = []
        self._bytes_per_second = self._speed(speed)
        if oper == UP or oper in NOT_UP:
            state = (1.0 if oper == UP else 0.0,)
            self._samples.append(Sample("interface_up", state, self.name))
            if self.uplink:
                self._samples.append(Sample("interface_uplink_up", state, self.name))
        if self._bytes_per_second:
            self._samples.append(Sample("interface_speed_bytes_per_second", (self._bytes_per_second,), self.name))
        if oper == UP and isinstance(duplex, int) and duplex in DUPLEX:
            self._samples.append(Sample("interface_half_duplex", (DUPLEX[duplex],), self.name))

    def _speed(self, said: Value) -> float:
        """Bytes a second; 0 where the port has no such notion. ifSpeed sticks at 2^32-1; some give ifHighSpeed in bits."""
        if not isinstance(said, int) or said <= 0:
            return 0.0
        if "speed" in self.oids:
            return said * 125_000.0 if said <= FASTEST_MEGABITS else said / 8
        return said / 8 if said < 2**32 - 1 else 0.0


def _growth(earlier: Value, now: Value, seconds: float) -> float | None:
    return rate(earlier, now, seconds, 64) if type(earlier) is int and type(now) is int else None
