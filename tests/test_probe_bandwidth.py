"""One test of a line by UDP: what is measured, what is refused, and what a hostile far end can make of it."""

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from netwatch.cli.probe_bandwidth import _print
from probes import ProbeFailed, ProbeMisconfigured, Secret, Shared, Target
from probes._capacity import Outcome, plan
from probes._capacity_run import Over
from probes._capacity_udp import UdpTest, _Checked
from probes._paced import Counter, Sender
from probes._wire.capacity import Heard
from probes.bandwidth import Bandwidth, document
from tests import capacity_peer
from tests.capacity_peer import TEST, TOKEN, Hostile, lies, reflecting

CONTRACT = 5e6  # of a busy machine's loopback no more is asked
WORD = TOKEN.decode()
ROOT = Path(__file__).parent.parent


def target(address="127.0.0.1", token=WORD, report=lambda _sample: None):
    return Target(
        address=address, deadline=asyncio.get_running_loop().time() + 60, secrets={"token": Secret(token)} if token else {}, report=report
    )


def probe(port, direction="down", contract=CONTRACT, **more):
    return Bandwidth(contract_bits_per_second=contract, direction=direction, port=port, **more)


def measured(port, direction="down", **more) -> Outcome:
    async def scenario():
        return await probe(port, direction, **more).measure(target())

    return asyncio.run(scenario())


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_line_faster_than_its_contract_is_proved(direction):
    with reflecting() as port:
        outcome = measured(port, direction)
    assert (outcome.verdict, outcome.reason) == ("proved", "above_contract")
    assert outcome.estimate.low > CONTRACT
    assert outcome.bytes_ip < outcome.plan.max_bytes
    assert outcome.goodput_bits_per_second == pytest.approx(outcome.estimate.value * 1372 / 1400)
    assert outcome.facts["stamps"] == "kernel"


def test_two_tests_one_after_the_other_find_the_reflector_free():
    with reflecting() as port:
        assert [measured(port, direction).verdict for direction in ("up", "down", "up")] == ["proved"] * 3


def test_ipv6_counts_its_longer_header():
    with reflecting(host="::1") as port:

        async def scenario():
            return await probe(port).measure(target("::1"))

        outcome = asyncio.run(scenario())
    assert outcome.verdict == "proved"
    assert outcome.goodput_bits_per_second == pytest.approx(outcome.estimate.value * 1352 / 1400)


def test_the_reading_says_rates_in_bytes_and_carries_what_evidence_needs():
    async def scenario(port):
        return await probe(port).run(target(), Shared())

    with reflecting() as port:
        reading = asyncio.run(scenario(port))
    told = json.loads(reading.facts["bandwidth"])
    values = {sample.name: sample.values[0] for sample in reading.samples}
    assert {sample.instance for sample in reading.samples} == {"down"}
    assert values["bandwidth_bytes_per_second"] == pytest.approx(told["line_bits_per_second"] / 8, rel=1e-6)
    assert values["bandwidth_spent_bytes"] == told["bytes"]
    assert (told["verdict"], told["burst_bytes"], len(told["bins"]) >= 6) == ("proved", 50_000, True)
    assert set(values) == set(probe(port).metrics())


@pytest.mark.parametrize("method", ["udp", "tcp"])
def test_what_others_are_expected_to_send_is_in_the_plan_of_the_test(method):
    async def scenario(port):
        expecting = dataclasses.replace(target(), others_bits_per_second=1e6)
        return await probe(port, method=method).measure(expecting)

    with reflecting() as port:
        outcome = asyncio.run(scenario(port))
    assert outcome.plan.others_bits_per_second == document(outcome)["others_bits_per_second"] == 1e6


CAPS = [("max_bytes", 200_000, "cap_bytes"), ("max_seconds", 0.5, "cap_seconds")]


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize(("cap", "value", "reason"), CAPS)
def test_a_cap_ends_the_test_undecided(direction, cap, value, reason):
    with reflecting() as port:
        outcome = measured(port, direction, burst_bytes=10_000_000, **{cap: value})
    assert (outcome.verdict, outcome.reason) == ("inconclusive", reason)
    if cap == "max_bytes":
        assert outcome.bytes_ip <= value


