"""Scenario files: what is accepted, what is refused and with which words, and that the JSON schema says the same."""

import json
from dataclasses import replace
from pathlib import Path
from string import Formatter

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.inventory import load
from netwatch.lab import scenario_file
from netwatch.lab.complaints import LabComplaint, ScenarioRefused
from netwatch.lab.faults import ExpectedPage, Where
from netwatch.lab.scenario import KINDS, as_document, read_fault, read_scenario
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.lang import LANGUAGES, catalog
from netwatch.model import Anchor, Cause
from tests import lab_inventory

SCHEMA = jsonschema.Draft7Validator(json.loads(scenario_file.SCHEMA_PATH.read_text("utf-8")))
WHOLE = {
    "name": "ring north",
    "description": "A ring is cut.",
    "seed": 7,
    "duration": "2m",
    "sites": ["alpha", "beta"],
    "faults": [
        {"at": "10s", "cut": {"tag": {"ring": "north"}}},
        {"at": 40, "restore": {"tag": {"ring": "north"}}},
        {"at": "1.5s", "loss": {"site": "alpha", "ratio": "5%", "direction": "both"}},
        {"uplink": "down"},
        {"at": "5s", "snmp": {"site": "alpha", "device": "router", "oid": "1.3.6.1.2.1.1.5.0", "value": "x"}},
    ],
    "only_lines": True,
    "expect": {
        "pages": [
            {"open_before": "25s", "recover_before": "55s", "cause": {"type": "tag", "name": "north"}, "sites": ["alpha", "beta"]},
            {
                "since": "10s",
                "open_after": 11,
                "open_before": "25s",
                "named_before": "30s",
                "recover_after": "40s",
                "recover_before": "55s",
                "cause": {"type": "uplink"},
                "severity": "warning",
                "facts": {"likely": "power"},
                "updates_at_least": 1,
                "updates_at_most": 2,
            },
        ],
        "digest": [{"cause": {"type": "check", "name": "alpha/printer1/printer_paper_empty"}, "sites": ["alpha"]}],
        "none_else": True,
        "most_pages": 5,
    },
}
FAULTS = [
    {"cut": {"site": "alpha"}},
    {"cut": {"site": "beta", "line": "backup"}},
    {"cut": {"tag": {"carrier": "viettel"}}},
    {"restore": {"site": "*"}},
    {"restore": {"site": "alpha", "device": "printer1"}},
    {"loss": {"site": "alpha", "ratio": 0.15}},
    {"delay": {"site": "alpha", "round_trip": "80ms", "jitter": "5ms"}},
    {"rate": {"site": "alpha", "down": "64 Mbps", "up": "20Mbps"}},
    {"traffic": {"site": "alpha", "down": "30 Mbps"}},
    {"negotiate": {"site": "alpha", "device": "router", "port": "ether1", "speed": "10 Mbps", "duplex": "half"}},
    {"uplink": "up"},
    {"uplink": {"state": "down"}},
    {"power": {"site": "alpha", "state": "off"}},
    {"power": {"site": "alpha", "device": "router", "state": "on"}},
    {"reboot": {"site": "alpha", "device": "router", "takes": "30s"}},
    {"ups": {"tag": {"feeder": "f1"}, "state": "battery", "lasts": "20m", "charge": "80%"}},
    {"paper": {"site": "alpha", "state": "out"}},
    {"toner": {"site": "alpha", "ratio": "7%"}},
    {"registration": {"site": "alpha", "device": "vc", "state": "lost"}},
    {"calls": {"tag": {"ring": "north"}, "state": "refused"}},
    {"licences": {"site": "alpha", "device": "vc", "ratio": "100%"}},
    {"errors": {"site": "alpha", "device": "router", "port": "ether1", "per_second": 5}},
    {"port": {"site": "alpha", "device": "router", "port": "ether1", "state": "down"}},
    {"snmp": {"site": "alpha", "device": "ups", "metric": "ups_on_battery", "value": 1}},
    {"power": {"tag": {"feeder": "f1"}, "state": "off", "lasts": "20m"}},
    {"service": {"site": "alpha", "device": "vc", "check": "sip", "state": "dead"}},
    {"anchor": {"name": "far-away", "state": "down"}},
    {"human": {"action": "acknowledge", "who": "A", "site": "alpha", "note": "on my way", "lasts": "2h"}},
    {"human": {"action": "note", "who": "A"}},
    {"human": {"action": "silence", "who": "A", "matcher": "ring=north", "lasts": "30m"}},
    {"clock": {"forward": "1h"}},
    {"clock": {"back": 3600}},
    {"errors_of_ours": "on"},
    {"errors_of_ours": {"state": "off", "code": "EMFILE"}},
    {"pager": "dead"},
    {"reload": {"file": "other.yaml"}},
    {"reload": "other.yaml"},
    {"reload": None},
    {"kill": None},
    {"kill": {}},
]
BAD_FAULTS = [
    ({"cut": {"sit": "alpha"}}, "unknown_key"),
    ({"cutt": {"site": "alpha"}}, "unknown_key"),
    ({"cut": {"site": "alpha"}, "restore": {"site": "alpha"}}, "want_one_fault"),
    ({"cut": {}}, "want_site_or_tag"),
    ({"cut": {"site": "alpha", "tag": {"ring": "north"}}}, "want_site_or_tag"),
    ({"cut": {"tag": {"ring": "north", "feeder": "f1"}}}, "want_tag"),
    ({"cut": {"site": "alpha", "device": "router"}}, "unknown_key"),
    ({"cut": "alpha"}, "want_mapping"),
    ({"loss": {"site": "alpha"}}, "missing"),
    ({"loss": {"site": "alpha", "ratio": 15}}, "want_ratio"),
    ({"loss": {"site": "alpha", "ratio": "15%", "direction": "sideways"}}, "want_one_of"),
    ({"delay": {"site": "alpha", "round_trip": "80"}}, "want_seconds"),
    ({"delay": {"site": "alpha", "round_trip": -1}}, "want_seconds"),
    ({"rate": {"site": "alpha"}}, "want_down_or_up"),
    ({"traffic": {"site": "alpha"}}, "want_down_or_up"),
    ({"negotiate": {"site": "alpha", "device": "router", "port": "ether1"}}, "missing"),
    ({"negotiate": {"site": "alpha", "device": "router", "port": "ether1", "speed": "10 Mbps", "duplex": "none"}}, "want_one_of"),
    ({"rate": {"site": "alpha", "down": 64}}, "want_rate"),
    ({"rate": {"site": "alpha", "down": "64 mbps"}}, "want_rate"),
    ({"errors": {"site": "alpha", "device": "router", "port": 1, "per_second": 5}}, "want_name"),
    ({"errors": {"site": "alpha", "port": "ether1", "per_second": 5}}, "missing"),
    ({"snmp": {"site": "alpha", "device": "ups", "value": 1}}, "want_oid_or_metric"),
    ({"snmp": {"site": "alpha", "device": "ups", "oid": "1.3.x", "value": 1}}, "want_oid"),
    ({"snmp": {"site": "alpha", "device": "ups", "oid": "1.3.6", "value": True}}, "want_number_or_text"),
    ({"registration": {"site": "alpha", "state": "gone"}}, "want_one_of"),
    ({"calls": {"site": "alpha"}}, "missing"),
    ({"licences": {"site": "alpha", "ratio": 7}}, "want_ratio"),
    ({"uplink": "sideways"}, "want_one_of"),
    ({"human": {"action": "acknowledge"}}, "missing"),
    ({"human": {"action": "silence", "who": "A", "lasts": "30m"}}, "missing"),
    ({"human": {"action": "silence", "who": "A", "matcher": "site=alpha"}}, "missing"),
    ({"human": {"action": "silence", "who": "A", "matcher": "site=alpha", "lasts": "30m", "site": "alpha"}}, "not_with"),
    ({"human": {"action": "acknowledge", "who": "A", "matcher": "site=alpha"}}, "not_with"),
    ({"human": {"action": "shout", "who": "A"}}, "want_one_of"),
    ({"clock": {}}, "want_forward_or_back"),
    ({"clock": {"forward": 1, "back": 1}}, "want_forward_or_back"),
    ({"clock": "1h"}, "want_mapping"),
    ({"anchor": "far-away"}, "missing"),
    ({"service": {"site": "alpha", "device": "vc", "state": "dead"}}, "missing"),
    ([], "want_mapping"),
]
MISPLACED = [
    ({"cut": {"site": "alfa"}}, "unknown_site", "alpha"),
    ({"cut": {"tag": {"ring": "nort"}}}, "unknown_tag", "ring=north"),
    ({"cut": {"site": "beta", "line": "backupp"}}, "unknown_line", "backup"),
    ({"paper": {"site": "alpha", "device": "printer9", "state": "out"}}, "unknown_device", "printer1"),
    ({"anchor": {"name": "faraway", "state": "down"}}, "unknown_anchor", "far-away"),
]


