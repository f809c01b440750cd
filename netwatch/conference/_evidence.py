"""What is known of a place before a meeting. None stands for not known, which is never the same as good."""

from __future__ import annotations

from dataclasses import dataclass

from netwatch.line import Decision

__all__ = ["Bridge", "Endpoint", "Evidence", "Leg", "Limits", "Power", "Proof"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether the line that is in use carries its contract: the worse of its directions, and how old that is."""

    verdict: Decision
    age_seconds: float | None = None  # None: never tested
    measured_bits_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """The way between the place and us over the last minutes. Rates of loss are of round trips, so they count both ways."""

    sent: int
    received: int
    rtt_seconds: float | None  # the mean
    jitter_seconds: float | None

    @property
    def loss_ratio(self) -> float:
        return 1 - self.received / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A device that people meet by. `refusing`: it answers that it takes no calls."""

    id: str
    label: str = ""
    reachable: bool | None = None
    registered: bool | None = None
    refusing: bool = False
    since: float | None = None  # wall; of not being reachable
    good_call_age_seconds: float | None = None  # since a call from there was good


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """A UPS."""

    on_battery: bool | None = None
    runtime_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The server that mixes the meeting, and what it has left. Ports are of callers of the planned rate."""

    name: str
    reachable: bool | None = None
    alarms: int = 0
    ports_left: int | None = None
    media_load_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Of one place for one meeting. `starts_in_seconds` is below zero once it has begun."""

    site: str
    up: bool | None
    starts_in_seconds: float
    lasts_seconds: float = 7_200.0
    rate_bits_per_second: float = 2e6
    blind: bool = False  # we ourselves are cut off: nothing can be said
    dark_since: float | None = None  # wall
    back_since: float | None = None  # wall; it was dark just before
    without_power: bool = False
    on_backup: bool = False
    maintenance: bool = False
    proof: Proof | None = None  # None: the line is not tested
    leg: Leg | None = None
    free_bits_per_second: float | None = None  # of the contract, the scarcer direction
    endpoints: tuple[Endpoint, ...] = ()
    power: Power | None = None  # None: no UPS that we ask
    bridges: tuple[Bridge, ...] = ()
    ports_needed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on it is a risk, and from where on no meeting is to be had. Of quality: `quality.VIDEO_HD`."""

    proof_age_seconds: float = 14 * 86_400.0
    room_risk: float = 1.5  # free bandwidth in planned rates
    room_none: float = 1.0
    media_load_ratio: float = 0.8
    call_age_seconds: float = 30 * 86_400.0
    least_packets: int = 20
