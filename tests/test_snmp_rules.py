"""Counters, restarts, text, values and profiles of the SNMP probe: pure, so held to properties."""

import json
import math
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

import probes
from netwatch.lang import catalog
from probes._snmp_counters import Clock, passed, rate
from probes._snmp_profile import FOLDER, ProfileRefused, Source, load, names, parse, ranges
from probes._snmp_session import order
from probes._snmp_text import clean
from probes._snmp_values import Row, bits, combine, measure, number

WRAP = 2**32
ticks = st.integers(0, WRAP - 1)
elapsed = st.floats(1, 3600)


@given(st.integers(), st.integers(), st.floats(-10, 1e6), st.sampled_from([32, 64]), st.one_of(st.just(0.0), st.floats(0.1, 1e11)))
def test_a_rate_is_never_negative_nor_above_what_the_port_can_carry(before, now, seconds, width, ceiling):
    growth = rate(before, now, seconds, width, ceiling)
    if growth is not None:
        assert growth >= 0
        assert math.isfinite(growth)
        assert not ceiling or growth <= 1.1 * ceiling * (1 + 1e-9)


@given(st.integers(0, 2**63), st.integers(0, 10**9), elapsed)
def test_growth_of_a_64_bit_counter_is_its_rate(before, grown, seconds):
    assert rate(before, before + grown, seconds, 64) == pytest.approx(grown / seconds)


@given(st.integers(1, 2**64 - 1), elapsed, st.data())
def test_a_64_bit_counter_that_fell_was_reset(before, seconds, data):
    assert rate(before, data.draw(st.integers(0, before - 1)), seconds, 64) is None


@given(ticks, st.integers(0, 100_000_000), st.floats(10, 300))
def test_a_32_bit_counter_wraps_once_where_the_speed_allows_no_more(before, grown, seconds):
    fast = 12_500_000.0  # 100 Mbit/s wraps in 343.6 s
    growth = rate(before, (before + grown) % WRAP, seconds, 32, fast)
    if grown <= fast * seconds:
        assert growth == pytest.approx(grown / seconds)


@given(ticks, ticks)
def test_a_32_bit_counter_that_may_have_wrapped_twice_says_nothing(before, now):
    assert rate(before, now, 60.0, 32, 125_000_000.0) is None  # a gigabit wraps in 34 s


@pytest.mark.parametrize(
    ("before", "now", "expected"), [(WRAP - 10, 20, 0.5), (2**31, 20, None), (5, 4, None), (WRAP, 5, None), (-1, 5, None)]
)
def test_without_a_speed_a_fall_is_a_wrap_only_from_near_the_top(before, now, expected):
    assert rate(before, now, 60.0, 32) == expected


@given(ticks, elapsed, st.floats(-1, 1))
def test_a_running_agent_is_not_taken_for_restarted_even_when_its_clock_wraps(before, seconds, drift):
    now = (before + round((seconds + drift * min(seconds, 1)) * 100)) % WRAP
    gap = passed(Clock(10.0, before), Clock(10.0 + seconds, now))
    assert not gap.restarted
    assert gap.seconds == pytest.approx(seconds, rel=0.051, abs=1.01)


@given(ticks, elapsed, st.data())
def test_an_agent_that_began_anew_since_is_seen(before, seconds, data):
    """Its uptime is less than the time since it was last seen, with two seconds for a slow clock."""
    now = data.draw(st.integers(0, max(0, round((seconds - 2.1) * 100))))
    due = before + seconds * 100
    gap = passed(Clock(0.0, before), Clock(seconds, now))
    if now < before and due < WRAP - 3100:
        assert gap.restarted
        assert gap.rebooted
        assert gap.seconds == seconds
    if now > before and seconds > 2.2:
        assert gap.restarted


@pytest.mark.parametrize(
    ("before", "now", "restarted", "rebooted"),
    [
        (Clock(0, 100, boots=3), Clock(60, 6100, boots=4), True, True),
        (Clock(0, 90_000, 500_000), Clock(60, 500, 506_000), True, False),
        (Clock(0, 90_000, 500_000), Clock(60, 500, 700), True, True),
        (Clock(0, 90_000, WRAP - 100), Clock(60, 500, 5900), True, False),
        (Clock(0, WRAP - 100), Clock(60, 5900), False, False),
        (Clock(0, WRAP - 100), Clock(60, 10_000), True, True),
        (Clock(0, 100), Clock(5, 20), True, True),
        (Clock(0, None), Clock(60, 5900), False, False),
    ],
)
def test_agents_and_devices_restart_apart(before, now, restarted, rebooted):
    gap = passed(before, now)
    assert (gap.restarted, gap.rebooted) == (restarted, rebooted)