HOSTILE = [
    ("down", capacity_peer.goes_after_three_bins, "peer_gone"),
    ("down", capacity_peer.resets_after_three_bins, "peer_gone"),
    ("down", capacity_peer.falls_silent_after_three_bins, "peer_silent"),
    ("down", capacity_peer.hears_nothing, "nothing_arrived"),
    ("down", capacity_peer.garbles, "peer_garbled"),
    ("down", capacity_peer.speaks_with_another_key, "peer_garbled"),
    ("down", lies(bytes_received=lambda one: one.bytes_received * 2), "peer_lied"),
    ("down", lies(packets=lambda one: one.packets + 1), "peer_lied"),
    ("down", lies(digest=lambda one: one.digest ^ 1), "peer_lied"),
    ("down", lies(seen=lambda one: b"\xff" * len(one.seen)), "peer_lied"),
    ("down", lies(base=lambda _: 4_000_000_000), "peer_lied"),
    ("down", lies(microseconds=lambda _: 25_000), "peer_lied"),
    ("down", lies(flags=lambda one: one.flags | Heard.CLOCK_STEPPED), "clock_stepped"),
    ("down", lies(flags=lambda one: one.flags | Heard.DROPPED), "receiver_slow"),
    ("down", capacity_peer.says_it_twice, "peer_lied"),
    ("down", capacity_peer.runs_ahead, "peer_lied"),
    ("up", capacity_peer.sends_thrice_as_fast, "peer_too_fast"),
    ("up", capacity_peer.sends_everything_many_times, "peer_too_fast"),
    ("up", capacity_peer.sends_short_packets, "nothing_arrived"),
    ("up", capacity_peer.stops_sending, "stalled"),
    ("up", capacity_peer.goes_while_sending, "peer_gone"),
    ("up", capacity_peer.sends_nothing, "nothing_arrived"),
    ("up", capacity_peer.numbers_what_was_never_asked_for, "nothing_arrived"),
]


@pytest.mark.parametrize(("direction", "behave", "reason"), HOSTILE)
def test_a_hostile_far_end_makes_a_test_inconclusive_with_the_reason(direction, behave, reason):
    with Hostile(behave) as peer:
        outcome = measured(peer.port, direction, burst_bytes=10_000_000)
    assert (outcome.verdict, outcome.reason) == ("inconclusive", reason)


def test_a_far_end_that_sends_too_fast_finds_the_port_closed():
    with Hostile(capacity_peer.sends_thrice_as_fast) as peer:
        measured(peer.port, "up")
        peer.over.set()
        with pytest.raises(ConnectionRefusedError):
            send_often(peer.datagrams)


def send_often(datagrams):
    """The answer to a closed port comes with the next send."""
    for _ in range(100):
        with contextlib.suppress(BlockingIOError):
            datagrams.send(b"more")
        time.sleep(0.01)


def answers(*portions):
    def behave(peer):
        peer.control.sendall(b"".join(portions))
        peer.over.wait(10)

    return behave


def closes(_peer):
    return None


def proves_nothing(peer):
    """A machine in the middle: it has no token, and hopes that nobody looks."""
    from probes._wire.capacity import Challenge, Framer, Welcome

    framer = Framer(b"reflector", b"prober")
    peer.control.sendall(framer.pack(Challenge(1, b"n" * 32)) + framer.pack(Welcome(b"p" * 32)))
    peer.over.wait(10)


def opens_no_way(peer):
    from probes._control import admit
    from probes._wire.capacity import PREAMBLE, Ready, Request

    peer.control.recv(len(PREAMBLE))
    control = admit(peer.control, TOKEN)
    control.receive(Request)
    control.send(Ready(TEST, 9))
    peer.over.wait(10)


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not_a_reflector"),
        (answers(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "not_a_reflector"),
        (closes, "peer_gone"),
        (proves_nothing, "token"),
        (opens_no_way, "udp_blocked"),
    ],
)
def test_what_is_no_reflector_is_told_and_measures_nothing(behave, code):
    with Hostile(behave) as peer, pytest.raises(ProbeFailed) as failed:
        measured(peer.port)
    assert failed.value.code == code


def test_a_far_end_that_accepts_and_never_answers_is_given_up():
    with Hostile(lambda peer: peer.over.wait(20)) as peer, pytest.raises(TimeoutError):
        measured(peer.port)


def test_a_wrong_token_is_ours_to_mend():
    with reflecting(token=b"another") as port, pytest.raises(ProbeMisconfigured) as failed:
        measured(port)
    assert failed.value.code == "token"


