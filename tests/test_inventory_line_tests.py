"""`test:` of a line, `line_tests:` and `meetings:` of inventory.yaml."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch._yaml_document import Document
from netwatch.inventory._collect import Collector
from netwatch.inventory._line_methods import fits, secret_of
from netwatch.inventory._line_schema import LineTestEntry
from netwatch.inventory._line_tests import ADAPTER
from netwatch.reflector._dial import UNKNOWN_SECONDS
from probes import Secret, Shared, Target
from probes.bandwidth import TEST_ROOM_SECONDS
from tests.inventories import HEAD, compose, keys, load, refused

TESTED = HEAD.replace("contract: 100 Mbps}", 'contract: 100 Mbps, test: {device: pc, token: "${TOKEN}"}}')
URL_TEXT = re.compile(r"[^\n\t]{1,200}")
SECRETS = {"environment": {"TOKEN": "t0p"}}
BACKUP = """
sites:
  na-tau: {n: 34, code: "03316", lines: {backup: {host: 253, role: backup, contract: 50 Mbps}}}
"""


def test_a_line_that_is_tested_has_a_check_for_each_direction(tmp_path):
    found = load(tmp_path, compose(head=TESTED), **SECRETS)
    down, up = (found.checks[f"na-tau/main/capacity-{direction}"] for direction in ("down", "up"))
    assert (down.kind, down.address, down.probe.direction, up.probe.direction) == ("bandwidth", "10.45.34.9", "down", "up")
    assert down.probe.contract_bits_per_second == 100e6
    assert down.secrets == {"token": Secret("t0p")}
    assert (down.interval_seconds, down.audience, down.parents) == (86_400.0, "digest", (("na-tau/main/icmp",),))
    assert {rule.name for rule in down.rules} == {"contract", "proof_old"}
    test = found.sites["na-tau"].lines["main"].test
    assert (test.from_minute, test.minutes) == (20 * 60, 9 * 60)
    assert test.budget_bytes == 2 * (down.probe.plan().max_bytes + up.probe.plan().max_bytes)


def test_without_a_word_of_it_no_line_is_tested(tmp_path):
    found = load(tmp_path, compose())
    assert found.sites["na-tau"].lines["main"].test is None
    assert not [check for check in found.checks.values() if check.kind == "bandwidth"]


def test_backup_and_metered_lines_are_tested_only_where_it_is_written(tmp_path):
    found = load(tmp_path, compose(BACKUP, head=TESTED), **SECRETS)
    assert found.sites["na-tau"].lines["backup"].test is None
    metered = 'sites: {na-tau: {n: 34, code: "03316", line: {metered: true}}}'
    assert load(tmp_path, compose(metered, head=TESTED), **SECRETS).sites["na-tau"].lines["main"].test is None
    written = 'sites: {na-tau: {n: 34, code: "03316", line: {metered: true, test: {directions: down}}}}'
    checks = load(tmp_path, compose(written, head=TESTED), **SECRETS).checks
    assert "na-tau/main/capacity-down" in checks
    assert "na-tau/main/capacity-up" not in checks


def test_a_site_changes_single_keys_and_names_another_far_end(tmp_path):
    site = 'sites: {na-tau: {n: 34, code: "03316", line: {test: {host: 77, every: 6h, window: "22:00-22:00", budget: 1 GB, burst: 2 MB, port: 99}}}}'
    found = load(tmp_path, compose(site, head=TESTED), **SECRETS)
    down = found.checks["na-tau/main/capacity-down"]
    assert (down.address, down.interval_seconds, down.probe.port, down.probe.burst_bytes) == ("10.45.34.77", 21_600.0, 99, 2_000_000)
    assert down.secrets["token"].reveal() == "t0p"
    test = found.sites["na-tau"].lines["main"].test
    assert (test.budget_bytes, test.from_minute, test.minutes) == (1e9, 22 * 60, 1_440)


def test_where_nothing_can_call_in_the_far_end_goes_by_its_sites_name(tmp_path):
    entry = 'test: {dial_in_port: 8622, token: "${TOKEN}"}'
    head = HEAD.replace("contract: 100 Mbps}", f"contract: 100 Mbps, {entry}}}")
    down = load(tmp_path, compose(head=head), **SECRETS).checks["na-tau/main/capacity-down"]
    assert (down.address, down.probe.dial_in_port) == ("na-tau", 8622)
    site = 'sites: {na-tau: {n: 34, code: "03316", line: {test: {address: na-tau-mini}}}}'
    named = load(tmp_path, compose(site, head=head), **SECRETS).checks["na-tau/main/capacity-down"]
    assert named.address == "na-tau-mini"
    # One that was refused before its name was known calls again within 15 s, and the probe keeps 8 s beside the test itself.
    assert down.timeout_seconds - down.probe.plan().max_seconds - TEST_ROOM_SECONDS > UNKNOWN_SECONDS


def asked(tmp_path, test, head=HEAD):
    """The check of one site whose line says this of its test."""
    site = f'sites: {{na-tau: {{n: 34, code: "03316", line: {{test: {test}}}}}}}'
    return load(tmp_path, compose(site, head=head), **SECRETS).checks["na-tau/main/capacity-down"]


@pytest.mark.parametrize(
    ("test", "address", "expected"),
    [
        ('{method: tcp, device: pc, token: "${TOKEN}", streams: 4}', "10.45.34.9", {"port": 8621, "streams": 4}),
        ("{method: iperf3, host: 9}", "10.45.34.9", {"port": 5201, "streams": None}),
        ("{method: iperf3, device: pc, port: 5301, streams: 16}", "10.45.34.9", {"port": 5301, "streams": 16}),
        (
            '{method: http, device: pc, url: "http://kiosk:8000/large.bin"}',
            "10.45.34.9",
            {"port": None, "url": "http://kiosk:8000/large.bin"},
        ),
        ('{method: http, url: "https://10.45.34.77/large.bin", burst: 2 MB}', "10.45.34.77", {"burst_bytes": 2_000_000}),
        ('{method: http, url: "http://[fd00::9]/large.bin"}', "fd00::9", {}),
        ('{method: router, device: router, user: nw, password: "${TOKEN}"}', "10.45.34.1", {"port": 443, "user": "nw", "verify": True}),
        (
            '{method: router, host: 1, user: nw, password: "${TOKEN}", port: 8443, fetch_port: 80, streams: 2, ca_file: /ca.pem, directions: down}',
            "10.45.34.1",
            {"port": 8443, "fetch_port": 80, "streams": 2, "ca_file": "/ca.pem"},
        ),
    ],
)
def test_each_method_of_the_probe_can_be_asked_for(tmp_path, test, address, expected):
    check = asked(tmp_path, test)
    assert check.address == address
    assert check.probe.method == test.partition("method: ")[2].partition(",")[0]
    assert {name: getattr(check.probe, name) for name in expected} == expected
    name = {"tcp": "token", "router": "password"}.get(check.probe.method)
    assert check.secrets == ({name: Secret("t0p")} if name is not None else {})
    assert check.timeout_seconds >= check.probe.plan().max_seconds + 10


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("{method: iperf3, port: 98}", ("iperf3", "10.45.34.9", 98)),
        ("{method: iperf3}", ("iperf3", "10.45.34.9", 5201)),
        ("{method: tcp}", ("tcp", "10.45.34.9", 99)),
        ('{method: http, url: "http://10.45.34.77/a"}', ("http", "10.45.34.77", None)),
        ('{method: http, url: "http://kiosk/a"}', ("http", "10.45.34.9", None)),
        ("{host: 77}", ("udp", "10.45.34.77", 99)),
        ('{method: router, device: router, user: nw, password: "${TOKEN}"}', ("router", "10.45.34.1", 443)),
    ],
)
def test_who_names_another_method_leaves_what_only_the_first_takes(tmp_path, test, said):
    check = asked(tmp_path, test, TESTED.replace("device: pc", "device: pc, port: 99, directions: both"))
    assert (check.probe.method, check.address, check.probe.port) == said


def test_who_names_a_far_end_that_can_be_called_leaves_the_port_to_dial(tmp_path):
    head = HEAD.replace("contract: 100 Mbps}", 'contract: 100 Mbps, test: {dial_in_port: 8622, token: "${TOKEN}"}}')
    check = asked(tmp_path, "{device: pc}", head)
    assert (check.address, check.probe.dial_in_port) == ("10.45.34.9", None)


@pytest.mark.parametrize(
    ("test", "key", "said"),
    [
        ('{device: pc, token: "${TOKEN}", streams: 4}', "streams", "line_test_not_of_method"),
        ('{device: pc, token: "${TOKEN}", url: "http://10.45.34.9/a"}', "url", "line_test_not_of_method"),
        ("{method: tcp, device: pc}", "token", "missing"),
        ('{method: tcp, dial_in_port: 8622, token: "${TOKEN}"}', "dial_in_port", "line_test_not_of_method"),
        ('{method: iperf3, device: pc, token: "${TOKEN}"}', "token", "line_test_not_of_method"),
        ("{method: iperf3, dial_in_port: 8622}", "dial_in_port", "line_test_not_of_method"),
        ("{method: iperf3, device: pc, streams: 17}", "streams", "too_large"),
        ("{method: iperf3, device: pc, streams: 0}", "streams", "too_small"),
        ("{method: iperf3}", "", "line_test_where"),
        ("{method: http, device: pc}", "", "line_test_no_url"),
        ('{method: http, device: pc, port: 80, url: "http://pc/a"}', "port", "line_test_not_of_method"),
        ('{method: http, device: pc, url: "ftp://pc/a"}', "url", "line_test_url"),
        ('{method: http, device: pc, url: "http://pc/a b"}', "url", "line_test_url"),
        ('{method: http, device: pc, url: "http://pc:99999/a"}', "url", "line_test_url"),
        ('{method: http, device: pc, url: "http://[::1/a"}', "url", "line_test_url"),
        ('{method: http, device: pc, url: "http:///a"}', "url", "line_test_url"),
        ('{method: http, device: pc, url: "http://me:pw@pc/a"}', "url", "line_test_url_password"),
        ('{method: http, url: "http://kiosk/a"}', "url", "line_test_url_host"),
        ('{method: http, device: pc, url: "http://10.45.34.77/a"}', "url", "line_test_url_other"),
        ('{dial_in_port: 8622, token: "${TOKEN}", device: pc}', "device", "line_test_dial_in"),
        ('{dial_in_port: 8622, token: "${TOKEN}", port: 8621}', "port", "line_test_dial_in"),
        ('{method: router, device: router, user: nw, password: "${TOKEN}", directions: both}', "directions", "line_test_router_up"),
        ('{method: router, device: router, user: nw, password: "${TOKEN}", directions: up}', "directions", "line_test_router_up"),
        ('{method: router, device: router, password: "${TOKEN}"}', "user", "missing"),
        ("{method: router, device: router, user: nw}", "password", "missing"),
        ('{method: router, device: router, user: nw, password: "${TOKEN}", token: a}', "token", "line_test_not_of_method"),
        ('{method: router, device: router, user: nw, password: "${TOKEN}", url: "http://a/"}', "url", "line_test_not_of_method"),
        ('{device: pc, token: "${TOKEN}", fetch_port: 80}', "fetch_port", "line_test_not_of_method"),
        ('{method: ndt7, device: pc, token: "${TOKEN}"}', "method", "not_one_of"),
    ],
)
def test_what_does_not_go_together_is_said_at_its_key(tmp_path, test, key, said):
    site = f'sites: {{na-tau: {{n: 34, code: "03316", line: {{test: {test}}}}}}}'
    refusal = refused(tmp_path, compose(site), **SECRETS)
    assert keys(refusal) == {(said, "sites.na-tau.line.test" + (f".{key}" if key else ""))}


@given(
    url=st.one_of(
        st.none(),
        st.from_regex(r"(https?|ftp)://[\[\]a-z0-9@:.]{0,12}/[a-z ]{0,3}", fullmatch=True),
        st.sampled_from(["http://10.1.1.1/a", "http://a/"]),
        st.text(min_size=1, max_size=30),
    ),
    written=st.fixed_dictionaries(
        {
            "method": st.sampled_from([None, "udp", "tcp", "iperf3", "http", "router"]),
            "user": st.sampled_from([None, "nw"]),
            "password": st.sampled_from([None, "p"]),
            "token": st.sampled_from([None, "t"]),
            "port": st.sampled_from([None, 1]),
            "streams": st.sampled_from([None, 4]),
            "dial_in_port": st.sampled_from([None, 2]),
            "address": st.sampled_from([None, "10.1.1.1"]),
        }
    ),
)
def test_whatever_goes_together_makes_a_probe_that_can_be_run(url, written):
    entry = LineTestEntry(url=url, **written) if url is None or URL_TEXT.fullmatch(url) else LineTestEntry(**written)
    collector = Collector()
    if not fits(entry, (Document("inventory.yaml", [""]), ()), collector):
        assert collector.errors
        return
    names = ("method", "port", "url", "streams", "dial_in_port", "user")
    options = {name: value for name in names if (value := getattr(entry, name)) is not None}
    probe = ADAPTER.validate_json(json.dumps({"contract_bits_per_second": 1e8, "direction": "down", **options}))
    secret = secret_of(entry)
    target = Target(address="10.1.1.1", deadline=0.0, secrets={secret[0]: Secret(secret[1])} if secret else {})
    assert probe._router(target, Shared()) if probe.method == "router" else probe._test(target)
    assert probe.dial_in_port is None or probe.method == "udp"
    assert (entry.url is None) == (probe.method != "http")


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ('{token: "${TOKEN}"}', "line_test_where"),
        ('{device: pc, host: 4, token: "${TOKEN}"}', "line_test_where"),
        ('{device: nobody, token: "${TOKEN}"}', "line_test_device"),
        ("{device: pc}", "missing"),
        ('{device: pc, token: "${TOKEN}", budget: 1 MB}', "line_test_budget"),
        ('{device: pc, token: "${TOKEN}", budget: 300}', "size"),
        ('{device: pc, token: "${TOKEN}", window: "8-9"}', "shape"),
        ('{device: pc, token: "${TOKEN}", directions: sideways}', "not_one_of"),
        ('{device: pc, token: "${TOKEN}", evry: 1d}', "unknown_key"),
        ('{address: 300.1.1.1, token: "${TOKEN}"}', None),
    ],
)
def test_what_is_wrong_with_a_test_is_said_at_its_key(tmp_path, test, said):
    site = f'sites: {{na-tau: {{n: 34, code: "03316", line: {{test: {test}}}}}}}'
    refusal = refused(tmp_path, compose(site), **SECRETS)
    assert all("na-tau" in path for _, path in keys(refusal))
    assert said is None or said in {key for key, _ in keys(refusal)}


def test_a_line_without_a_contract_cannot_be_tested(tmp_path):
    head = HEAD.replace("contract: 100 Mbps", 'test: {device: pc, token: "${TOKEN}"}')
    assert {key for key, _ in keys(refused(tmp_path, compose(head=head), **SECRETS))} == {"line_test_contract"}


def test_a_token_in_clear_is_warned_of(tmp_path):
    head = HEAD.replace("contract: 100 Mbps}", "contract: 100 Mbps, test: {device: pc, token: abc}}")
    assert any("token" in warning for warning in load(tmp_path, compose(head=head)).warnings)


def test_the_control_has_a_check_for_each_contract_and_direction_that_is_tested(tmp_path):
    more = """
    line_tests: {head_room: {uplink: 500 Mbps, ring: 200 Mbps}, control: {address: 10.45.0.5, token: "${TOKEN}"}, stale_after: 14d}
    """
    found = load(tmp_path, compose(BACKUP, head=TESTED, more=more), **SECRETS)
    controls = [check.id for check in found.checks.values() if check.site == "line-tests"]
    assert controls == ["line-tests/control/capacity-down-100mbps", "line-tests/control/capacity-up-100mbps"]
    assert found.line_tests.head_room == {"uplink": 500e6, "ring": 200e6}
    assert found.line_tests.stale_after_seconds == 14 * 86_400.0
    assert found.primary_check("line-tests", "control") == controls[0]


def test_head_room_in_which_a_test_never_fits_is_refused(tmp_path):
    more = "line_tests: {head_room: {uplink: 100 Mbps}}"
    (error,) = refused(tmp_path, compose(head=TESTED, more=more), **SECRETS).errors
    assert (error.key, error.path, error.fields["needed"]) == ("line_tests_head_room", "line_tests.head_room.uplink", "115 Mbps")
    load(tmp_path, compose(head=TESTED, more=more.replace("100", "115")), **SECRETS)
    load(tmp_path, compose(more=more))


def test_head_room_of_what_no_line_shares_is_warned_of(tmp_path):
    more = "line_tests: {head_room: {uplink: 500 Mbps, carrier: 300 Mbps, rings: 200 Mbps}}\n"
    warnings = [one for one in load(tmp_path, compose(head=TESTED, more=more), **SECRETS).warnings if "rings" in one.partition(": ")[2]]
    assert len(warnings) == 1
    assert '"rings"' in warnings[0]
    assert "carrier, uplink" in warnings[0]


def test_a_control_is_nothing_without_a_line_to_test(tmp_path):
    more = 'line_tests: {control: {address: 10.45.0.5, token: "${TOKEN}"}}'
    assert "line-tests" not in load(tmp_path, compose(more=more), **SECRETS).sites


def test_meetings_are_once_or_weekly_and_of_all_sites_unless_they_say_which(tmp_path):
    more = """
    meetings:
      - {name: giao-ban, weekly: mon, from: "07:30", until: "09:00"}
      - {name: hop-dot-xuat, match: {site: na-*}, from: "2026-12-01 08:00", until: "2026-12-01 10:00"}
    """
    weekly, once = load(tmp_path, compose(more=more)).meetings
    assert (weekly.id, weekly.matcher, weekly.weekdays, weekly.from_minute, weekly.minutes) == ("giao-ban", "", (0,), 450, 90)
    assert (once.id, once.matcher, once.ends - once.starts) == ("hop-dot-xuat", "site=na-*", 7_200.0)


@pytest.mark.parametrize(
    ("meeting", "said"),
    [
        ('{weekly: mon, from: "07:30", until: "09:00"}', "missing"),
        ('{name: a, weekly: someday, from: "07:30", until: "09:00"}', "weekday_shape"),
        ('{name: a, from: "2026-12-01 08:00", until: "2026-12-01 07:00"}', "moment_order"),
        ('{name: a, match: "=", from: "2026-12-01 08:00", until: "2026-12-01 09:00"}', "matcher_shape"),
    ],
)
def test_what_is_wrong_with_a_meeting_is_said_at_its_key(tmp_path, meeting, said):
    assert keys(refused(tmp_path, compose(more=f"meetings: [{meeting}]")))
    assert said in {key for key, _ in keys(refused(tmp_path, compose(more=f"meetings: [{meeting}]")))}