@given(ticks, st.floats(10, 3600))
def test_a_clock_that_stands_still_to_the_hundredth_tells_of_no_restart(stands, seconds):
    gap = passed(Clock(0.0, stands), Clock(seconds, stands))
    assert (gap.restarted, gap.seconds) == (False, seconds)


def test_a_stopped_agent_clock_does_not_divide_by_nothing():
    assert passed(Clock(0, 500), Clock(60, 500)).seconds == 60


hostile_text = st.one_of(st.binary(max_size=600), st.text(max_size=600), st.integers(), st.none())


@given(hostile_text)
def test_cleaned_text_is_short_printable_and_stays_as_it_is(raw):
    text = clean(raw)
    assert len(text) <= 256
    assert all(not unicodedata.category(letter).startswith("C") for letter in text)
    assert text == text.strip()
    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xc4\x90i\xe1\xbb\x87n Bi\xc3\xaan", "Điện Biên"),
        (b"abc\0\0", "abc"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("a\u202eb\u200bc", "abc"),
        ("\x1b[2Jx\r\n\ty", "[2Jx y"),
        (5, ""),
        (None, ""),
    ],
)
def test_text_is_kept_where_it_can_be_read(raw, expected):
    assert clean(raw) == expected


@given(st.one_of(st.binary(), st.text(), st.integers(), st.floats(), st.none(), st.booleans()))
def test_a_number_is_a_number_or_nothing(raw):
    found = number(raw)
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    ("raw", "expected"), [(b"52 PERCENT", 52.0), (b"0.0 GB", 0.0), (b" -7\0", -7.0), (b"1000MHZ", 1000.0), (b"a 5", None)]
)
def test_numbers_written_out_are_read(raw, expected):
    assert number(raw) == expected


def one(metric, profile="printer"):
    return load(profile).metrics[metric].source[0]


@pytest.mark.parametrize(
    ("level", "most", "expected"),
    [
        (50, 100, 0.5),
        (0, 100, 0.0),
        (-1, 100, None),
        (-2, 100, None),
        (-3, 100, None),
        (50, -2, None),
        (50, 0, None),
        (104, 100, 1.0),
        (50, None, None),
        (None, 100, None),
    ],
)
def test_a_supply_without_a_level_is_never_a_percentage(level, most, expected):
    values = {"level": level, "most": most}
    assert measure(one("printer_supply_ratio"), Row("", "1", "level", (), ("most",)), values) == expected


@pytest.mark.parametrize(("level", "expected"), [(0, 1.0), (250, 0.0), (-3, 0.0), (-1, None), (-2, None)])
def test_a_tray_is_empty_only_when_it_says_so(level, expected):
    assert measure(one("printer_paper_empty"), Row("", "1", "level"), {"level": level}) == expected


def test_error_bits_that_did_not_come_are_unknown():
    source = one("printer_error")
    assert bits(source, b"") == {}
    assert bits(source, None) == {}
    assert bits(source, 7) == {}
    one_octet = bits(source, b"\x44")
    assert one_octet["no_paper"] == one_octet["jammed"] == 1.0
    assert one_octet["door_open"] == 0.0
    assert "output_full" not in one_octet
    assert bits(source, b"\x00\x08")["output_full"] == 1.0
    assert len(bits(source, b"\x00\x00")) == 15


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=9), st.sampled_from(["mean", "max", "min", "sum", "first"]))
def test_many_rows_become_one_between_their_bounds(values, how):
    assert min(values) * 0.999 <= combine(how, values) <= max(sum(values), *values) * 1.001


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12))
def test_oids_are_ordered_as_numbers(left, right):
    assert (order(".".join(map(str, left))) < order(".".join(map(str, right)))) == (left < right)