def inventory():
    """With an anchor that can be named."""
    return replace(lab_inventory.inventory(), anchors=(Anchor(id="far-away", check="anchors/far-away/icmp", own=True),))


def keys(refused):
    return {complaint.key for complaint in refused.value.complaints}


def accepted(read, document):
    try:
        read(document)
    except ScenarioRefused:
        return False
    return True


def test_a_whole_scenario_is_read():
    read = read_scenario(WHOLE, inventory())
    assert (read.name, read.seed, read.duration_seconds, read.sites) == ("ring north", 7, 120.0, ("alpha", "beta"))
    assert [(fault.at_seconds, fault.kind) for fault in read.faults] == [
        (0, "uplink"), (1.5, "loss"), (5, "snmp"), (10, "cut"), (40, "restore"),
    ]  # fmt: skip
    assert read.faults[3].where == Where(tag=("ring", "north"))
    assert read.expect.pages[0].cause == Cause("tag", "north")
    assert (read.expect.pages[0].open_before_seconds, read.expect.pages[0].recover_before_seconds) == (25, 55)
    assert (read.only_lines, read.expect.most_pages, read.expect.none_else) == (True, 5, True)
    assert read.expect.pages[1] == ExpectedPage(
        since_seconds=10,
        open_after_seconds=11,
        open_before_seconds=25,
        named_before_seconds=30,
        recover_after_seconds=40,
        recover_before_seconds=55,
        cause=Cause("uplink", ""),
        sites=None,
        severity="warning",
        facts={"likely": "power"},
        updates_at_least=1,
        updates_at_most=2,
    )
    assert [(later.cause.name, later.sites) for later in read.expect.digest] == [("alpha/printer1/printer_paper_empty", ("alpha",))]


