"""`/probe` beside the real blackbox_exporter, and a stock blackbox scrape job of a real Prometheus that asks us instead."""

import asyncio
import contextlib
import dataclasses
import json
import subprocess

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from netwatch.model import Check, Inventory, Outcome, Sample, Site, State
from netwatch.runner import Runner
from netwatch.snapshot import CheckView, SiteView, TargetView
from netwatch.web.blackbox import Refused, discovered, exposition, find
from probes.dns import Dns
from probes.http import Http
from probes.icmp import Icmp
from probes.tcp import Tcp
from probes.tls import Tls
from tests.certificates import Authority
from tests.page_server import page
from tests.province import WALL, check_view, province
from tests.servers import http_server
from tests.test_prometheus import ask, free_port, prometheus, until

MODULES = """
modules:
  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
  http: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  tcp: {prober: tcp}
  tls: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  dns: {prober: dns, dns: {query_name: example.org, transport_protocol: udp}}
"""
# What the last result does not hold, or what means nothing for it.
NOT_OURS = {
    "probe_ip_addr_hash",
    "probe_icmp_reply_hop_limit",
    "probe_http_content_length",
    "probe_http_version",
    "probe_dns_additional_rrs",
    "probe_dns_authority_rrs",
    "probe_failed_due_to_regex",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info",
}


def target_view(*checks, address="127.0.0.1", id_="vc", role="conference"):
    return TargetView(
        site="na-tau", id=id_, kind="device", role=role, profile="room", label="Phòng họp", address=address, up=True, state=State.OK,
        since=WALL, detail="", checks=checks, problems=(),
    )  # fmt: skip


def check(name="icmp", kind="icmp", samples=(), **changes):
    return dataclasses.replace(check_view("na-tau", "vc", name, kind, State.OK, samples), **changes)


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(text):
    return {
        (sample.name, *sample.labels.values()): sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }


async def looked(probe, kind, address):
    """What our own probe finds, as the snapshot tells it."""
    runner = Runner(lambda: WALL)
    try:
        run = Check(
            id="na-tau/vc/x", site="na-tau", target="vc", name="x", kind=kind, probe=probe, address=address, interval_seconds=10,
            timeout_seconds=5, retry_seconds=1,
        )  # fmt: skip
        result = await runner.run(run, "schedule", 0)
    finally:
        await runner.aclose()
    return CheckView(
        id=run.id, name="x", kind=kind, state=State.OK, belief="ok", hard=True, since=WALL, last_wall=result.wall,
        duration_seconds=result.duration_seconds, outcome=result.outcome, code=result.code, detail="", interval_seconds=10,
        samples=result.samples, facts=result.facts,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def blackbox(directory):
    """The real exporter; gives a function that asks it."""
    (directory / "blackbox.yml").write_text(MODULES)
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus-blackbox-exporter", f"--config.file={directory}/blackbox.yml", f"--web.listen-address={address}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220  # starting it takes no time
    try:
        async with aiohttp.ClientSession(f"http://{address}") as http:

            async def said(module, target):
                while True:
                    try:
                        async with http.get("/probe", params={"module": module, "target": target}) as answer:
                            return await answer.text()
                    except aiohttp.ClientConnectorError:  # not ready yet
                        await asyncio.sleep(0.05)

            yield said
    finally:
        process.kill()
        process.wait()


async def hello(request):
    return web.Response(text="hello")


def secure_server(stack, authority):
    async def serve():
        runner = web.ServerRunner(web.Server(hello), shutdown_timeout=0.01)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server()).start()
        return runner.addresses[0][1]

    return serve()