def test_without_a_token_nothing_is_asked():
    async def scenario():
        await probe(1).measure(target(token=""))

    with pytest.raises(ValueError, match="token"):
        asyncio.run(scenario())


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_stopped_test_yields_and_keeps_what_it_has_cost(direction):
    with reflecting() as port:
        test = UdpTest(plan(direction, CONTRACT, burst_bytes=10_000_000), TOKEN)
        threading.Timer(0.3, test.stop.set).start()
        outcome = test.run(socket.AF_INET, ("127.0.0.1", port))
    assert (outcome.verdict, outcome.reason) == ("inconclusive", "yielded")
    assert 0 < outcome.bytes_ip == test.bytes_ip


def test_a_cancelled_run_reports_what_it_has_cost():
    reported = []

    async def scenario(port):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.4):
                await probe(port, burst_bytes=10_000_000).run(target(report=reported.append), Shared())

    with reflecting() as port:
        asyncio.run(scenario(port))
    assert [(sample.name, sample.instance, sample.values[0] > 0) for sample in reported] == [("bandwidth_spent_bytes", "down", True)]


def test_a_cancelled_run_leaves_the_reflector_free():
    async def scenario(port):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.4):
                await probe(port, burst_bytes=10_000_000).run(target(), Shared())
        return await probe(port).measure(target())

    with reflecting() as port:
        assert asyncio.run(scenario(port)).verdict == "proved"


class Wire:
    """A sender and a counter on two connected sockets, without a network's whims."""

    def __init__(self, pace=5e6, wall_ns=time.time_ns, max_bytes=10_000_000):
        self.here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.there.bind(("127.0.0.1", 0))
        self.here.connect(self.there.getsockname())
        self.there.setblocking(False)
        self.sender = Sender(self.here, TEST, pace, max_bytes)
        self.counter = Counter(self.there, TEST, pace, 10_000_000, wall_ns)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.here.close()
        self.there.close()

    def until_bins(self, count):
        bins = []
        while len(bins) < count:
            self.sender.send_due(time.monotonic_ns())
            bins += self.counter.drain()
            time.sleep(0.001)
        return bins


def test_the_sender_never_sends_more_than_is_due():
    with Wire() as wire:
        start = 1_000_000_000
        wire.sender.send_due(start)
        for milliseconds in range(0, 1000, 10):
            wire.sender.send_due(start + milliseconds * 1_000_000)
            assert wire.sender.sent <= wire.sender.due(milliseconds * 1_000_000)
        full, ramp = 5e6 / 8 / 1400, 0.1 * 5e6 / 8 / 1400
        assert wire.sender.sent == pytest.approx(full * 0.89 + ramp * 0.6, abs=2)


def test_after_a_long_pause_the_sender_does_not_make_up_for_all_of_it_at_once():
    with Wire(pace=50e6) as wire:
        wire.sender.send_due(1)
        wire.sender.send_due(10_000_000_000)
        assert wire.sender.sent <= 50e6 / 8 / 1400 * 0.02 + 1


def test_the_sender_never_sends_more_than_it_may_however_much_is_due():
    with Wire(pace=50e6, max_bytes=10_000) as wire:
        for second in range(1, 4):
            wire.sender.send_due(second * 1_000_000_000)
        assert (wire.sender.sent, wire.sender.spent) == (7, True)


def test_a_packet_that_comes_twice_is_counted_once():
    with Wire() as wire:
        before = wire.until_bins(1)
        wire.sender.sent = 0
        wire.sender.send_due(time.monotonic_ns())
        wire.counter.drain()
        assert wire.counter.beyond > 0
        assert wire.counter.packets == wire.counter.highest + 1
        assert before[0].packets <= wire.counter.packets


