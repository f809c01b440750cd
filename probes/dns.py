"""Does a resolver answer, how soon, and with what it should?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _connect
from probes._dns_exchange import ask, ask_over_tcp
from probes._snmp_text import clean
from probes._wire import dns as wire

__all__ = ["Dns"]

# RFC 1035 section 4.1.1; any other is a `bad_response`. A closed port is `refused`, which is another thing.
REFUSALS = {"formerr": "formerr", "servfail": "servfail", "nxdomain": "nxdomain", "notimp": "notimp", "refused": "dns_refused"}


@dataclass(kw_only=True, eq=False)
class Dns(Probe):
    """Asks the resolver at the target's address for one record. Nothing is cached here; the resolver answers as it would a user.

    `expect` lists the records that must come, all of them and no others, in any order, as a zone file writes them: `10.45.1.1`,
    `10 mail.example`, `0 5 5061 sip.example`; a TXT record as its plain text. Without it any record will do. A PTR record may be
    asked for by address. Fails with the resolver's own word (`nxdomain`, `servfail`, `dns_refused` …), `nodata` when the name has no
    such record, `mismatch`, `cname_loop`, `bad_response`, or `truncated` when the answer needs TCP and TCP fails.
    """

    name: Annotated[str, Field(min_length=1, max_length=255)]
    record: Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"] = "A"
    expect: Annotated[list[str], Field(max_length=100)] = field(default_factory=list)
    port: Annotated[int, Field(ge=1, le=65535)] = 53
    transport: Literal["udp", "tcp"] = "udp"
    recursion: bool = True
    _expected: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        """Raises ValueError for a key that cannot be right."""
        try:
            self._question()
        except ValueError as error:
            raise ValueError(f"name: {error}") from error
        try:
            self._expected = wire.expected(self.expect, self.record)
        except ValueError as error:
            raise ValueError(f"expect: {error}") from error

    def metrics(self) -> Mapping[str, Metric]:
        return {
            "dns_lookup_seconds": Metric(
                "gauge", "seconds", "Time to the resolver's answer, over TCP again where UDP had no room.", keep="mean"
            ),
            "dns_answers": Metric("gauge", "", "Records in the answer, of the type asked for.", keep="change"),
            "dns_ttl_seconds": Metric("gauge", "seconds", "How long the answer may be kept.", keep="none"),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        del shared
        question = self._question()
        addresses = _connect.literal(target.address, self.port) or await _connect.resolve(target.address, self.port)
        clock = asyncio.get_running_loop().time
        began = clock()
        answer = await (ask if self.transport == "udp" else ask_over_tcp)(question, addresses, target)
        reading = _reading(answer, clock() - began)
        code, detail = self._judge(answer)
        if code:
            raise ProbeFailed(code, reading=Reading(reading.samples, reading.facts, detail))
        return reading

    def _question(self) -> wire.Question:
        return wire.question(self.name, self.record, recursion=self.recursion)

    def _judge(self, answer: wire.Answer) -> tuple[str, str]:
        """A code and a detail of what is wrong; empty when nothing is."""
        if answer.rcode != "noerror":
            return REFUSALS.get(answer.rcode, "bad_response"), f"the resolver says {answer.rcode.upper()}"
        if not answer.records:
            return "nodata", f"no record of type {self.record}"
        found = frozenset(answer.records)
        if not self._expected or found == self._expected:
            return "", ""
        wrong = {"missing": self._expected - found, "not expected": found - self._expected}
        return "mismatch", clean("; ".join(f"{what}: {', '.join(sorted(which))}" for what, which in wrong.items() if which))


def _reading(answer: wire.Answer, seconds: float) -> Reading:
    took = Sample("dns_lookup_seconds", (seconds,))
    if answer.rcode != "noerror":
        return Reading((took,))
    count = Sample("dns_answers", (float(len(answer.records)),))
    if not answer.records:
        return Reading((took, count))
    return Reading((took, count, Sample("dns_ttl_seconds", (float(answer.ttl_seconds),))), {"dns_answer": clean(", ".join(answer.records))})
