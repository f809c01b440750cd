"""What faults leave behind: a line's and a device's state. Frozen and pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

__all__ = ["Counting", "DeviceState", "LineState", "Value"]

TONER_START_RATIO = 0.62
LICENCES_START_RATIO = 0.06
BATTERY_LOW_RATIO = 0.2
TRAFFIC_KEY = "{role}/{direction}"
Value: TypeAlias = float | str


class Counting(NamedTuple):
    """A counter that has moved steadily since a moment."""

    since: float
    before: float
    per_second: float

    def at(self, now: float) -> float:
        return self.before + (now - self.since) * self.per_second


NOTHING = Counting(0.0, 0.0, 0.0)
NO_OIDS: Mapping[str, Value] = MappingProxyType({})
NO_METRICS: Mapping[tuple[str, str], float] = MappingProxyType({})
NO_COUNTING: Mapping[str, Counting] = MappingProxyType({})
NOT_NEGOTIATED: Mapping[str, tuple[float, bool]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """A line now. Loss is one way; the jitter is the most that a packet is late, one way; rates count IP packets."""

    cut: bool = False
    loss_down_ratio: float = 0.0
    loss_up_ratio: float = 0.0
    round_trip_seconds: float = 0.0
    jitter_seconds: float = 0.0
    down_bits_per_second: float = 0.0
    up_bits_per_second: float = 0.0
    traffic_down_bits_per_second: float = 0.0  # other people's
    traffic_up_bits_per_second: float = 0.0

    def words(self, before: LineState) -> str:
        """How it differs from how it was: `loss_down_ratio=0.3`; empty when it does not."""
        changed = ((name, getattr(self, name)) for name in self.__slots__ if getattr(self, name) != getattr(before, name))
        return " ".join("cut" if name == "cut" else f"{name}={value:g}" for name, value in changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """A device now. Times are on the world's clock; before its start they are negative."""

    booted_at: float
    powered: bool = True
    back_at: float | None = None  # when a reboot ends
    battery_since: float | None = None
    battery_lasts_seconds: float = 1800.0
    battery_ratio: float = 1.0  # of a full charge, when the battery took over
    paper: bool = True
    registered: bool = True  # a room
    takes_calls: bool = True
    licences_ratio: float = LICENCES_START_RATIO  # of a Pexip manager: in use
    toner_ratio: float = TONER_START_RATIO
    ports_down: frozenset[str] = frozenset()
    services_dead: frozenset[str] = frozenset()  # names of checks that fail though the device is there
    negotiated: Mapping[str, tuple[float, bool]] = field(default_factory=lambda: NOT_NEGOTIATED)  # port: bits per second, full duplex
    errors: Mapping[str, Counting] = field(default_factory=lambda: NO_COUNTING)  # by port
    traffic: Mapping[str, Counting] = field(default_factory=lambda: NO_COUNTING)  # bytes, by TRAFFIC_KEY
    oids: Mapping[str, Value] = field(default_factory=lambda: NO_OIDS)
    metrics: Mapping[tuple[str, str], float] = field(default_factory=lambda: NO_METRICS)  # (metric, instance): value, for simulations

    @property
    def on_battery(self) -> bool:
        return self.battery_since is not None

    def words(self) -> str:
        """What is wrong with it; empty when nothing is."""
        wrong = {
            "off": not self.powered,
            "battery": self.on_battery,
            "paper out": not self.paper,
            f"toner {self.toner_ratio:.0%}": self.toner_ratio != TONER_START_RATIO,
            "not registered": not self.registered,
            "takes no calls": not self.takes_calls,
            f"licences {self.licences_ratio:.0%}": self.licences_ratio != LICENCES_START_RATIO,
            "ports down " + " ".join(sorted(self.ports_down)): self.ports_down,
            "services dead " + " ".join(sorted(self.services_dead)): self.services_dead,
            "negotiated " + " ".join(sorted(self.negotiated)): self.negotiated,
            "errors " + " ".join(sorted(self.errors)): self.errors,
            "set " + " ".join(sorted(self.oids)): self.oids,
        }
        return ", ".join(word for word, so in wrong.items() if so)

    def battery_seconds_left(self, now: float) -> float:
        spent = 0.0 if self.battery_since is None else now - self.battery_since
        return max(0.0, self.battery_ratio * self.battery_lasts_seconds - spent)

    def charge_ratio(self, now: float) -> float:
        return self.battery_seconds_left(now) / self.battery_lasts_seconds if self.on_battery else 1.0

    def battery_low(self, now: float) -> bool:
        return self.charge_ratio(now) < BATTERY_LOW_RATIO

    def error_count(self, port: str, now: float) -> float:
        return self.errors.get(port, NOTHING).at(now)

    def carried_bytes(self, role: str, direction: str, now: float) -> float:
        """What other people's traffic on the site's line of that role has come to."""
        return self.traffic.get(TRAFFIC_KEY.format(role=role, direction=direction), NOTHING).at(now)

    def carrying(self, role: str, line: LineState, now: float) -> DeviceState:
        """The device behind a line that carries now what `line` says."""
        rates = {
            "down": min(line.traffic_down_bits_per_second, line.down_bits_per_second or math.inf),
            "up": min(line.traffic_up_bits_per_second, line.up_bits_per_second or math.inf),
        }
        counting = {
            TRAFFIC_KEY.format(role=role, direction=direction): Counting(now, self.carried_bytes(role, direction, now), rate / 8)
            for direction, rate in rates.items()
        }
        return replace(self, traffic=MappingProxyType({**self.traffic, **counting}))