LIES = [
    {"index": 1},
    {"index": 7},
    {"microseconds": 49_999},
    {"packets": 9_999},
    {"bytes_received": 1400},
    {"digest": 1},
    {"base": 4_000_000_000},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_each_figure_of_a_bin_is_held_against_what_was_sent(lie):
    with Wire() as wire:
        one = wire.until_bins(1)[0]
        later_ns = wire.sender.began_ns + 10_000_000_000
        _Checked(wire.sender).check(one, later_ns)
        with pytest.raises(Over):
            _Checked(wire.sender).check(dataclasses.replace(one, **lie), later_ns)


def test_a_bin_cannot_be_over_before_its_time():
    with Wire() as wire:
        one = wire.until_bins(1)[0]
        with pytest.raises(Over):
            _Checked(wire.sender).check(one, wire.sender.began_ns + 40_000_000)


def test_a_packet_cannot_be_in_two_bins():
    with Wire() as wire:
        one = wire.until_bins(1)[0]
        checked = _Checked(wire.sender)
        later_ns = wire.sender.began_ns + 10_000_000_000
        checked.check(one, later_ns)
        with pytest.raises(Over):
            checked.check(dataclasses.replace(one, index=1), later_ns)


def test_a_clock_that_is_set_is_noticed_by_its_counter():
    ahead = [0]
    with Wire(wall_ns=lambda: time.time_ns() + ahead[0]) as wire:
        assert not any(one.flags & Heard.CLOCK_STEPPED for one in wire.until_bins(2))
        ahead[0] = 3_600_000_000_000
        assert any(one.flags & Heard.CLOCK_STEPPED for one in wire.until_bins(3))


def test_a_digest_is_of_what_came_and_of_nothing_else():
    with Wire() as wire:
        one = next(bin_ for bin_ in wire.until_bins(2) if bin_.packets)
        numbers = [one.base + place for place in range(8 * len(one.seen)) if one.seen[place >> 3] >> (place & 7) & 1]
        assert len(numbers) == one.packets
        assert wire.sender.digest(iter(numbers)) == one.digest
        assert wire.sender.digest(iter(numbers[1:])) != one.digest
        with pytest.raises(IndexError):
            wire.sender.digest(iter([wire.sender.sent]))


def command(*arguments, token=WORD):
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": token, "LANG": "en"}
    return subprocess.run(
        [sys.executable, "-m", "netwatch", "probe", "bandwidth", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip


def test_the_command_prints_one_json_object_and_ends_with_0_whatever_the_verdict():
    with reflecting() as port:
        ended = command("127.0.0.1", "--port", port, "--contract", "5Mbps", "--direction", "down", "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert (told["verdict"], told["direction"], told["target"]) == ("proved", "down", "127.0.0.1")
    assert {"bytes", "seconds", "goodput_bits_per_second", "line_bits_per_second", "confidence", "reason"} <= set(told)


def test_the_command_says_why_nothing_was_measured():
    with reflecting() as port:
        ended = command("127.0.0.1", "--port", port, "--contract", "5Mbps", "--direction", "up", "--json", token="wrong")
    assert (ended.returncode, json.loads(ended.stdout)["reason"]) == (77, "token")
    assert ended.stderr.startswith("netwatch: 127.0.0.1: ")
    nobody = command("127.0.0.1", "--port", 9, "--contract", "5Mbps", "--direction", "up")
    assert (nobody.returncode, nobody.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--contract", "100", "--direction", "up"), 64),
        (("--contract", "5Mbps", "--direction", "sideways"), 64),
        (("--contract", "5Mbps", "--direction", "up", "--method", "smoke"), 64),
        (("--contract", "5Mbps", "--direction", "up", "--token-file", "/nowhere"), 66),
    ],
)
def test_the_command_refuses_what_makes_no_sense(arguments, code):
    ended = command("127.0.0.1", *arguments)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("contract", ["1kbps", "1bps"])
def test_the_command_names_its_own_option_when_a_contract_is_out_of_range(contract):
    ended = command("127.0.0.1", "--contract", contract, "--direction", "up")
    assert ended.returncode == 64
    assert ended.stderr.startswith(f"netwatch: --contract: '{contract}'; ")


def test_the_command_says_in_words_that_a_name_has_no_address():
    ended = command("nosuch.invalid", "--contract", "5Mbps", "--direction", "up", "--json")
    assert (ended.returncode, json.loads(ended.stdout)["reason"]) == (1, "resolve")
    assert "[Errno" not in ended.stderr


def test_what_found_no_rate_claims_no_confidence_in_one(capsys):
    nothing = UdpTest(plan("up", CONTRACT), TOKEN)._decision.estimate
    _print(Outcome("inconclusive", "nothing_arrived", "udp", plan("up", CONTRACT), nothing, 0, 1.0, 0.0))
    assert "%" not in capsys.readouterr().out


def test_a_document_has_no_number_that_json_has_not():
    outcome = Outcome(
        "inconclusive", "nothing_arrived", "udp", plan("up", CONTRACT), UdpTest(plan("up", CONTRACT), TOKEN)._decision.estimate, 0, 1.0, 0.0
    )
    told = json.loads(json.dumps(document(outcome), allow_nan=False))
    assert (told["high_bits_per_second"], told["confidence"]) == (None, 0.0)