def test_values_are_numbers_or_ranges():
    assert ranges({0: 1, "1..": 0, "..-1": 2, "2..5": 3}) == ((0, 0, 1), (1, math.inf, 0), (-math.inf, -1, 2), (2, 5, 3))


@pytest.mark.parametrize("name", names())
def test_shipped_profiles_name_only_what_they_can_give(name):
    document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    assert set(document) == {"role", "audience", "checks", "match", "snmp", "rules"}
    metrics = load(name).all_metrics()
    for rule in document["rules"].values():
        assert rule["metric"] in metrics
        assert document["checks"][rule["check"]]["probe"] == "snmp"
        assert rule.get("audience", "page") in {"page", "digest", "none"}
        assert ("above" in rule) != ("below" in rule)
        if rule.get("instance", "*") != "*":
            sources = load(name).metrics[rule["metric"]].source
            assert any(rule["instance"] in source.bits for source in sources)
    assert document["role"] != "printer" or {rule["audience"] for rule in document["rules"].values()} == {"digest"}


def test_a_metric_of_two_profiles_means_the_same_in_both():
    seen = {}
    for name in names():
        for metric, told in load(name).all_metrics().items():
            assert seen.setdefault(metric, told) == told
            assert told.labels == ("site", "device")


@pytest.mark.parametrize(
    ("snmp", "complaint"),
    [
        ({"metrics": {"x": {"unit": "1", "help": "h", "source": [{"scalar": "1.3.6.x"}]}}}, "not a numeric OID"),
        ({"metrics": {"x": {"unit": "1", "help": "h", "source": [{"scalar": "1.3.6.1", "column": "1.3.6.1"}]}}}, "one of"),
        ({"metrics": {"x": {"unit": "1", "help": "h", "source": [{"column": "1.3.6.1"}]}}}, "label"),
        ({"metrics": {"x": {"unit": "1", "help": "h", "source": [{"scalar": "1.3.6.1", "combine": "max"}]}}}, "column"),
        ({"metrics": {"x": {"unit": "1", "help": "h", "source": [{"scalar": "1.3.6.1", "values": {"high": 1}}]}}}, "range"),
        ({"metrics": {"uptime_seconds": {"unit": "s", "help": "h", "source": [{"scalar": "1.3.6.1"}]}}}, "built in"),
        ({"metrics": {"x": {"unit": "1", "help": "h", "source": [{"scaler": "1.3.6.1"}]}}}, "scaler"),
        ({"facts": {"model": {"oid": ["1.3."]}}}, "not a numeric OID"),
        ({"tables": {}}, "tables"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(snmp, complaint):
    with pytest.raises(ProfileRefused, match=complaint):
        parse("mine", snmp, {})


@given(st.text(max_size=20))
def test_an_unknown_profile_names_those_there_are(name):
    if name not in names():
        with pytest.raises(ProfileRefused, match="router"):
            load(name)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"profile": "nix"},
        {"profile": "router", "port": 0},
        {"profile": "router", "retries": 99},
        {"profile": "router", "x": 1},
        {"profile": "router", "_state": 1},
    ],
)
def test_keys_of_the_inventory_are_checked(keys):
    with pytest.raises(ValueError, match=r"validation error|unknown snmp profile"):
        TypeAdapter(probes.get("snmp")).validate_json(json.dumps(keys))


def test_every_metric_is_declared_and_auto_declares_all():
    kind = probes.get("snmp")
    assert {"uptime_seconds", "interface_up", "cpu_ratio"} <= set(kind(profile="router").metrics())
    assert "interface_up" not in kind(profile="printer").metrics()
    assert set(kind(profile="auto").metrics()) == {metric for name in names() for metric in load(name).all_metrics()}


def test_both_languages_have_the_same_words():
    vietnamese, english = (
        {key: text for key, text in catalog(language).texts.items() if key.startswith("snmp.")} for language in ("vi", "en")
    )
    assert vietnamese.keys() == english.keys()
    assert all(
        {part.split("}")[0] for part in vietnamese[key].split("{")[1:]} == {part.split("}")[0] for part in english[key].split("{")[1:]}
        for key in english
    )


def test_a_source_says_everything_that_is_wrong_with_it():
    assert len(Source(scalar="x", column="1.3.6.1", values={"": 1}).complaints()) == 3