@pytest.mark.needs_private_network
def test_what_we_say_is_what_blackbox_exporter_says_of_the_same_targets(tmp_path):
    async def scenario():
        async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
            said = await stack.enter_async_context(blackbox(tmp_path))
            plain = await stack.enter_async_context(http_server(hello))
            port = int(plain.rpartition(":")[2])
            tls = await secure_server(stack, Authority(tmp_path))
            for module, target, probe in (
                ("icmp", "127.0.0.1", Icmp()),
                ("tcp", f"127.0.0.1:{port}", Tcp(port=port)),
                ("http", plain, Http(port=port)),
                ("http", f"https://127.0.0.1:{tls}", Http(scheme="https", port=tls, verify=False)),
                ("tls", f"127.0.0.1:{tls}", Tls(port=tls, verify=False)),
                ("dns", f"127.0.0.1:{port}", Dns(name="example.org", port=port)),
            ):
                theirs_text = await said(module, target)
                ours_text = exposition(target_view(), await looked(probe, module, "127.0.0.1"), WALL)
                ours, theirs = families(ours_text), families(theirs_text)
                assert set(ours) <= set(theirs), module
                assert set(theirs) - set(ours) <= NOT_OURS, module
                for name, family in ours.items():
                    assert (family.type, family.documentation) == (theirs[name].type, theirs[name].documentation)
                    assert {tuple(s.labels.items()) for s in family.samples} == {tuple(s.labels.items()) for s in theirs[name].samples}, (
                        name
                    )
                mine, other = values(ours_text), values(theirs_text)
                same = {key for key in mine if not key[0].endswith("_seconds")}
                assert {key: mine[key] for key in same} == {key: other[key] for key in same}
                if module != "dns":
                    assert mine["probe_success",] == 1

    asyncio.run(scenario())


def test_a_train_is_told_by_its_mean_and_a_lost_one_by_nothing():
    text = exposition(target_view(), check(samples=(Sample("icmp_rtt_seconds", (0.010, 0.020)),), duration_seconds=4.0), WALL)
    assert values(text)["probe_icmp_duration_seconds", "rtt"] == pytest.approx(0.015)
    assert values(text)["probe_duration_seconds",] == 4
    lost = check(samples=(Sample("icmp_rtt_seconds", ()),), outcome=Outcome.FAILED, code="timeout")
    assert values(exposition(target_view(), lost, WALL))["probe_success",] == 0
    assert values(exposition(target_view(), lost, WALL))["probe_icmp_duration_seconds", "rtt"] == 0


def test_a_page_that_lacks_the_words_failed_by_its_pattern():
    failed = check("web", "http", (Sample("http_status_code", (200.0,)),), outcome=Outcome.FAILED, code="body_mismatch")
    assert values(exposition(target_view(), failed, WALL))["probe_failed_due_to_regex",] == 1


def test_where_the_time_of_a_page_went_is_told_phase_by_phase():
    phases = {"resolve": 0.1, "connect": 0.2, "tls": 0.3, "processing": 0.4}
    measured = [Sample("http_duration_seconds", (seconds,), phase) for phase, seconds in phases.items()]
    more = {"http_status_code": 301.0, "http_redirects": 2.0, "http_response_bytes": 77.0}
    told = values(exposition(target_view(), check("web", "http", (*measured, *(Sample(n, (v,)) for n, v in more.items()))), WALL))
    assert {phase: told["probe_http_duration_seconds", phase] for phase in (*phases, "transfer")} == phases | {"transfer": 0}
    assert told["probe_http_status_code",] == 301
    assert told["probe_http_redirects",] == 2
    assert told["probe_http_uncompressed_body_length",] == 77


def test_a_resolver_is_told_by_its_answers():
    measured = (Sample("dns_lookup_seconds", (0.02,)), Sample("dns_answers", (3.0,)))
    told = values(exposition(target_view(), check("dns", "dns", measured), WALL))
    assert told["probe_dns_duration_seconds", "request"] == 0.02
    assert (told["probe_dns_query_succeeded",], told["probe_dns_answer_rrs",]) == (1, 3)


