import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.model import Belief
from netwatch.quality import (
    G711,
    G711_PLC,
    G729A,
    PERCENTILES,
    Train,
    grade_video,
    jitter_seconds,
    mos,
    mouth_to_ear_seconds,
    percentile,
    quality,
    r_factor,
    trains,
    variations,
    voice,
)

seconds = st.floats(0, 10)
ratios = st.floats(0, 1)


@pytest.mark.parametrize(("r", "expected"), [(93.2, 4.41), (90, 4.34), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_mos_of_a_known_r(r, expected):
    assert mos(r) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("method", "milliseconds", "percent", "r", "expected"),
    [
        ("simple", 150, 0, 89.6, 4.33),
        ("simple", 150, 1, 86.0, 4.23),
        ("simple", 300, 5, 56.7, 2.93),
        ("g107", 150, 0, 93.0, 4.41),
        ("g107", 150, 3, 82.9, 4.13),
        ("g107", 400, 0, 69.1, 3.56),
        ("g107", 100, 0, 93.2, 4.41),
    ],
)
def test_the_e_model_gives_the_known_figures(method, milliseconds, percent, r, expected):
    found = r_factor(milliseconds / 1000, percent / 100, method=method)
    assert found == pytest.approx(r, abs=0.05)
    assert mos(found) == pytest.approx(expected, abs=0.005)


def test_the_shortcut_gives_its_known_figure():
    found = voice(0.150, 0.020, 0.01, method="shortcut")
    assert (found.r, found.mos) == (pytest.approx(82.7, abs=0.05), pytest.approx(4.12, abs=0.005))
    assert found.method == "shortcut"


def test_one_packet_alone_has_no_jitter_to_wait_for():
    assert voice(0.1, None, 0.0, method="shortcut").delay_seconds == pytest.approx(0.11)
    assert voice(0.1, None, 0.0).delay_seconds == pytest.approx(0.09)


def test_the_scale_begins_at_one():
    # The curve of annex B itself gives 0.99 here.
    assert mos(3) == 1
    assert mos(0) == mos(-5) == 1
    assert mos(100) == 4.5


def test_codecs_differ_in_what_they_bear():
    assert r_factor(0.1, 0.02, codec=G711) < r_factor(0.1, 0.02, codec=G729A) < r_factor(0.1, 0.02, codec=G711_PLC)


@pytest.mark.parametrize(("codec", "loss", "r"), [(G711, 0.0, 93.2), (G711, 0.043, 45.7), (G729A, 0.0, 82.2), (G729A, 0.19, 40.2)])
def test_a_codec_costs_what_g113_says(codec, loss, r):
    # Without loss Ie, and with a loss of Bpl per cent half of what is left up to 95.
    assert r_factor(0.05, loss, codec=codec) == pytest.approx(r)


def test_speech_that_nobody_understands_has_an_r_of_nothing():
    assert r_factor(2.0, 1.0, codec=G711) == 0
    assert voice(2.0, 1.0, 1.0, method="shortcut").r == 0


def test_loss_in_bursts_is_worse():
    assert r_factor(0.1, 0.02, burst=2) < r_factor(0.1, 0.02)


@given(seconds, ratios)
def test_mistake_negative_r_and_a_mos_outside_its_scale(delay, loss):
    for method in ("g107", "simple"):
        r = r_factor(delay, loss, method=method)
        assert 0 <= r <= 93.2
        assert 1 <= mos(r) <= 4.5
    assert voice(delay, delay, loss, method="shortcut").r >= 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_mos_stays_on_its_scale_whatever_r(r):
    assert 1 <= mos(r) <= 4.5


def test_mistake_a_good_mos_where_nothing_was_measured():
    assert voice(None, None, 1.0) is None
    assert quality([]) is None
    silent = quality([Train((), 5)])
    assert silent.voice is None
    assert silent.rtt_seconds == {}
    assert silent.loss_ratio == 1
    assert silent.video is Belief.CRIT


def test_mistake_a_running_count_of_lost_packets_for_their_percentage():
    # 3 lost in an hour are 3 of 3,600, not "3 %"; and what was lost before the window does not count in it.
    hour = quality([Train((0.03,) * 5, 5)] * 717 + [Train((0.03,) * 4, 5)] * 3)
    assert hour.loss_ratio == pytest.approx(3 / 3600)
    assert hour.voice.mos > 4.3


@given(st.integers(1, 50), st.integers(0, 5))
def test_mistake_loss_that_grows_with_the_length_of_the_window(times, lost):
    once = quality([Train((0.03,) * (5 - lost), 5)])
    longer = quality([Train((0.03,) * (5 - lost), 5)] * times)
    assert longer.loss_ratio == pytest.approx(once.loss_ratio)


def test_mistake_the_round_trip_for_the_delay_one_way():
    assert voice(0.3, 0.0, 0.0).delay_seconds == pytest.approx(0.15 + 0.02 + 0.02)


@given(seconds, st.floats(0, 1))
def test_the_ear_waits_for_packet_buffer_and_way(way, jitter):
    assert mouth_to_ear_seconds(way, jitter) == pytest.approx(way + 0.02 + max(0.02, 2 * jitter))


@given(seconds, seconds, ratios, ratios)
def test_voice_never_gets_better_by_delay_or_loss(delay, more, loss, worse):
    for method in ("g107", "simple", "shortcut"):
        good = voice(min(delay, more), 0.0, min(loss, worse), method=method)
        bad = voice(max(delay, more), 0.0, max(loss, worse), method=method)
        assert bad.r <= good.r + 1e-9
        assert bad.mos <= good.mos + 1e-9


def test_percentiles_lie_between_neighbours():
    assert [percentile([1, 2, 3, 4, 5], point) for point in (0, 10, 50, 90, 100)] == pytest.approx([1, 1.4, 3, 4.6, 5])
    assert percentile([], 50) is None


@given(st.lists(seconds, min_size=1))
def test_percentiles_grow_and_stay_within_what_was_measured(values):
    found = [percentile(values, point) for point in PERCENTILES]
    assert all(low <= high + 1e-12 for low, high in itertools.pairwise(found))
    assert min(values) - 1e-12 <= found[0]
    assert found[-1] <= max(values) + 1e-12


def test_jitter_is_smoothed_as_rtp_does():
    # D = 10, 0, −20 ms: 10, then 10 + (0 − 10) / 16, then + (20 − 9.375) / 16.
    found = jitter_seconds([Train((0.020, 0.030, 0.030, 0.010), 4)])
    assert found == pytest.approx(0.01 - 0.000625 + (0.02 - 0.009375) / 16)


def test_no_jitter_over_the_pause_between_trains():
    assert jitter_seconds([Train((0.02, 0.02), 2), Train((0.5, 0.5), 2)]) == 0
    assert variations([Train((0.02,), 1), Train((0.5,), 1)]) == []
    assert jitter_seconds([Train((0.02,), 1)]) is None


@given(st.lists(st.builds(Train, st.lists(seconds, max_size=5).map(tuple), st.just(5)), max_size=10))
def test_a_quality_is_none_or_all_of_it_is_sane(several):
    found = quality(several)
    assert (found is None) == (not several)
    if found is not None:
        assert 0 <= found.loss_ratio <= 1
        assert (found.voice is None) == (found.received == 0)
        assert found.jitter_seconds is None or 0 <= found.jitter_seconds <= 10
        assert all(math.isfinite(value) for value in found.rtt_seconds.values())


@pytest.mark.parametrize(
    ("rtt", "jitter", "lost", "usual", "strict"),
    [
        (0.150, 0.020, 0, Belief.OK, Belief.OK),
        (0.151, 0.0, 0, Belief.OK, Belief.WARN),
        (0.0, 0.021, 0, Belief.OK, Belief.WARN),
        (0.0, 0.0, 2, Belief.OK, Belief.WARN),
        (0.201, 0.0, 0, Belief.WARN, Belief.WARN),
        (0.0, 0.031, 0, Belief.WARN, Belief.WARN),
        (0.0, 0.0, 6, Belief.WARN, Belief.WARN),
        (0.301, 0.0, 0, Belief.CRIT, Belief.CRIT),
        (0.0, 0.051, 0, Belief.CRIT, Belief.CRIT),
        (0.0, 0.0, 21, Belief.CRIT, Belief.CRIT),
    ],
)
def test_video_is_graded_and_more_strictly_in_a_meeting(rtt, jitter, lost, usual, strict):
    assert grade_video(rtt, jitter, 1000, 1000 - lost) is usual
    assert grade_video(rtt, jitter, 1000, 1000 - lost, strict=True) is strict


def test_one_lost_packet_is_no_rate_but_silence_is():
    assert grade_video(0.02, 0.0, 300, 299, strict=True) is Belief.OK
    assert grade_video(0.02, 0.0, 300, 298, strict=True) is Belief.WARN
    assert grade_video(None, None, 1, 0) is Belief.CRIT
    assert grade_video(None, None, 0, 0) is Belief.UNKNOWN


def test_trains_are_found_again_from_what_history_keeps():
    delays = [(10.0, (0.02,) * 5), (15.0, (0.02,) * 4), (25.0, (0.03,)), (30.0, (0.02,) * 5)]
    losses = [(10.0, (0.0,)), (15.0, (0.2,)), (20.0, (1.0,)), (21.0, (1.0,)), (25.0, (0.0,)), (30.0, (0.0,))]
    assert [(len(one.delays), one.sent) for one in trains(delays, losses, 5)] == [(5, 5), (4, 5), (0, 5), (0, 1), (1, 1), (5, 5)]


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=20))
def test_what_was_sent_and_lost_comes_back_from_history_as_it_was(runs):
    runs = [(sent, min(lost, sent)) for sent, lost in runs]
    runs = [(sent, lost) for sent, lost in runs if lost < sent]
    delays = [(float(wall), (0.02,) * (sent - lost)) for wall, (sent, lost) in enumerate(runs)]
    losses = [(float(wall), (1 - (sent - lost) / sent,)) for wall, (sent, lost) in enumerate(runs)]
    assert [(one.sent, len(one.delays)) for one in trains(delays, losses, 5)] == [(sent, sent - lost) for sent, lost in runs]
