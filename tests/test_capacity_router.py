"""Tests of a line by having a RouterOS router fetch from us: against one that is as documented, and ones that are not."""

import asyncio
import contextlib
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.line import measurement_of
from netwatch.line._measurement import Malformed
from probes import ProbeFailed, ProbeMisconfigured, Secret, Shared, Target
from probes._capacity import Bin, Decision, Estimate
from probes._capacity_router import RouterTest
from probes._fetched import FetchPort
from probes._routeros import Load, load_of
from probes._stream_rules import stream_plan
from probes._wire.capacity import BadFrame
from probes.bandwidth import Bandwidth, document
from tests.certificates import Authority
from tests.routeros import PASSWORD, USER, Refused, RouterOs, fetch

ROOT = Path(__file__).parent.parent
HERE = "127.0.0.1"
CONTRACT = 40e6


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def free_port():
    with socket.create_server((HERE, 0)) as free:
        return free.getsockname()[1]


def measured(router, authority, *, password=PASSWORD, seconds=60.0, stop=None, **more):
    options = {"contract_bits_per_second": CONTRACT, "direction": "down", "user": USER, "ca_file": str(authority.file), **more}
    number = free_port()
    probe = Bandwidth(method="router", port=router.port, fetch_port=number, **options)

    async def scenario():
        shared = Shared()
        try:
            async with asyncio.timeout(seconds):
                deadline = asyncio.get_running_loop().time() + seconds
                return await probe.measure(Target(address=HERE, deadline=deadline, secrets={"password": Secret(password)}), shared)
        finally:
            with socket.create_server(("", number)):  # nobody else listens there any more
                await shared.aclose()

    return asyncio.run(scenario())


def failure(*arguments, kind=ProbeFailed, **more):
    with pytest.raises(kind) as caught:
        measured(*arguments, **more)
    return caught.value


def test_a_router_that_fetches_proves_a_faster_line_and_its_cpu_is_told(authority):
    with RouterOs(authority.server(), loads=[2, 7, 9]) as router:
        outcome = measured(router, authority)
    assert (outcome.verdict, outcome.method, outcome.facts["streams"]) == ("proved", "router", "4"), outcome
    assert outcome.estimate.low > CONTRACT
    assert (outcome.facts["router_cpu_before"], outcome.facts["router_cpu"]) == ("0.02", "0.09")
    assert outcome.facts["fetched_from"] == HERE
    assert document(outcome)["facts"]["router_cores"] == "0.36"


def test_it_is_told_to_fetch_as_the_documentation_has_it_and_to_keep_nothing(authority):
    with RouterOs(authority.server()) as router:
        measured(router, authority, streams=2)
    assert len(router.asked) == 2
    for path, asked in router.asked:
        assert path == "/rest/tool/fetch"
        assert {name: value for name, value in asked.items() if name != "url"} == {"output": "none"}
        assert asked["url"].startswith(f"http://{HERE}:")
    assert len({asked["url"] for _, asked in router.asked}) == 2
    assert sum(got for got, _ in router.fetched) > 1_000_000


def test_one_that_closes_after_each_answer_will_do(authority):
    with RouterOs(authority.server(), close=True) as router:
        outcome = measured(router, authority)
    assert outcome.verdict == "proved"
    assert outcome.facts["router_cpu"] == "0.03"


def test_an_older_one_puts_its_resources_in_a_list():
    assert load_of([{"cpu-load": "50", "cpu-count": "4"}]) == Load(0.5, 2.0)


@given(
    st.one_of(
        st.none() | st.booleans() | st.integers() | st.text(),
        st.lists(st.integers(), max_size=2),
        st.dictionaries(
            st.sampled_from(["cpu-load", "cpu-count"]), st.one_of(st.integers(), st.text(max_size=5), st.sampled_from(["4", "101"]))
        ),
    )
)
def test_whatever_it_says_of_its_cpu_is_a_load_or_refused(told):
    with contextlib.suppress(BadFrame):
        found = load_of(told)
        assert 0 <= found.ratio <= 1
        assert found.ratio <= found.cores <= 1024


def test_a_wrong_password_is_told_and_nothing_is_fetched(authority):
    with RouterOs(authority.server()) as router:
        assert failure(router, authority, password="other").code == "router_login"
    assert router.asked == []


def test_a_certificate_that_is_not_trusted_gets_no_password(authority):
    with RouterOs(authority.server()) as router:
        assert failure(router, authority, ca_file="").code == "tls"
        assert measured(router, authority, ca_file="", verify=False).verdict == "proved"


def test_a_refusal_is_told_in_its_words_without_the_password(authority):
    def refuses(url):
        raise Refused(f"not enough permissions (9) {PASSWORD}\n")

    with RouterOs(authority.server(), fetches=refuses) as router:
        found = failure(router, authority)
    assert found.code == "router_refuses"
    assert "not enough permissions" in found.reading.detail
    assert PASSWORD not in found.reading.detail


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr("probes._capacity_router.FETCH_SECONDS", 1.0)


