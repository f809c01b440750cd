"""Is a Poly room well, registered and ready for a call?"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, ProbeMisconfigured, Reading, Sample, Shared, Target
from probes._poly_session import Session, session
from probes._rest import opened
from probes._snmp_text import clean
from probes._tls import ServerName, TlsContexts, check_server_name
from probes._wire import poly as wire

__all__ = ["Poly"]

# An account is locked after some failed log-ins: who was refused waits until somebody may have mended it.
QUIET_SECONDS = {"login_refused": 600.0, "locked_out": 600.0, "too_many_sessions": 120.0}


@dataclass(frozen=True, slots=True)
class Refusal:
    until: float = 0.0
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    system: wire.System
    parts: Mapping[str, float]
    in_call: bool
    calls: wire.Calls


@dataclass(kw_only=True, eq=False)
class Poly(Probe):
    """Logs in to a room of Poly's (RealPresence Group, G7500, Studio X), reads its status by REST, and logs out again, whatever happens.

    Asleep is well. A part that is `off` is not set up, and no fault. `poly_registered` is 1 when it is registered with a SIP server or
    a gatekeeper, and missing where it is set up for neither. A wrong password is an error of ours, and tried again ten minutes later at
    the earliest: these devices lock accounts. Their certificates are mostly their own: then `verify: false`, or their CA in `ca_file`.
    """

    secret_names: ClassVar[tuple[str, ...]] = ("password",)

    port: Annotated[int, Field(ge=1, le=65535)] = 443
    user: Annotated[str, Field(min_length=1, max_length=100)] = "admin"
    server_name: ServerName = ""
    verify: bool = True
    ca_file: str = ""
    _refusal: Refusal = field(init=False, repr=False, default_factory=Refusal)

    def __post_init__(self) -> None:
        """Raises ValueError for a key that cannot be right."""
        check_server_name(self.server_name)

    def needs(self) -> Collection[str]:
        return self.secret_names

    def metrics(self) -> Mapping[str, Metric]:
        def flag(help_text: str) -> Metric:
            return Metric("gauge", "bool", help_text, keep="change")

        return {
            "poly_registered": flag("Whether the room is registered with a SIP server or a gatekeeper."),
            "poly_fault": Metric(
                "gauge", "", "What a part says of itself: 0 up, 1 down, 0.5 partly.", instance_label="part", keep="change"
            ),
            "poly_asleep": flag("Whether the room sleeps, which is well."),
            "poly_in_call": flag("Whether the room is in a call."),
            "poly_call_bytes_per_second": Metric("gauge", "bytes_per_second", "Rate agreed for the calls the room is in.", keep="mean"),
            "poly_uptime_seconds": Metric("gauge", "seconds", "Time since the room's device started.", keep="none"),
            "poly_reboot_needed": flag("Whether the device asks to be restarted."),
            "poly_lan_bytes_per_second": Metric("gauge", "bytes_per_second", "Speed of the device's network port.", keep="change"),
            "poly_lan_half_duplex": flag("Whether the device's network port runs at half duplex."),
            "poly_time_server_down": flag("Whether the device cannot reach its time server."),
            "poly_remote_battery_low": flag("Whether the battery of the remote control is low."),
            "poly_session_left_open": flag("Whether the device did not take our log-out; it locks up when that happens often."),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        now = asyncio.get_running_loop().time()
        if now < self._refusal.until:
            raise ProbeMisconfigured(self._refusal.code, self._refusal.detail)
        if "password" not in target.secrets:
            raise ProbeMisconfigured("login_refused", "no password is given")
        context = shared.get(TlsContexts).get(verify=self.verify, ca_file=self.ca_file)
        try:
            async with (
                opened(target, self.port, context, self.server_name or target.address) as rest,
                session(rest, target, self.user, target.secrets["password"]) as room,
            ):
                found = await _ask(room)
        except ProbeMisconfigured as failure:
            self._refusal = Refusal(now + QUIET_SECONDS.get(failure.code, 0.0), failure.code, str(failure))
            raise
        return Reading(tuple(_samples(found)), _facts(found.system))


async def _ask(room: Session) -> Findings:
    system = wire.system(await room.get("/rest/system"))
    status = await room.get("/rest/system/status")
    parts, calls = wire.faults(status), wire.calls(await room.get("/rest/conferences"))
    if system is None or parts is None or calls is None:
        raise ProbeFailed("bad_response", "not what a Poly room answers")
    told = wire.in_call(status)
    return Findings(system, parts, calls.connected > 0 if told is None else told, calls)


def _samples(found: Findings) -> Iterator[Sample]:
    registered = wire.is_registered(found.parts)
    values = {
        "poly_registered": registered,
        "poly_asleep": found.system.state == wire.ASLEEP,
        "poly_in_call": found.in_call,
        "poly_call_bytes_per_second": found.calls.bytes_per_second,
        "poly_uptime_seconds": found.system.uptime_seconds,
        "poly_reboot_needed": found.system.reboot_needed,
        "poly_lan_bytes_per_second": found.system.lan_bytes_per_second,
        "poly_lan_half_duplex": found.system.half_duplex,
        "poly_time_server_down": found.system.time_server_down,
        "poly_remote_battery_low": found.system.remote_battery_low,
    }
    for name, value in values.items():
        if value is not None:
            yield Sample(name, (float(value),))
    for part, fault in found.parts.items():
        yield Sample("poly_fault", (fault,), part)


def _facts(system: wire.System) -> dict[str, str]:
    found = {
        "vendor": "Poly",
        "model": clean(system.model),
        "firmware": clean(system.software),
        "serial": clean(system.serial),
        "name": clean(system.name),
        "poly_state": clean(system.state),
    }
    return {name: text for name, text in found.items() if text}
