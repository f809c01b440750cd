"""Does a SIP device or server answer, how soon, and does it take calls?"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _connect, _sip_exchange
from probes._connect import Address
from probes._sip_exchange import Answer, Asked, Secured, Transport
from probes._snmp_text import clean
from probes._tls import ServerName, TlsContexts, check_server_name, is_named, utc
from probes._wire.certificate import parse

__all__ = ["Sip"]

REQUEST_TIMEOUT = 408
SERVICE_UNAVAILABLE = 503
MOST_QUIET_SECONDS = 300.0  # who asks for more is asked again all the same: an outage must not hide behind a header


@dataclass
class Refusal:
    """Until when a server that is busy asked to be left alone, and what it said."""

    until: float = 0.0
    reading: Reading = field(default_factory=Reading)


@dataclass(kw_only=True, eq=False)
class Sip(Probe):
    """Sends OPTIONS (RFC 3261 section 11), which rings nowhere. Any final answer shows that calls can be signalled, a 401 or 404 too.

    But 503 means alive and taking no calls: `sip_refusing` is 1 then, and it is left alone for as long as its Retry-After asks, at most
    five minutes. 408 is told by who stands before a device that does not answer: `sip_no_answer`. Over UDP the request is repeated as
    section 17.1.2 says, so that lost packets are no outage; `sip_retransmissions` counts them. `user` asks about one room of a server.
    Over TLS the certificate must be good for `server_name`, or for the target's address, unless `verify` is false.
    """

    transport: Transport = "udp"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    user: Annotated[str, Field(pattern=r"^[0-9A-Za-z._~!*'()&=+$,;?/%-]*$", max_length=128)] = ""
    server_name: ServerName = ""
    verify: bool = True
    ca_file: str = ""
    _refusal: Refusal = field(init=False, repr=False, default_factory=Refusal)

    def __post_init__(self) -> None:
        """Raises ValueError for a key that cannot be right."""
        check_server_name(self.server_name)

    def metrics(self) -> Mapping[str, Metric]:
        return {
            "sip_answer_seconds": Metric("gauge", "seconds", "Time from the OPTIONS request to the final answer.", keep="mean"),
            "sip_status_code": Metric("gauge", "", "Status code of the answer to OPTIONS.", keep="change"),
            "sip_refusing": Metric("gauge", "bool", "Whether it answers that it takes no calls now (503).", keep="change"),
            "sip_retransmissions": Metric("gauge", "", "How often the request had to be sent again over UDP.", keep="mean"),
            "sip_tls_left_seconds": Metric(
                "gauge", "seconds", "Time until the certificate of the SIP server ends; negative when it has ended.", keep="mean"
            ),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        clock = asyncio.get_running_loop().time
        if clock() < self._refusal.until:
            return self._refusal.reading
        port = self.port or (5061 if self.transport == "tls" else 5060)
        address, *others = _connect.literal(target.address, port) or await _connect.resolve(target.address, port)
        facts: dict[str, str] = {}
        asked = Asked(target.address, port, self.transport, self.user)
        if self.transport == "udp":
            answer = await _sip_exchange.over_udp(asked, address, target)
        else:
            answer = await self._over_stream(asked, (address, *others), target, shared, facts)
        reading = _reading(answer, facts)
        if answer.response.status == REQUEST_TIMEOUT:
            raise ProbeFailed("sip_no_answer", reading=Reading(reading.samples, reading.facts, facts["sip_status"]))
        if answer.response.status == SERVICE_UNAVAILABLE:
            reading = Reading(reading.samples, reading.facts, facts["sip_status"])
            quiet_seconds = min(answer.response.retry_after_seconds, MOST_QUIET_SECONDS)
            self._refusal = Refusal(clock() + quiet_seconds, Reading(reading.samples[1:], reading.facts, reading.detail))
        return reading

    async def _over_stream(
        self, asked: Asked, addresses: tuple[Address, ...], target: Target, shared: Shared, facts: dict[str, str]
    ) -> Answer:
        secured = None
        if self.transport == "tls":
            context = shared.get(TlsContexts).get(verify=self.verify, ca_file=self.ca_file, web=False)
            name = self.server_name or target.address
            secured = Secured(context, name, lambda session: self._look(session, name, target, facts))
        return await _sip_exchange.over_stream(asked, await _connect.connect(addresses, target.source), target, secured)

    def _look(self, session: ssl.SSLObject, name: str, target: Target, facts: dict[str, str]) -> None:
        """At the certificate. RFC 5922 section 7.1: only the subjectAltName counts. Raises ProbeFailed."""
        facts["tls_version"] = session.version() or ""
        der = session.getpeercert(binary_form=True)
        try:
            certificate = parse(der or b"")
        except ValueError as error:
            if self.verify:
                raise ProbeFailed("tls", "the certificate cannot be read") from error
            return
        facts["tls_not_after"] = utc(certificate.not_after)
        target.report(Sample("sip_tls_left_seconds", (certificate.not_after - time.time(),)))
        if self.verify and not is_named(certificate, name):
            raise ProbeFailed("tls_name", f"the certificate is not for {name}")


def _reading(answer: Answer, facts: dict[str, str]) -> Reading:
    """Adds to the facts what the device says of itself."""
    response = answer.response
    facts["sip_status"] = clean(f"{response.status} {response.reason}")
    server = response.headers.get("server") or response.headers.get("user-agent", "")
    facts["sip_server"] = clean(server)
    facts["sip_allow"] = clean(response.headers.get("allow", ""))
    samples = (
        Sample("sip_answer_seconds", (answer.seconds,)),
        Sample("sip_status_code", (float(response.status),)),
        Sample("sip_refusing", (float(response.status == SERVICE_UNAVAILABLE),)),
        Sample("sip_retransmissions", (float(answer.sent_again),)),
    )
    return Reading(samples, {name: text for name, text in facts.items() if text})
