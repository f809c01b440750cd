"""Full tests, with the figures of RFC 6349: over lines that the kernel shapes, against iperf3; and on loopback."""

import json
import math
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import line
from probes import ProbeMisconfigured, Target
from probes._capacity import Full
from probes._full import FullTcp, full_plan
from probes.bandwidth import Bandwidth, document
from tests.capacity_peer import TOKEN, reflecting
from tests.full_line import QUEUE_BYTES

MBPS = 1e6
QUICK_SECONDS = 1.0


def over(rate, direction, contract, method="tcp"):
    command = [sys.executable, "-m", "tests.full_line", str(rate), direction, str(contract), method]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize(
    ("direction", "contract", "verdict"), [("down", 40 * MBPS, "proved"), pytest.param("up", 60 * MBPS, "refuted", marks=pytest.mark.soak)]
)
def test_a_full_test_measures_what_iperf3_does_and_how_long_the_queue_delays(direction, contract, verdict):
    """50 Mbps with a queue of 200 KB: full, it delays by 32 ms; what does not fit in is sent again."""
    told = over(50 * MBPS, direction, contract)
    found, full = told["found"], told["found"]["full"]
    assert found["goodput_bits_per_second"] == pytest.approx(told["iperf3_bits_per_second"], rel=0.03), told
    assert found["verdict"] == verdict, told
    assert found["line_bits_per_second"] == pytest.approx(50 * MBPS, rel=0.02)
    assert 6 <= found["seconds"] < 7
    queue_seconds = QUEUE_BYTES * 8 / (50 * MBPS)
    assert queue_seconds / 2 < full["loaded_rtt_seconds"] - full["baseline_rtt_seconds"] < queue_seconds * 1.1
    assert 0.8 < full["efficiency_ratio"] < 1
    assert (full["packet_bytes"], full["streams"]) == (1500, 8)
    assert full["transfer_time_ratio"] == pytest.approx(contract / (50 * MBPS), rel=0.03)


@pytest.mark.soak
def test_a_full_test_with_a_stock_iperf3_server_leaves_out_what_it_cannot_know():
    told = over(50 * MBPS, "up", 40 * MBPS, "iperf3")
    assert told["found"]["goodput_bits_per_second"] == pytest.approx(told["iperf3_bits_per_second"], rel=0.03), told
    assert told["found"]["full"]["efficiency_ratio"] is None
    assert told["found"]["full"]["loaded_rtt_seconds"] > 0.015


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_full_test_goes_on_when_it_is_settled_and_keeps_to_the_pace(direction):
    asked = full_plan(direction, 40 * MBPS, max_seconds=QUICK_SECONDS)
    with reflecting() as port:
        outcome = FullTcp(asked, TOKEN, streams=2).run(socket.AF_INET, ("127.0.0.1", port))
    assert outcome.verdict == "proved", outcome
    assert outcome.seconds >= QUICK_SECONDS
    assert outcome.bytes_ip <= asked.max_bytes
    assert outcome.full.baseline_rtt_seconds < 0.05
    assert outcome.full.sent_again_ratio is not None
    told = document(outcome)
    assert json.loads(json.dumps(told))["full"]["streams"] == 2
    kept = line.measurement_of(told, 0.0, full=True)
    assert kept.figures["packet_bytes"] == told["full"]["packet_bytes"]


def test_the_short_test_is_what_udp_makes():
    with pytest.raises(ProbeMisconfigured) as refused:
        Bandwidth(contract_bits_per_second=MBPS, direction="down", full=True)._test(Target(address="127.0.0.1", deadline=0.0))
    assert refused.value.code == "full_method"


def test_a_full_test_of_100_mbps_costs_what_is_said_before():
    asked = Bandwidth(contract_bits_per_second=100 * MBPS, direction="down", method="tcp", full=True).plan()
    assert (asked.max_seconds, asked.max_bytes, asked.pace_bits_per_second) == (10, 171_875_000, 125 * MBPS)


@given(
    baseline=st.floats(0, 10), loaded=st.none() | st.floats(0, 10), again=st.none() | st.floats(0, 1), packet=st.integers(0, 9000),
    goodput=st.floats(0, 1e10),
)  # fmt: skip
def test_figures_are_ratios_or_unknown(baseline, loaded, again, packet, goodput):
    full = Full(
        streams=8, baseline_rtt_seconds=baseline, loaded_rtt_seconds=loaded, packet_bytes=packet, headers_bytes=52, sent_again_ratio=again
    )
    for found in (full.buffer_delay_ratio, full.efficiency_ratio, full.transfer_time_ratio(100 * MBPS, goodput)):
        assert found is None or (found >= 0 and not math.isnan(found))
