"""Does an H.323 device take calls' connections, does its gatekeeper answer, and is it registered there?"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _connect, _ras
from probes._connect import Address
from probes._snmp_text import clean
from probes._wire import h225 as wire

__all__ = ["H323"]

DEADLINE_MARGIN_SECONDS = 0.05
RAS_SECONDS = 3.0
SETTLED_SECONDS = 0.2
NOBODY_THERE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EHOSTDOWN})
GATEKEEPER_ANSWERS: frozenset[wire.Kind] = frozenset({"gatekeeper_confirm", "gatekeeper_reject", "unknown_message_response"})
LOCATION_ANSWERS: frozenset[wire.Kind] = frozenset({"location_confirm", "location_reject"})
# What a gatekeeper says of an alias that nobody has registered; any other reject is about us, and tells nothing of the alias.
NOT_THERE = frozenset({"notRegistered", "requestDenied", "unallocatedNumber", "incompleteAddress"})


@dataclass(kw_only=True, eq=False)
class H323(Probe):
    """Opens the call signalling port and closes it again, sending nothing: a Setup or a status enquiry would ring in the room.

    With `ras_port` a gatekeeper is asked, too (GRQ, H.225.0 section 7.8): the target, or who is at `gatekeeper`. A confirm and a
    reject both show that it is alive; silence does not show that it is dead, for many do not answer strangers, so it fails the check
    only where there is no signalling `port`. With `lookup` it is asked where that alias is (LRQ): `h323_registered`.
    """

    port: Annotated[int | None, Field(ge=1, le=65535)] = 1720
    ras_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    gatekeeper: Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]*$", max_length=253)] = ""
    gatekeeper_id: Annotated[str, Field(max_length=128)] = ""
    alias: Annotated[str, Field(max_length=128)] = "netwatch"
    lookup: Annotated[str, Field(max_length=128)] = ""

    def __post_init__(self) -> None:
        """Raises ValueError for keys that cannot go together."""
        if self.port is None and self.ras_port is None:
            raise ValueError("port: nothing is asked; give port, ras_port, or both")
        if self.ras_port is None and (self.gatekeeper or self.gatekeeper_id or self.lookup):
            raise ValueError("ras_port: gatekeeper, gatekeeper_id and lookup need it; the usual one is 1719")
        if any(ord(letter) > 0xFFFF or not letter.isprintable() for letter in self.alias + self.lookup + self.gatekeeper_id):
            raise ValueError("alias: aliases and gatekeeper_id are of letters of the basic plane (BMPString)")

    def metrics(self) -> Mapping[str, Metric]:
        return {
            "h323_connect_seconds": Metric("gauge", "seconds", "Time to open the call signalling connection.", keep="mean"),
            "h323_gatekeeper_answers": Metric("gauge", "bool", "Whether the gatekeeper answered; many ignore strangers.", keep="change"),
            "h323_gatekeeper_seconds": Metric("gauge", "seconds", "Time to the gatekeeper's answer.", keep="mean"),
            "h323_gatekeeper_rejects": Metric(
                "gauge", "bool", "Whether the gatekeeper answered that it does not want us, which shows it alive.", keep="change"
            ),
            "h323_registered": Metric("gauge", "bool", "Whether the gatekeeper knows the alias that is looked up.", keep="change"),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        del shared
        if self.port is not None:
            target.report(Sample("h323_connect_seconds", (await self._signal(target, self.port),)))
        if self.ras_port is None:
            return Reading()
        try:
            return await self._ask_gatekeeper(target, self.ras_port)
        except (ProbeFailed, OSError) as error:
            if self.port is None or (isinstance(error, OSError) and error.errno not in NOBODY_THERE):
                raise
            return Reading((Sample("h323_gatekeeper_answers", (0.0,)),))

    async def _signal(self, target: Target, port: int) -> float:
        """How long the connection took. Raises ProbeFailed `closed` where it is taken and dropped at once."""
        addresses = _connect.literal(target.address, port) or await _connect.resolve(target.address, port)
        clock = asyncio.get_running_loop().time
        began = clock()
        connection = await _connect.connect(addresses, target.source)
        took = clock() - began
        with connection:
            if await _is_dropped(connection, min(clock() + SETTLED_SECONDS, target.deadline - DEADLINE_MARGIN_SECONDS)):
                raise ProbeFailed("closed", "the connection is taken and closed at once")
        return took

    async def _ask_gatekeeper(self, target: Target, port: int) -> Reading:
        name = self.gatekeeper or target.address
        address, *_ = _connect.literal(name, port) or await _connect.resolve(name, port)
        until = min(target.deadline - DEADLINE_MARGIN_SECONDS, asyncio.get_running_loop().time() + RAS_SECONDS)
        answer = await _ras.ask(
            lambda sequence, local: wire.gatekeeper_request(sequence, local, self.alias, self.gatekeeper_id),
            address,
            target.source,
            until,
            GATEKEEPER_ANSWERS,
        )
        if answer is None:
            if self.port is None:
                raise ProbeFailed("gatekeeper_silent", "no answer; it may ignore strangers")
            return Reading((Sample("h323_gatekeeper_answers", (0.0,)),))
        heard = answer.heard
        samples = [
            Sample("h323_gatekeeper_answers", (1.0,)),
            Sample("h323_gatekeeper_seconds", (answer.seconds,)),
            Sample("h323_gatekeeper_rejects", (float(heard.kind == "gatekeeper_reject"),)),
        ]
        registered = await self._is_registered(address, target, until) if self.lookup else None
        if registered is not None:
            samples.append(Sample("h323_registered", (float(registered),)))
        facts = {"h323_gatekeeper": clean(heard.gatekeeper), "h323_reject": heard.reason}
        return Reading(tuple(samples), {name: text for name, text in facts.items() if text})

    async def _is_registered(self, address: Address, target: Target, until: float) -> bool | None:
        """None where the gatekeeper does not say."""
        answer = await _ras.ask(
            lambda sequence, local: wire.location_request(sequence, local, self.lookup), address, target.source, until, LOCATION_ANSWERS
        )
        if answer is None:
            return None
        if answer.heard.kind == "location_confirm":
            return True
        return False if answer.heard.reason in NOT_THERE else None


async def _is_dropped(connection: socket.socket, until: float) -> bool:
    """Whether the peer ends it by then, before anything was said."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            return not await asyncio.get_running_loop().sock_recv(connection, 1)
    return False