def test_an_address_that_is_a_name_has_no_protocol_to_tell():
    told = values(exposition(target_view(address="vc.na-tau.example"), check(), WALL))
    assert ("probe_ip_protocol",) not in told
    assert values(exposition(target_view(address="2001:db8::1"), check(), WALL))["probe_ip_protocol",] == 6


def test_older_than_two_intervals_is_no_success_and_no_figure():
    fresh = check(samples=(Sample("icmp_rtt_seconds", (0.01,)),), last_wall=WALL - 21, duration_seconds=1.0, interval_seconds=10.0)
    assert values(exposition(target_view(), fresh, WALL))["probe_success",] == 1
    assert values(exposition(target_view(), fresh, WALL + 0.01)) == {("probe_success",): 0}
    ours = dataclasses.replace(fresh, outcome=Outcome.ERROR)
    assert values(exposition(target_view(), ours, WALL + 0.01)) == {("probe_success",): 0}


@pytest.mark.parametrize("view", [check(outcome=Outcome.ERROR, code="emfile"), check(last_wall=None, outcome=None)])
def test_what_we_could_not_look_at_is_a_failed_scrape_and_not_a_target_that_is_down(view):
    with pytest.raises(Refused) as refused:
        exposition(target_view(), view, WALL)
    assert refused.value.status == 503


ROOM = (check("web", "tcp"), check(), check("call", "tcp"))


def found(asked, module, checks=ROOM):
    site = SiteView(
        site=Site(id="na-tau", name="Nà Tấu"), up=True, state=State.OK, since=None, detail="", rtt_seconds=None, loss_ratio=None,
        targets=(target_view(*checks),),
    )  # fmt: skip
    taken = dataclasses.replace(province(), sites=(site,))
    return find(taken, asked, module, lambda site, target: f"{site}/{target}/icmp")[1].name


@pytest.mark.parametrize(
    ("asked", "module", "name"),
    [
        ("na-tau/vc", "", "icmp"),
        ("na-tau/vc", "icmp", "icmp"),
        ("na-tau/vc", "call", "call"),
        ("na-tau/vc/call", "", "call"),
        ("na-tau/vc/call", "tcp_connect", "call"),
        ("na-tau/vc", "icmp_ttl5", "icmp"),
    ],
)
def test_a_module_is_a_check_by_name_or_kind_or_as_blackbox_names_its_own(asked, module, name):
    assert found(asked, module) == name


def test_a_check_that_is_named_like_a_kind_goes_before_that_kind():
    assert found("na-tau/vc", "tcp", (check("web", "tcp"), check("tcp", "http"))) == "tcp"
    assert found("na-tau/vc", "tcp_connect", (check("web", "tcp"), check("tcp_connect", "http"))) == "tcp_connect"


