"""Does a line carry what its contract says? A short test that stops as soon as that is settled (docs/line.md)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, ProbeMisconfigured, Reading, Sample, Shared, Target, _connect
from probes._capacity import METHOD_VERSION, Direction, Full, Method, Outcome, Plan, Test, plan
from probes._capacity_http import HttpTest, port_of
from probes._capacity_router import ROUTER_STREAMS, RouterTest
from probes._capacity_tcp import TcpTest
from probes._capacity_udp import UdpTest
from probes._control import NAME, Gone, Turned
from probes._dialled import DialIn, Switchboard
from probes._fetched import FetchPorts
from probes._full import FullHttp, FullIperf3, FullTcp, full_plan
from probes._iperf3 import Iperf3Test
from probes._routeros import RouterOs
from probes._stream_pipe import ServerRefuses
from probes._stream_rules import stream_plan
from probes._streams import STREAMS
from probes._tls import TlsContexts
from probes._way import WayBlocked
from probes._wire.capacity import BadFrame, Refusal

__all__ = ["Bandwidth", "document"]

LEAST_CONTRACT, MOST_CONTRACT = 1e6, 1e10
LABELS: tuple[Literal["site"], Literal["target"]] = ("site", "target")
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "bandwidth_bytes_per_second": Metric(
            "gauge", "bytes", "Rate of IP packets that a test received, headers included.", "direction", keep="change", labels=LABELS
        ),
        "bandwidth_goodput_bytes_per_second": Metric(
            "gauge", "bytes", "Rate of payload that a test received.", "direction", keep="change", labels=LABELS
        ),
        "bandwidth_spent_bytes": Metric("counter", "bytes", "What tests of the line have cost.", "direction", labels=LABELS),
    }
)
OURS = frozenset({"udp", "tcp"})  # methods whose far end is our reflector
USUAL_PORTS: Mapping[str, int] = MappingProxyType({"udp": 8621, "tcp": 8621, "iperf3": 5201, "router": 443})
DIAL_IN_SECONDS = 45.0  # a reflector that was refused before we knew its name calls again within 15
TEST_ROOM_SECONDS = 8.0  # beside the test itself
OURS_TO_MEND = frozenset({Refusal.TOKEN, Refusal.RATE, Refusal.BYTES, Refusal.SECONDS, Refusal.REQUEST})


@dataclass(kw_only=True, eq=False)
class Bandwidth(Probe):
    """Proves or refutes that a line carries `contract_bits_per_second`, in one direction, with few bytes.

    `down` is towards the far end, where `netwatch reflector` listens; `up` comes from there. The token is the secret `token`. The
    contract is in bits per second of IP packets, headers included. `burst_bytes` is what may pass above the rate of a policed line:
    at first 1 MB, less on a slower line. With `dial_in_port` the far end calls us there (TCP and UDP), since nothing can call it, and
    the address is the name it gives. `tcp` is several streams with our reflector, `iperf3` the same with a stock server, `http` with the
    file at `url` on whatever server has the address; the last two need no token. All but `udp` take `streams` connections, 8 if not said.
    `full` goes on for `max_seconds`, 10 if not said, by any method but `udp`, and tells the figures of RFC 6349: many bytes.
    `router` has a RouterOS router at the address fetch from us, at `fetch_port`; it is asked by its REST API as `user`, with the secret
    `password`; only `down`, over 4 streams if not said.
    Fails with `busy`, `udp_blocked` …; what goes wrong later is told as `inconclusive`.
    """

    contract_bits_per_second: Annotated[float, Field(ge=LEAST_CONTRACT, le=MOST_CONTRACT)]
    direction: Direction
    method: Method = "udp"
    port: Annotated[int | None, Field(ge=1, le=65_535)] = None
    url: Annotated[str | None, Field(pattern=r"^https?://[!-~]+$", max_length=2000)] = None
    streams: Annotated[int | None, Field(ge=1, le=16)] = None
    dial_in_port: Annotated[int | None, Field(ge=1, le=65_535)] = None
    user: Annotated[str, Field(max_length=100, pattern=r"^[^:\x00-\x1f\x7f]*$")] = ""
    fetch_port: Annotated[int, Field(ge=1, le=65_535)] = 8623
    verify: bool = True
    ca_file: str = ""
    burst_bytes: Annotated[int | None, Field(ge=0, le=1_000_000_000)] = None
    max_bytes: Annotated[int | None, Field(ge=100_000, le=10_000_000_000)] = None
    max_seconds: Annotated[float | None, Field(ge=0.5, le=30)] = None
    full: bool = False

    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    def plan(self) -> Plan:
        return (full_plan if self.full else plan if self.method == "udp" else stream_plan)(
            self.direction,
            self.contract_bits_per_second,
            burst_bytes=self.burst_bytes,
            max_bytes=self.max_bytes,
            max_seconds=self.max_seconds,
        )

    def at_length(self) -> Bandwidth | None:
        """The same as a full test, over several streams where it would be by udp; None where none can reach the far end."""
        if self.dial_in_port is not None or self.method == "router":
            return None
        return dataclasses.replace(self, full=True, method="tcp" if self.method == "udp" else self.method, max_bytes=None, max_seconds=None)

    async def prepare(self, shared: Shared) -> None:
        if self.dial_in_port is not None:
            shared.get(DialIn).board(self.dial_in_port)

    async def run(self, target: Target, shared: Shared) -> Reading:
        return self._reading(await self.measure(target, shared))

    async def measure(self, target: Target, shared: Shared | None = None) -> Outcome:
        """As `run`, with all that was seen; a reflector that dials in needs `shared`. Cancelled, it ends within milliseconds and reports what it has cost."""
        test = self._router(target, shared) if self.method == "router" else self._test(target)
        port = self.port or self._usual_port()
        try:
            if self.dial_in_port is not None:
                if not isinstance(test, UdpTest):
                    raise ProbeMisconfigured("dial_in_method", "a reflector that dials in is measured by udp")
                if shared is None:
                    raise ValueError("what dials in needs a port that stays open")
                return await self._dialled(test, target, shared.get(DialIn).board(self.dial_in_port))
            (family, where), *_ = _connect.literal(target.address, port) or await _connect.resolve(target.address, port)
            return await asyncio.to_thread(test.run, family, where, target.source)
        except asyncio.CancelledError:
            target.report(Sample("bandwidth_spent_bytes", (float(test.bytes_ip),), self.direction))
            raise
        except Turned as turned:
            raise _refused(turned) from turned
        except BadFrame as error:
            code = "not_a_reflector" if self.method in OURS else f"not_{self.method}"
            raise ProbeFailed(code, f"what answers is not what it should be: {error}") from error
        except ServerRefuses as refusal:
            if test.bytes_ip:
                target.report(Sample("bandwidth_spent_bytes", (float(test.bytes_ip),), self.direction))
            raise ProbeFailed(refusal.code, refusal.detail) from refusal
        except WayBlocked as error:
            raise ProbeFailed("udp_blocked", f"TCP port {port} answers, UDP does not: {error}") from error
        except (Gone, ConnectionResetError, BrokenPipeError) as error:
            raise ProbeFailed("peer_gone", str(error)) from error
        finally:
            test.stop.set()

    def _asked(self, target: Target) -> Plan:
        others, around = target.others_bits_per_second, target.counted_around_seconds
        return replace(self.plan(), others_bits_per_second=others, counted_around_seconds=around)

    def _test(self, target: Target) -> Test:
        streams = self.streams or STREAMS
        asked = self._asked(target)
        if self.full and self.method == "udp":
            raise ProbeMisconfigured("full_method", "a full test is made by tcp, iperf3 or http")
        if self.method == "iperf3":
            return (FullIperf3 if self.full else Iperf3Test)(asked, streams)
        if self.method == "http":
            if self.url is None:
                raise ProbeMisconfigured("no_url", "method http needs a url")
            return (FullHttp if self.full else HttpTest)(asked, self.url, streams)
        token = target.secrets.get("token")
        if token is None or not token.reveal():
            raise ValueError("bandwidth needs the secret `token`")
        secret = token.reveal().encode()
        if self.method == "udp":
            return UdpTest(asked, secret)
        return (FullTcp if self.full else TcpTest)(asked, secret, streams)

    def _router(self, target: Target, shared: Shared | None) -> RouterTest:
        password = target.secrets.get("password")
        if shared is None or password is None or not self.user:
            raise ValueError("method router needs a port that is shared, `user` and the secret `password`")
        if self.direction != "down":
            raise ProbeMisconfigured("router_up", "a router can be told to fetch, but not to send: RouterOS uploads by FTP only")
        if self.full:
            raise ProbeMisconfigured("full_method", "a full test is made by tcp, iperf3 or http")
        context = shared.get(TlsContexts).get(verify=self.verify, ca_file=self.ca_file)
        router = RouterOs(self.user, password.reveal(), context, target.address)
        asked = self._asked(target)
        return RouterTest(asked, router, shared.get(FetchPorts).port(self.fetch_port), self.streams or ROUTER_STREAMS)

    def _usual_port(self) -> int:
        if self.method != "http":
            return USUAL_PORTS[self.method]
        return port_of(urlsplit(self.url or ""))

    async def _dialled(self, test: UdpTest, target: Target, board: Switchboard) -> Outcome:
        name = target.address.encode()
        if not NAME.fullmatch(name):
            raise ProbeMisconfigured("dial_in_name", f"{target.address!r} is no name of a reflector")
        left = target.deadline - asyncio.get_running_loop().time() - test.plan.max_seconds - TEST_ROOM_SECONDS
        outcome = await asyncio.to_thread(test.run_dialled, board, name, time.monotonic() + min(max(left, 0.0), DIAL_IN_SECONDS))
        if outcome is None:
            refused = ", ".join(f"{why} {count}" for why, count in sorted(board.refused.items()))
            raise ProbeFailed("not_dialled_in", f"no reflector {target.address} has dialled in; refused so far: {refused or 'nobody'}")
        return outcome

    def _reading(self, outcome: Outcome) -> Reading:
        samples = [Sample("bandwidth_spent_bytes", (float(outcome.bytes_ip),), self.direction)]
        if outcome.estimate.value:
            samples += [
                Sample("bandwidth_bytes_per_second", (outcome.estimate.value / 8,), self.direction),
                Sample("bandwidth_goodput_bytes_per_second", (outcome.goodput_bits_per_second / 8,), self.direction),
            ]
        return Reading(tuple(samples), {"bandwidth": json.dumps(document(outcome), separators=(",", ":"))}, outcome.reason)


def _refused(turned: Turned) -> ProbeFailed:
    code = {Refusal.TOKEN: "token", Refusal.BUSY: "busy", Refusal.UDP_PORT: "udp_port"}.get(
        turned.refusal, f"limit_{turned.refusal.name.lower()}"
    )
    kind = ProbeMisconfigured if turned.refusal in OURS_TO_MEND else ProbeFailed
    return kind(code, f"the reflector refuses: {code}" + (f", it allows {turned.limit}" if turned.limit else ""))


def document(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: what a record of evidence is made of. Rates are of IP packets, but for `goodput`; bins begin after the ramp."""
    estimate = outcome.estimate
    return {
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "method": outcome.method,
        "method_version": METHOD_VERSION,
        "direction": outcome.plan.direction,
        "contract_bits_per_second": outcome.plan.contract_bits_per_second,
        "bytes": outcome.bytes_ip,
        "seconds": round(outcome.seconds, 6),
        "goodput_bits_per_second": round(outcome.goodput_bits_per_second),
        "line_bits_per_second": round(estimate.value),
        "low_bits_per_second": round(estimate.low),
        "high_bits_per_second": round(estimate.high) if math.isfinite(estimate.high) else None,
        "confidence": outcome.confidence,
        "limit_end": outcome.limit_end,
        "burst_bytes": outcome.plan.burst_bytes,
        "others_bits_per_second": round(outcome.plan.others_bits_per_second),
        "sent_bits_per_second": round(outcome.plan.pace_bits_per_second),
        "facts": dict(outcome.facts),
        "bins": [
            [one.seconds, one.bytes_ip, one.packets, one.lost, round(one.idle_seconds, 6), round(one.queue_seconds, 6)]
            for one in outcome.bins
        ],
        **({"full": _full(outcome, outcome.full)} if outcome.full is not None else {}),
    }


def _full(outcome: Outcome, full: Full) -> dict[str, float | None]:
    """What RFC 6349 asks for; null where it could not be told."""
    slower = full.transfer_time_ratio(outcome.plan.contract_bits_per_second, outcome.goodput_bits_per_second)
    found = {
        "baseline_rtt_seconds": full.baseline_rtt_seconds,
        "loaded_rtt_seconds": full.loaded_rtt_seconds,
        "buffer_delay_ratio": full.buffer_delay_ratio,
        "efficiency_ratio": full.efficiency_ratio,
        "transfer_time_ratio": slower,
        "packet_bytes": full.packet_bytes,
        "streams": full.streams,
    }
    return {name: None if value is None else round(value, 6) for name, value in found.items()}