def test_a_whole_scenario_fits_the_schema():
    assert SCHEMA.is_valid(WHOLE)


BAD_EXPECTATIONS = [
    ({"most_pages": -1}, "want_number"),
    ({"most_pages": 1.5}, "want_number"),
    ({"none_else": "no"}, "want_one_of"),
    ({"pages": [{"open_before": 1}]}, "missing"),
    ({"pages": [{"cause": {"type": "uplink"}}]}, "missing"),
    ({"pages": [{"open_before": 1, "cause": {"type": "rain"}}]}, "want_one_of"),
    ({"pages": [{"open_before": 1, "cause": {"type": "uplink"}, "severity": "loud"}]}, "want_one_of"),
    ({"pages": [{"open_before": 1, "cause": {"type": "uplink"}, "facts": ["power"]}]}, "want_mapping"),
    ({"pages": [{"open_before": 1, "cause": {"type": "uplink"}, "updates_at_most": "few"}]}, "want_number"),
    ({"pages": [{"open_before": 1, "cause": {"type": "uplink"}, "since": "then"}]}, "want_seconds"),
    ({"digest": [{"cause": {"type": "uplink"}}]}, "missing"),
    ({"digest": {}}, "want_list"),
]


@pytest.mark.parametrize(("expect", "key"), BAD_EXPECTATIONS)
def test_a_bad_expectation_is_refused_with_its_reason_and_by_the_schema(expect, key):
    document = {"name": "x", "duration": 1, "expect": expect}
    with pytest.raises(ScenarioRefused) as refused:
        read_scenario(document)
    assert key in keys(refused)
    assert not SCHEMA.is_valid(document)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_kind_of_fault_is_read_and_fits_the_schema(fault):
    assert read_fault(fault, inventory()).kind == next(iter(fault))
    assert SCHEMA.is_valid({"name": "x", "duration": 1, "faults": [{"at": "2s", **fault}]})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_written_out_reads_back_the_same(fault):
    read = read_fault(fault)
    assert read_fault(json.loads(json.dumps(as_document(read)))) == read


def test_every_kind_is_among_the_examples():
    assert {next(iter(fault)) for fault in FAULTS} | {"flap"} == set(KINDS)


@pytest.mark.parametrize(("fault", "key"), BAD_FAULTS)
def test_a_bad_fault_is_refused_with_its_reason_and_by_the_schema(fault, key):
    with pytest.raises(ScenarioRefused) as refused:
        read_fault(fault)
    assert key in keys(refused)
    assert not SCHEMA.is_valid({"name": "x", "duration": 1, "faults": [fault]})


@pytest.mark.parametrize(("fault", "key", "hint"), MISPLACED)
def test_an_unknown_place_is_refused_with_what_was_probably_meant(fault, key, hint):
    with pytest.raises(ScenarioRefused) as refused:
        read_fault(fault, inventory())
    assert [(complaint.key, complaint.hint) for complaint in refused.value.complaints] == [(key, hint)]


def test_all_complaints_come_at_once():
    with pytest.raises(ScenarioRefused) as refused:
        read_scenario({"nam": "x", "faults": [{"cut": {}}, {"loss": {"site": "alpha", "ratio": 2}}], "expect": {"none_else": "no"}})
    assert {"unknown_key", "missing", "want_site_or_tag", "want_ratio", "want_one_of"} <= keys(refused)


def test_a_flap_is_its_cuts_and_restores():
    flap = {"at": "10s", "flap": {"site": "alpha", "every": "60s", "down": "20s", "times": 2}}
    read = read_scenario({"name": "x", "duration": "5m", "faults": [flap]})
    assert [(fault.at_seconds, fault.kind) for fault in read.faults] == [(10, "cut"), (30, "restore"), (70, "cut"), (90, "restore")]