@pytest.mark.parametrize(
    ("asked", "module", "status", "says"),
    [
        ("", "icmp", 400, "target is missing"),
        ("na-tau", "icmp", 404, "not in the inventory"),
        ("8.8.8.8", "icmp", 404, "not in the inventory"),
        ("na-tau/x", "icmp", 404, "not in the inventory"),
        ("na-tau/vc", "http_2xx", 404, "its checks: web, icmp, call"),
        ("na-tau/vc/icmp", "tcp", 404, "its checks: web, icmp, call"),
        ("na-tau/vc/none", "", 404, "has no check"),
        ("na-tau/vc", "tcp_connect", 400, "ask for module web or call"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_clear_line(asked, module, status, says):
    with pytest.raises(Refused, match=says) as refused:
        found(asked, module)
    assert refused.value.status == status
    assert "\n" not in str(refused.value)


def test_what_is_not_known_is_not_repeated_at_length():
    with pytest.raises(Refused) as refused:
        found("x" * 5000, "y" * 5000)
    assert len(str(refused.value)) < 400


@given(st.text(max_size=400), st.text(max_size=400))
def test_whatever_is_asked_for_the_answer_is_one_line_or_a_check(asked, module):
    try:
        answer = found(asked, module)
    except Refused as refused:
        answer = str(refused)
    assert len(answer.splitlines()) == 1
    assert len(answer) < 2000


def test_discovery_lists_every_line_and_device_with_what_it_is():
    listed = discovered(province(), "")
    assert len(listed) == 45 * 7 + 3
    by_target = {one["targets"][0]: one["labels"] for one in listed}
    line = by_target["na-tau/line1"]
    assert (line["__meta_netwatch_site"], line["__meta_netwatch_name"], line["__meta_netwatch_role"]) == ("na-tau", "Nà Tấu", "line")
    assert (line["__meta_netwatch_kind"], line["__meta_netwatch_modules"]) == ("line", ",icmp,")
    device = by_target["na-tau/ups"]
    assert (device["__meta_netwatch_device"], device["__meta_netwatch_role"], device["__meta_netwatch_site_kind"]) == (
        "ups",
        "ups",
        "commune",
    )
    assert all(isinstance(value, str) and value for labels in by_target.values() for value in labels.values())


def test_discovery_of_a_module_lists_what_can_be_asked_and_each_of_several():
    assert {one["labels"]["__meta_netwatch_kind"] for one in discovered(province(), "snmp")} == {"device"}
    site = dataclasses.replace(province().sites[0], targets=(target_view(*ROOM), target_view(check(), id_="kiosk")))
    listed = discovered(dataclasses.replace(province(), sites=(site,)), "tcp_connect")
    assert [one["targets"] for one in listed] == [["na-tau/vc/web"], ["na-tau/vc/call"]]
    assert discovered(province(), "none") == []


def test_over_http_errors_are_text_and_discovery_is_json():
    async def scenario():
        async with page(province()) as (daemon, http):
            daemon.in_force = Inventory(sites={}, checks={}, primary_checks={("muong-nhe", "line1"): "muong-nhe/line1/icmp"})
            async with http.get("/probe?target=muong-nhe/line1") as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                assert values(await answer.text())["probe_icmp_duration_seconds", "rtt"] > 0
            async with http.get("/probe?target=<b>/x&module=icmp") as answer:
                assert (answer.status, answer.content_type) == (404, "text/plain")
                assert "/sd/http" in await answer.text()
            async with http.get("/sd/http?module=icmp") as answer:
                assert answer.content_type == "application/json"
                assert len(json.loads(await answer.text())) == 45 * 7 + 3

    asyncio.run(scenario())


STOCK_JOB = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: blackbox
    metrics_path: /probe
    params: {{module: [icmp]}}
    http_sd_configs: [{{url: "http://{target}/sd/http?module=icmp"}}]
    relabel_configs:
      - {{source_labels: [__meta_netwatch_role], regex: line, action: keep}}
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{source_labels: [__meta_netwatch_site], target_label: site}}
      - {{target_label: __address__, replacement: "{target}"}}
"""


def test_a_stock_blackbox_job_of_a_real_prometheus_works_with_only_the_address_changed(tmp_path):
    async def scenario():
        async with asyncio.timeout(90), page(province()) as (daemon, http):
            daemon.in_force = Inventory(sites={}, checks={})
            async with prometheus(tmp_path, str(http._base_url.origin()), STOCK_JOB) as url, aiohttp.ClientSession() as client:
                seen = await until(client, url, "probe_success", lambda found: len(found) == 48)
                success = {labels["instance"]: (labels["site"], value) for labels, value in seen}
                assert success["na-tau/line1"] == ("na-tau", 0)
                assert success["dien-bien-phu/line1"] == ("dien-bien-phu", 1)
                ((_, rtt),) = await ask(client, url, 'probe_icmp_duration_seconds{phase="rtt",instance="dien-bien-phu/line1"}')
                assert 0 < rtt < 0.1
                down = await ask(client, url, "up == 0")
                assert down == []

    asyncio.run(scenario())