@pytest.mark.usefixtures("soon")
def test_one_that_hangs_is_timed_out_and_what_it_holds_is_freed(authority):
    with RouterOs(authority.server(), fetches=lambda url: router.over.wait(20)) as router:
        assert failure(router, authority).code == "not_fetched"
    assert not [thread for thread in threading.enumerate() if thread.name in {"router", "fetch port"}]


def test_one_that_says_nothing_at_all_is_a_timeout(authority):
    with RouterOs(authority.server()) as router:
        router.load = lambda: router.over.wait(20)
        with pytest.raises(TimeoutError):
            measured(router, authority)


@pytest.mark.parametrize("resource", [{"cpu-load": "3"}, {"cpu-load": "x", "cpu-count": "1"}, [], "no"])
def test_what_is_no_router_is_told(authority, resource):
    with RouterOs(authority.server(), resource=resource or [{}]) as router:
        assert failure(router, authority).code == "not_router"


@pytest.mark.usefixtures("soon")
def test_one_that_says_it_has_fetched_and_has_not_is_told(authority):
    with RouterOs(authority.server(), fetches=lambda url: (20_000_000, 200)) as router:
        assert failure(router, authority).code == "not_fetched"


def test_one_that_fetches_twice_is_let_in_once(authority):
    again = []

    def twice(url):
        def once_more():
            if not again:
                again.append(fetch(url))

        return fetch(url, pause=once_more)

    with RouterOs(authority.server(), fetches=twice) as router:
        outcome = measured(router, authority, streams=1)
    assert outcome.verdict == "proved"
    assert [status for _, status in again] == [404]


def test_two_sites_at_once_share_the_port_and_each_gets_its_own(authority):
    async def scenario(*routers):
        shared = Shared()
        number = free_port()
        options = {"contract_bits_per_second": 20e6, "direction": "down", "user": USER, "ca_file": str(authority.file)}
        probes = [Bandwidth(method="router", port=router.port, fetch_port=number, **options) for router in routers]
        target = Target(address=HERE, deadline=asyncio.get_running_loop().time() + 60, secrets={"password": Secret(PASSWORD)})
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(probe.measure(target, shared)) for probe in probes]
        finally:
            await shared.aclose()
        return [task.result() for task in tasks]

    with RouterOs(authority.server()) as one, RouterOs(authority.server()) as other:
        outcomes = asyncio.run(scenario(one, other))
    assert [outcome.verdict for outcome in outcomes] == ["proved", "proved"]
    assert len(one.asked) == len(other.asked) == 4


def test_who_does_not_know_the_word_gets_nothing():
    arrivals = []
    port = FetchPort(0)
    number = port.expect(["0" * 32], type("Arrivals", (), {"put": lambda _, visit: arrivals.append(visit)})())
    try:
        for path in ("/", "/line-test/", f"/line-test/{'1' * 32}", f"/line-test/{'0' * 31}", f"/line-test/{'0' * 32}x", "/" + "a" * 20_000):
            with contextlib.suppress(OSError, IndexError):
                assert fetch(f"http://{HERE}:{number}{path}")[1] == 404
        with socket.create_connection((HERE, number), 5) as silent:
            silent.sendall(b"GET /li")
            assert fetch(f"http://{HERE}:{number}/x")[1] == 404
    finally:
        port.close()
    assert arrivals == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, number), 1)


def test_what_is_fetched_from_two_addresses_is_nobodys_measurement(authority):
    sources = iter([HERE, "127.0.0.2", "127.0.0.2", "127.0.0.2"])
    with RouterOs(authority.server(), fetches=lambda url: fetch(url, source=next(sources))) as router:
        assert failure(router, authority).code == "other_fetched"


def test_a_reset_halfway_decides_nothing(authority):
    with RouterOs(authority.server(), fetches=lambda url: fetch(url, most=200_000)) as router:
        outcome = measured(router, authority)
    assert (outcome.verdict, outcome.reason) == ("inconclusive", "peer_gone")


def slowly(url):
    return fetch(url, portion=4096, pause=lambda: time.sleep(0.01))


def test_a_router_whose_cpu_was_full_answers_for_nothing(authority):
    with RouterOs(authority.server(), fetches=slowly, loads=[40, 100]) as router:
        outcome = measured(router, authority)
    assert (outcome.verdict, outcome.reason, outcome.limit_end) == ("inconclusive", "router_cpu", "far")
    assert outcome.facts["router_cpu"] == "1.00"


def test_one_full_core_of_four_is_enough_for_that(authority):
    with RouterOs(authority.server(), fetches=slowly, loads=[3, 24]) as router:
        assert measured(router, authority).reason == "router_cpu"
    with RouterOs(authority.server(), fetches=slowly, loads=[3, 5]) as router:
        outcome = measured(router, authority)
    assert outcome.verdict == "inconclusive"
    assert outcome.reason != "router_cpu"


