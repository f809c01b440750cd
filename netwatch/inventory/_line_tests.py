"""`test:` of a line and `line_tests:`, as checks: one for each direction of each line, and those next to us that control them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import pydantic

from netwatch.inventory._addresses import Network, WrongAddress, address, host
from netwatch.inventory._collect import Collector, Where
from netwatch.inventory._line_methods import USUAL_PORTS, address_in_url, at_key, directions_of, fits, method_of, secret_of
from netwatch.inventory._line_schema import LineTestEntry, LineTestsEntry
from netwatch.inventory._targets import Target
from netwatch.model import Check, Device, Line, LineTest, Rule, Secret, Site
from probes.bandwidth import Bandwidth

__all__ = ["CONTROL", "LINE_TESTS", "control_checks", "control_site", "line_test_of", "test_checks"]

LINE_TESTS = "line-tests"  # the place where the control stands
CONTROL = "control"
UPLINK = "uplink"
USUAL_EVERY_SECONDS = 86_400.0
USUAL_WINDOW = "20:00-05:00"
USUAL_RUNS_A_DAY = 2  # of each direction: one that refutes is repeated
MINUTES_A_DAY = 1_440
RETRY_SECONDS = 300.0
MARGIN_SECONDS = 10.0  # for connecting, beside the seconds that a test takes
DIAL_IN_SECONDS = 20.0  # a reflector that was refused before its name was known calls again within 15
MORE_SECONDS = {"iperf3": 12.0, "router": 12.0}  # a busy server is asked again; a router takes its time to come
Direction = Literal["down", "up"]
DIRECTIONS: Mapping[str, tuple[Direction, ...]] = {"both": ("down", "up"), "down": ("down",), "up": ("up",)}
RULES: Mapping[Direction, tuple[Rule, ...]] = {
    direction: (
        Rule(name="contract", metric=f"line_below_contract_{direction}", warn=1.0, audience="digest"),
        Rule(name="proof_old", metric=f"line_proof_old_{direction}", warn=1.0, audience="digest"),
    )
    for direction in DIRECTIONS["both"]
}
ADAPTER = pydantic.TypeAdapter(Bandwidth)


def line_test_of(line: Line, entry: LineTestEntry, where: Where, collector: Collector) -> LineTest | None:
    """When and for how much; None with a complaint when it could never be run."""
    if not fits(entry, where, collector):
        return None
    begins, _, ends = (entry.window or USUAL_WINDOW).partition("-")
    from_minute = _minute(begins)
    costs = [probe.plan().max_bytes for direction in _directions(entry) if (probe := _probe(line, entry, direction, where, collector))]
    if not costs:
        return None
    budget = USUAL_RUNS_A_DAY * sum(costs) if entry.budget is None else entry.budget
    if budget < max(costs):
        collector.error(at_key(where, "budget"), "line_test_budget", needed=f"{max(costs) / 1e6:.0f} MB")
        return None
    return LineTest(
        budget_bytes=budget,
        budget_stated=entry.budget is not None,
        from_minute=from_minute,
        minutes=(_minute(ends) - from_minute) % MINUTES_A_DAY or MINUTES_A_DAY,
    )


def test_checks(
    site: str, target: Target, targets: Mapping[str, Target], net: Network | None, primary: Mapping[str, str], collector: Collector
) -> Iterator[Check]:
    """The checks of a line that is tested. Its own check says whether there is anything to test."""
    entry, line = target.test, target.thing
    if entry is None or not isinstance(line, Line) or line.test is None:
        return
    where = target.test_where or target.where
    at = _far_end(entry, where, targets, net, collector) if entry.dial_in_port is None else entry.address or site
    if at is None:
        return
    every = entry.every or USUAL_EVERY_SECONDS
    parents = ((primary[target.id],),) if target.id in primary else ()
    for direction in _directions(entry):
        probe = _probe(line, entry, direction, where, collector)
        if probe is not None:
            yield _check(f"{site}/{target.id}/capacity-{direction}", probe, at, secret_of(entry), every, parents, RULES[direction])


def control_site(name: str, entry: LineTestsEntry) -> Site | None:
    if entry.control is None:
        return None
    device = Device(id=CONTROL, address=entry.control.address, profile="line-test-control", role="server", label=name)
    return Site(id=LINE_TESTS, kind="hub", name=name, full_name=name, devices={CONTROL: device})


def control_checks(entry: LineTestsEntry, tests: Iterable[Check], where: Where, collector: Collector) -> Iterator[Check]:
    """One for each contract and direction that is tested: what a line did not carry, our own end must have carried."""
    control = entry.control
    if control is None:
        return
    try:
        at = str(address(control.address))
    except WrongAddress as wrong:
        collector.error((where[0], (*where[1], "control", "address")), wrong.key, at_key=False, hint="", name="", **wrong.fields)
        return
    wanted = sorted(
        {(check.probe.direction, check.probe.contract_bits_per_second) for check in tests if isinstance(check.probe, Bandwidth)}
    )
    for direction, contract in wanted:
        probe = Bandwidth(contract_bits_per_second=contract, direction=direction, port=control.port)
        name = f"capacity-{direction}-{contract / 1e6:g}mbps".replace(".", "-")
        yield _check(f"{LINE_TESTS}/{CONTROL}/{name}", probe, at, ("token", control.token), USUAL_EVERY_SECONDS, (), ())


def look_at_head_room(entry: LineTestsEntry, sites: Mapping[str, Site], tests: Iterable[Check], where: Where, collector: Collector) -> None:
    """Complains of one that limits nothing, and of one in which a test never fits."""
    shares: dict[str, dict[str, float]] = {tag: {} for tag in entry.head_room}  # by the line's test, what it takes of it
    known = {UPLINK}
    for check in tests:
        place = sites[check.site].lines.get(check.target)
        tags = {UPLINK, *(place.tags if place is not None else ())}
        known |= tags
        for tag in tags & shares.keys():
            shares[tag][check.id] = check.probe.plan().pace_bits_per_second if isinstance(check.probe, Bandwidth) else 0.0
    for tag, room in entry.head_room.items():
        at = (where[0], (*where[1], "head_room", tag))
        most = max(shares[tag], key=shares[tag].__getitem__, default="")
        if shares[tag] and shares[tag][most] > room:
            collector.error(at, "line_tests_head_room", needed=f"{shares[tag][most] / 1e6:g} Mbps", check=most)
        if known != {UPLINK} and tag not in known:
            collector.warn(at, "line_tests_nothing", word=tag, known=", ".join(sorted(known)))


def _check(
    check_id: str,
    probe: Bandwidth,
    at: str,
    secret: tuple[str, str] | None,
    every: float,
    parents: tuple[tuple[str, ...], ...],
    rules: tuple[Rule, ...],
) -> Check:
    site, target, name = check_id.split("/")
    own_part = repr(parents).replace(f"'{site}/", "'/")  # so that a site that is renamed keeps what is believed of it
    measures = repr((sorted(_measured(probe).items()), at, secret[1] if secret is not None else None, every, own_part))
    return Check(
        id=check_id,
        site=site,
        target=target,
        name=name,
        kind="bandwidth",
        probe=probe,
        address=at,
        secrets={secret[0]: Secret(secret[1])} if secret is not None else {},
        interval_seconds=every,
        timeout_seconds=min(probe.plan().max_seconds + _margin_seconds(probe), every),
        retry_seconds=min(RETRY_SECONDS, every),
        rules=rules,
        parents=parents,
        audience="digest",
        fingerprint=hashlib.blake2b(measures.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest(),
    )


def _margin_seconds(probe: Bandwidth) -> float:
    return MARGIN_SECONDS + MORE_SECONDS.get(probe.method, 0.0) + (DIAL_IN_SECONDS if probe.dial_in_port is not None else 0.0)


def _measured(probe: Bandwidth) -> dict[str, object]:
    return dict(vars(probe))


def _directions(entry: LineTestEntry) -> tuple[Direction, ...]:
    return DIRECTIONS[directions_of(entry)]


def _probe(line: Line, entry: LineTestEntry, direction: Direction, where: Where, collector: Collector) -> Bandwidth | None:
    contract = line.contract_bits_per_second(direction)
    if not contract:
        collector.error(where, "line_test_contract", at_key=True, word=line.id)
        return None
    options: dict[str, Any] = {"contract_bits_per_second": contract, "direction": direction, "method": method_of(entry)}
    given = {
        "port": entry.port or USUAL_PORTS.get(method_of(entry)),
        "burst_bytes": int(entry.burst) if entry.burst is not None else None,
        "dial_in_port": entry.dial_in_port,
        "url": entry.url,
        "streams": entry.streams,
        "user": entry.user,
        "fetch_port": entry.fetch_port,
        "verify": entry.verify,
        "ca_file": entry.ca_file,
    }
    options |= {name: value for name, value in given.items() if value is not None}
    try:
        return ADAPTER.validate_json(json.dumps(options))
    except pydantic.ValidationError as error:
        collector.error(
            where, "other", at_key=True, reason="; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        )
        return None


def _far_end(entry: LineTestEntry, where: Where, targets: Mapping[str, Target], net: Network | None, collector: Collector) -> str | None:
    """Where it listens: at a device of the site, at a host of its network, at an address of its own, or at that in the URL."""
    ways: dict[str, Callable[[], str]] = {}
    if entry.device is not None:
        name = entry.device
        if name not in targets:
            collector.unknown(at_key(where, "device"), "line_test_device", name, targets)
            return None
        ways["device"] = lambda: targets[name].address
    if entry.host is not None:
        number = entry.host
        if net is None:
            return None
        ways["host"] = lambda: str(host(net, number))
    if entry.address is not None:
        written = entry.address
        ways["address"] = lambda: str(address(written))
    in_url = address_in_url(entry)
    if in_url is not None and not ways:
        return in_url
    if len(ways) != 1:
        collector.error(where, "line_test_where", at_key=True)
        return None
    ((key, found),) = ways.items()
    try:
        at = found()
    except WrongAddress as wrong:
        collector.error(at_key(where, key), wrong.key, at_key=False, hint="", name="", **wrong.fields)
        return None
    if in_url not in {None, at}:
        collector.error(at_key(where, "url"), "line_test_url_other", word=key, address=at)
        return None
    return at


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