@pytest.mark.parametrize(
    "values", [{"every": 10, "down": 10, "times": 2}, {"every": 10, "down": 5, "times": 0}, {"every": 10, "down": 5, "times": 1.5}]
)
def test_an_impossible_flap_is_refused(values):
    with pytest.raises(ScenarioRefused) as refused:
        read_scenario({"name": "x", "duration": 1, "faults": [{"flap": {"site": "alpha", **values}}]})
    assert keys(refused) == {"bad_flap"}


WORDS = ["alpha", "down", "off", "15%", "2m", "64 Mbps", "1.3.6", "", "x", "silence", "note", "dead"]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(WORDS))
BODY_KEYS = [
    "site",
    "tag",
    "line",
    "device",
    "state",
    "ratio",
    "round_trip",
    "down",
    "port",
    "per_second",
    "oid",
    "metric",
    "value",
    "action",
    "who",
    "matcher",
    "lasts",
    "note",
    "forward",
    "back",
    "code",
    "check",
    "name",
]
BODIES = st.one_of(
    SCALARS,
    st.dictionaries(
        st.sampled_from(BODY_KEYS),
        st.one_of(SCALARS, st.just({"ring": "north"})),
        max_size=5,
    ),
)
LIKELY = (
    st.sampled_from(FAULTS)
    .flatmap(
        lambda fault: st.tuples(
            st.just(fault), st.dictionaries(st.sampled_from(["site", "tag", "line", "state", "value", "ratio"]), SCALARS, max_size=1)
        )
    )
    .map(lambda pair: {kind: {**body, **pair[1]} if isinstance(body, dict) else body for kind, body in pair[0].items()})
)
ENTRIES = st.one_of(LIKELY, st.dictionaries(st.sampled_from([kind for kind in KINDS if kind != "flap"]), BODIES, max_size=2))


@settings(max_examples=400)
@given(st.lists(ENTRIES, max_size=2))
def test_the_schema_and_the_reader_agree(faults):
    document = {"name": "x", "duration": "1m", "faults": faults}
    assert SCHEMA.is_valid(document) == accepted(read_scenario, document)


JSON = st.recursive(
    st.one_of(SCALARS, st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*WHOLE, *KINDS, "pages", "cause", "at"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_is_a_scenario_or_refused(document):
    accepted(read_scenario, document)
    accepted(lambda given: read_fault(given, inventory()), document)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_complaint_has_words(language):
    texts = {key.removeprefix("lab.") for key in catalog(language).texts if key.startswith("lab.")}
    for document, key in BAD_FAULTS:
        with pytest.raises(ScenarioRefused) as refused:
            read_fault(document)
        assert key in texts
        assert all(complaint.line(language) for complaint in refused.value.complaints)


def test_both_languages_have_the_same_texts_with_the_same_fields():
    fields = [
        {
            key: {name for _, name, _, _ in Formatter().parse(text) if name}
            for key, text in catalog(language).texts.items()
            if key.startswith("lab.")
        }
        for language in LANGUAGES
    ]
    assert fields[0] == fields[1]


def test_a_complaint_survives_its_way_through_a_socket():
    with pytest.raises(ScenarioRefused) as refused:
        read_fault({"cut": {"site": "alfa"}}, inventory())
    complaint = refused.value.complaints[0]
    assert LabComplaint.from_json(json.loads(json.dumps(complaint.as_json()))).line("en") == complaint.line("en")


def test_a_file_is_refused_with_its_lines(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nduration: 60s\nfaults:\n  - {at: 3s, cutt: {site: alpha}}\n  - {at: soon, cut: {site: alpha}}\n", "utf-8")
    with pytest.raises(ScenarioRefused) as refused:
        scenario_file.load(path, inventory())
    lines = [complaint.line("en") for complaint in refused.value.complaints]
    assert lines[0].startswith(f"{path}:4:14: faults[0].cutt: not a key")
    assert lines[0].endswith('did you mean "cut"?')
    assert any(line.startswith(f"{path}:5:10: faults[1].at: soon is not a duration") for line in lines)


@pytest.mark.parametrize("text", ["name: [", "name: x\nname: y\nduration: 1\n", "a: &b 1\nc: *b\n"])
def test_what_is_no_plain_yaml_is_refused(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ScenarioRefused):
        scenario_file.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ScenarioRefused):
        scenario_file.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", scenario_file.shipped())
def test_a_shipped_scenario_is_valid(name):
    shipped = load(Path(__file__).parent.parent / "inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})
    read = scenario_file.load(scenario_file.find(name), shipped)
    assert read.name == name
    assert read.faults