def test_a_router_that_is_busy_already_is_left_alone(authority):
    with RouterOs(authority.server(), loads=[97]) as router:
        outcome = measured(router, authority)
    assert (outcome.verdict, outcome.reason, outcome.bytes_ip) == ("inconclusive", "router_cpu", 0)
    assert router.asked == []


def test_what_a_busy_router_took_was_carried_all_the_same(authority):
    with RouterOs(authority.server(), loads=[3, 100]) as router:
        assert measured(router, authority).verdict == "proved"


@pytest.mark.parametrize(
    ("loads", "reason"), [([Load(0.5, 2.0)], "router_cpu"), ([], "router_cpu_unknown"), ([Load(0.1, 0.4)], "below_contract")]
)
def test_a_line_is_refuted_only_where_the_router_is_known_to_have_had_time(loads, reason):
    test = RouterTest(stream_plan("down", CONTRACT), None, None)
    test._loads, test._bins = loads, [Bin(0.05, 100_000)] * 8
    test._decision = Decision("refuted", "below_contract", Estimate(15e6, 16e6, 17e6), "line")
    found = test._by_its_cpu(test._outcome("refuted", "below_contract", "line"))
    assert found.reason == reason
    assert (found.verdict == "refuted") == (reason == "below_contract")


@pytest.mark.parametrize("told", ["1.5", "-0.1", "nan", 0.5, ""])
def test_a_cpu_that_cannot_be_is_no_evidence(told):
    document_ = {"verdict": "refuted", "facts": {"router_cpu": "0.40"}}
    assert measurement_of(document_, 0.0).router_cpu_ratio == 0.4
    with pytest.raises(Malformed):
        measurement_of({**document_, "facts": {"router_cpu": told}}, 0.0)


def test_whoever_needs_the_line_ends_it_at_once_and_the_router_with_it(authority):
    began = threading.Event()

    def fetches(url):
        return fetch(url, pause=began.set)

    async def scenario(router):
        shared = Shared()
        options = {"contract_bits_per_second": 1e6, "burst_bytes": 50_000_000, "max_bytes": 400_000_000, "max_seconds": 20}
        probe = Bandwidth(
            method="router", direction="down", user=USER, port=router.port, fetch_port=free_port(), ca_file=str(authority.file), **options
        )
        loop = asyncio.get_running_loop()
        reported = []
        target = Target(address=HERE, deadline=loop.time() + 60, secrets={"password": Secret(PASSWORD)}, report=reported.append)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(probe.measure(target, shared))
            await asyncio.to_thread(began.wait, 20)
            task.cancel()
        await shared.aclose()
        return reported

    with RouterOs(authority.server(), fetches=fetches) as router:
        (spent,) = asyncio.run(scenario(router))
        while len(router.fetched) < 4:
            threading.Event().wait(0.01)
    assert spent.name == "bandwidth_spent_bytes"


def test_it_cannot_be_asked_for_what_a_router_cannot_do(authority):
    with RouterOs(authority.server()) as router:
        assert failure(router, authority, kind=ProbeMisconfigured, direction="up").code == "router_up"


def test_a_port_that_is_taken_is_told(authority):
    with RouterOs(authority.server()) as router, socket.create_server(("", 0)) as taken:
        probe = Bandwidth(
            method="router",
            direction="down",
            contract_bits_per_second=CONTRACT,
            user=USER,
            port=router.port,
            fetch_port=taken.getsockname()[1],
            ca_file=str(authority.file),
        )

        async def scenario():
            deadline = asyncio.get_running_loop().time() + 30
            await probe.measure(Target(address=HERE, deadline=deadline, secrets={"password": Secret(PASSWORD)}), Shared())

        with pytest.raises(ProbeFailed) as caught:
            asyncio.run(scenario())
    assert caught.value.code == "fetch_port"


def test_no_secret_is_logged_or_told(authority, caplog):
    caplog.set_level(logging.DEBUG)
    with RouterOs(authority.server()) as router:
        told = str(document(measured(router, authority)))
    words = [asked["url"].rpartition("/")[2] for _, asked in router.asked]
    for secret in (PASSWORD, *words):
        assert secret not in told
        assert secret not in caplog.text


@pytest.mark.needs_private_network
@pytest.mark.parametrize(
    ("rate", "cpu", "verdict", "reason"),
    [(30e6, 20, "proved", ""), (13e6, 20, "refuted", ""), (13e6, 95, "inconclusive", "router_cpu")],
)
def test_a_line_that_the_kernel_shapes_is_judged_right_by_what_a_router_fetches(tmp_path, rate, cpu, verdict, reason):
    command = [sys.executable, "-m", "tests.shaped_router", str(tmp_path), str(rate), str(cpu), "20e6"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["verdict"] == verdict, told
    assert not reason or told["reason"] == reason
    if verdict == "refuted":
        assert told["line_bits_per_second"] == pytest.approx(rate, rel=0.05)
    assert told["facts"]["router_cpu"] == f"{cpu / 100:.2f}"
