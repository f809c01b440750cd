"""Does a TLS service shake hands, with a certificate that is good for its name, and for how long yet?"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _connect
from probes._connect import Address
from probes._snmp_text import clean
from probes._tls import ServerName, TlsContexts, check_server_name, handshake, is_named, utc
from probes._wire.certificate import Certificate, parse

__all__ = ["Tls"]

DEADLINE_MARGIN_SECONDS = 0.05
NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Greeting:
    """What one handshake showed."""

    version: str = ""
    certificate: Certificate | None = None


@dataclass(kw_only=True, eq=False)
class Tls(Probe):
    """Connects, shakes hands and closes; sends nothing more.

    The chain and the name are judged each for itself, the dates with the chain; `server_name` (asked for, and looked for in the
    certificate) is the target's address unless given. Where the chain is not good, a second handshake without verification looks
    what certificate it is, so that the days left are known all the same. With `verify: false` any certificate will do.
    Fails with `tls_expired`, `tls_not_yet_valid`, `tls_self_signed`, `tls_untrusted`, `tls_name`, `tls_version`, or `tls`.
    """

    port: Annotated[int, Field(ge=1, le=65535)] = 443
    server_name: ServerName = ""
    verify: bool = True
    ca_file: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a key that cannot be right."""
        check_server_name(self.server_name)

    def metrics(self) -> Mapping[str, Metric]:
        return {
            "tls_connect_seconds": Metric("gauge", "seconds", "Time to open the TCP connection.", keep="mean"),
            "tls_handshake_seconds": Metric("gauge", "seconds", "Time of the TLS handshake.", keep="mean"),
            "tls_left_seconds": Metric("gauge", "seconds", "Time until the certificate ends; negative when it has ended.", keep="mean"),
            "tls_chain_ok": Metric("gauge", "", "Whether the chain leads to a known authority, dates included.", keep="change"),
            "tls_name_ok": Metric("gauge", "", "Whether the certificate is for the server's name.", keep="change"),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        contexts = shared.get(TlsContexts)
        context = contexts.get(verify=self.verify, ca_file=self.ca_file, web=False)
        name = self.server_name or target.address
        addresses = _connect.literal(target.address, self.port) or await _connect.resolve(target.address, self.port)
        clock = asyncio.get_running_loop().time
        began = clock()
        connection = await _connect.connect(addresses, target.source)
        opened = clock()
        target.report(Sample("tls_connect_seconds", (opened - began,)))
        try:
            greeting = await greet(connection, context, name)
        except ProbeFailed as failure:
            if not isinstance(failure.__cause__, ssl.SSLCertVerificationError):
                raise
            anyone = contexts.get(verify=False, ca_file="", web=False)
            return self._judge(await look(addresses, target, anyone, name), name, failure)
        target.report(Sample("tls_handshake_seconds", (clock() - opened,)))
        return self._judge(greeting, name, None)

    def _judge(self, greeting: Greeting, name: str, refused: ProbeFailed | None) -> Reading:
        """Raises ProbeFailed with all that is wrong, the chain first."""
        certificate = greeting.certificate
        samples = [Sample("tls_chain_ok", (float(refused is None),))] if self.verify else []
        faults = [(refused.code, str(refused))] if refused is not None else []
        if certificate is None:
            if self.verify and refused is None:
                faults.append(("tls", "the certificate cannot be read"))
        else:
            named = is_named(certificate, name)
            samples += [Sample("tls_name_ok", (float(named),)), Sample("tls_left_seconds", (certificate.not_after - time.time(),))]
            if self.verify and not named:
                faults.append(("tls_name", f"the certificate is for {whom(certificate)}, not for {name}"))
        if faults:
            reading = Reading(tuple(samples), facts(greeting), "; ".join(detail for _code, detail in faults))
            raise ProbeFailed(faults[0][0], reading=reading)
        return Reading(tuple(samples), facts(greeting))


async def greet(connection: socket.socket, context: ssl.SSLContext, name: str) -> Greeting:
    transport = await handshake(connection, context, name, asyncio.Protocol())
    try:
        secure: ssl.SSLObject = transport.get_extra_info("ssl_object")
        der = secure.getpeercert(binary_form=True)
        with contextlib.suppress(ValueError):
            return Greeting(secure.version() or "", parse(der) if der else None)
        return Greeting(secure.version() or "")
    finally:
        transport.abort()


async def look(addresses: Sequence[Address], target: Target, anyone: ssl.SSLContext, name: str) -> Greeting:
    """What a server shows to who does not verify; nothing if it does not show it in time."""
    with contextlib.suppress(ProbeFailed, OSError):
        async with asyncio.timeout_at(target.deadline - DEADLINE_MARGIN_SECONDS):
            return await greet(await _connect.connect(addresses, target.source), anyone, name)
    return Greeting()


def facts(greeting: Greeting) -> dict[str, str]:
    found = {"tls_version": greeting.version}
    if greeting.certificate is not None:
        found["tls_not_after"] = utc(greeting.certificate.not_after)
        found["tls_subject"] = clean(greeting.certificate.subject)
        found["tls_issuer"] = clean(greeting.certificate.issuer)
    return {name: text for name, text in found.items() if text}


def whom(certificate: Certificate) -> str:
    """The names a certificate is for, as many as anybody reads."""
    addresses = [str(ip_address(packed)) for packed in certificate.addresses if len(packed) in {4, 16}]
    found = [*certificate.names, *addresses]
    more = ["…"] if len(found) > NAMES_SHOWN else []
    return clean(", ".join([*found[:NAMES_SHOWN], *more])) or "nobody"
