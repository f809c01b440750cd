import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import logging
import socket
import subprocess
import time

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from netwatch.delivery import Delivery, Timing
from netwatch.model import Cause, Incident, PagerSettings, PageText
from netwatch.pagers import Busy, PagerMisconfigured, build
from netwatch.pagers.alertmanager import LARGEST_BATCH, OPEN_SECONDS, Alertmanager, alerts, labels
from tests.pager_servers import Mode, hostile
from tests.pager_services import Accepts
from tests.servers import HANG, http_receiver, http_server

NOW = 1_795_463_220.0
TEXT = PageText(title="🔴 Nà Tấu mất kết nối", body="🔴 Nà Tấu mất kết nối\nTừ 02:47", sms="", url="https://nw/sites/na-tau")
CONFIGURATION = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"


def incident(number=1, site="na-tau", opened=NOW, **changes):
    made = Incident(
        id=number, key=f"netwatch/{site}", cause=Cause("site", site), sites=(site,), severity="critical", opened=opened, updated=opened
    )
    return dataclasses.replace(made, **changes)


def pager(*urls):
    return build(PagerSettings(name="am", kind="alertmanager", options={"urls": list(urls)})).destinations()


async def sync(url, open_incidents=(), closed=(), wall=NOW):
    async with aiohttp.ClientSession() as http, asyncio.timeout(30):
        await pager(url)[0].sync([(made, TEXT) for made in open_incidents], [(made, TEXT) for made in closed], http, wall)


def parsed(time_text):
    return dt.datetime.fromisoformat(time_text).timestamp()


def test_an_open_incident_ends_in_five_minutes_and_is_labelled_by_what_never_changes():
    (alert,) = alerts([(incident(hidden=9), TEXT)], [], {}, NOW)
    assert alert["labels"] == {
        "alertname": "NetwatchSiteDown",
        "site": "na-tau",
        "cause_type": "site",
        "cause": "na-tau",
        "severity": "critical",
    }
    assert alert["annotations"] == {"summary": TEXT.title, "description": TEXT.body}
    assert alert["startsAt"] == "2026-11-23T19:47:00.000+00:00"
    assert parsed(alert["endsAt"]) == NOW + OPEN_SECONDS == NOW + 300
    assert alert["generatorURL"] == TEXT.url


@given(hidden=st.integers(0, 99), later=st.floats(0, 1e6), sequence=st.integers(0, 9), facts=st.dictionaries(st.text(), st.text()))
def test_labels_do_not_change_while_an_incident_grows(hidden, later, sequence, facts):
    grown = incident(hidden=hidden, updated=NOW + later, sequence=sequence, facts=facts, closed=NOW + later)
    assert labels(grown) == labels(incident())


def test_empty_labels_are_left_out():
    assert "site" not in labels(incident(sites=("a", "b")))
    assert "site" not in labels(incident(sites=("",), cause=Cause("netwatch", "errors")))


def test_a_closed_incident_ends_when_it_closed():
    (alert,) = alerts([], [(incident(closed=NOW - 100.5), TEXT)], {}, NOW)
    assert parsed(alert["endsAt"]) == NOW - 100.5
    assert parsed(alert["startsAt"]) <= parsed(alert["endsAt"])


def test_a_cause_that_is_open_again_is_not_resolved_by_its_former_incident():
    again = incident(number=2, opened=NOW - 10)
    before = incident(number=1, opened=NOW - 500, closed=NOW - 100)
    earlier = incident(number=0, opened=NOW - 900, closed=NOW - 800)
    (alert,) = alerts([(again, TEXT)], [(earlier, TEXT), (before, TEXT)], {}, NOW)
    assert parsed(alert["endsAt"]) > NOW
    (alert,) = alerts([], [(earlier, TEXT), (before, TEXT)], {}, NOW)
    assert parsed(alert["endsAt"]) == NOW - 100


def test_when_the_severity_grows_the_old_alert_is_ended():
    mild = incident(severity="warning")
    new, old = alerts([(incident(), TEXT)], [], {1: labels(mild)}, NOW)
    assert (new["labels"]["severity"], old["labels"]["severity"]) == ("critical", "warning")
    assert parsed(old["endsAt"]) <= NOW < parsed(new["endsAt"])


def test_a_receiver_remembers_the_labels_it_was_told():
    async def scenario():
        async with http_receiver() as receiver, aiohttp.ClientSession() as http:
            (one,) = pager(receiver.url + "/prefix/")
            for severity in ("warning", "critical", "critical"):
                await one.sync([(incident(severity=severity), TEXT)], [], http, NOW)
            told = [[alert["labels"]["severity"] for alert in json.loads(received.body)] for received in receiver.received]
            assert told == [["warning"], ["critical", "warning"], ["critical"]]
            assert {received.path for received in receiver.received} == {"/prefix/api/v2/alerts"}

    asyncio.run(scenario())


def test_batches_hold_no_more_than_256():
    async def scenario():
        async with http_receiver() as receiver:
            await sync(receiver.url, [incident(n, f"site-{n}") for n in range(600)])
            sizes = [len(json.loads(received.body)) for received in receiver.received]
            assert sizes == [LARGEST_BATCH, LARGEST_BATCH, 600 - 2 * LARGEST_BATCH]
            assert {received.path for received in receiver.received} == {"/api/v2/alerts"}

    asyncio.run(scenario())


def test_one_bad_alert_is_found_and_logged_and_all_others_get_through(caplog):
    stored = set()

    async def choosy(request):
        sites = {alert["labels"]["site"] for alert in await request.json()}
        if "site-77" in sites:
            return web.Response(status=400, text="bad label")
        stored.update(sites)
        return web.Response()

    async def scenario():
        async with http_server(choosy) as url:
            await sync(url + "/prefix/", [incident(n, f"site-{n}") for n in range(300)])

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert stored == {f"site-{n}" for n in range(300) if n != 77}
    (record,) = caplog.records
    assert record.alert["site"] == "site-77"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 404, 302])
def test_any_other_failure_is_tried_again(status):
    async def scenario():
        async with http_receiver((status, {"Location": "/"})) as receiver:
            with pytest.raises(Busy, match=str(status)):
                await sync(receiver.url, [incident()])
            assert len(receiver.received) == 1

    asyncio.run(scenario())


def test_the_status_alone_is_the_answer():
    async def scenario():
        async with hostile(Accepts(), Mode.HALF) as server:
            await sync(server.url, [incident()])

    asyncio.run(scenario())


def test_how_long_to_wait_is_passed_on():
    async def scenario():
        async with http_receiver((429, {"Retry-After": "2.5"})) as receiver:
            with pytest.raises(Busy) as busy:
                await sync(receiver.url, [incident()])
        assert busy.value.retry_after_seconds == 2.5

    asyncio.run(scenario())


@pytest.mark.parametrize(("options", "key"), [({}, "urls"), ({"urls": []}, "urls"), ({"urls": ["http://a", "canary"]}, "urls.1")])
def test_a_wrong_option_is_named(options, key):
    with pytest.raises(PagerMisconfigured) as wrong:
        build(PagerSettings(name="am", kind="alertmanager", options=options))
    assert wrong.value.key == key
    assert "canary" not in str(wrong.value)


class Ledger:
    async def page_sent(self, row_id, thread, wall): ...
    async def page_refused(self, row_id, reason, wall): ...
    async def page_postponed(self, row_id, next_attempt_wall, error, wall): ...


@contextlib.asynccontextmanager
async def delivery(*urls, timing=None, wall=lambda: NOW):
    made = Delivery(Ledger(), wall=wall, timing=timing)
    made.configure({"am": PagerSettings(name="am", kind="alertmanager", options={"urls": list(urls)})})
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        try:
            yield made
        finally:
            made.stop()
            await running


def test_a_dead_alertmanager_does_not_delay_the_one_that_lives():
    async def scenario():
        async with http_receiver(default=(HANG, {})) as hung, http_receiver() as alive, delivery(hung.url, alive.url) as made:
            made.sync([incident()], [])
            await hung.wait_for(1)
            for number in (2, 3, 4):
                made.sync([incident(number, f"site-{number}")], [])
                await alive.wait_for(number)
            assert len(hung.received) == 1

    asyncio.run(scenario())


def test_the_truth_is_told_again_though_nothing_changes():
    async def scenario():
        timing = Timing(resync_seconds=0.01)
        async with http_receiver() as receiver, delivery(receiver.url, timing=timing) as made:
            made.sync([incident()], [incident(2, "pu-nhi", closed=NOW - 899), incident(3, "sin-thau", closed=NOW - 901)])
            for received in await receiver.wait_for(3):
                assert {alert["labels"]["site"] for alert in json.loads(received.body)} == {"na-tau", "pu-nhi"}

    asyncio.run(scenario())


def test_the_same_truth_is_not_told_at_once_again():
    async def scenario():
        async with http_receiver() as receiver, delivery(receiver.url) as made:
            made.sync([incident()], [])
            await receiver.wait_for(1)
            waited_for = made._states._changed
            made.sync([incident()], [])
            assert made._states._changed is waited_for
            made.sync([incident()], [incident(2, "pu-nhi", closed=NOW)])
            await receiver.wait_for(2)
            assert len(json.loads(receiver.received[1].body)) == 2

    asyncio.run(scenario())


def test_a_reload_moves_removes_and_keeps_state_pagers():
    async def scenario():
        timing = Timing(resync_seconds=0.01)
        async with http_receiver() as first, http_receiver() as second, http_receiver() as kept, delivery(first.url, timing=timing) as made:
            am = PagerSettings(name="am", kind="alertmanager", options={"urls": [second.url]})
            stays = PagerSettings(name="stays", kind="alertmanager", options={"urls": [kept.url]})
            made.sync([incident()], [])
            await first.wait_for(1)
            made.configure({"am": am, "stays": stays})
            before = len(first.received)
            await second.wait_for(3)
            assert len(first.received) <= before + 1
            tasks = made._states._tasks["stays"]
            made.configure({"stays": stays})
            assert made._states._tasks == {"stays": tasks}
            before = len(second.received)
            await kept.wait_for(len(kept.received) + 5)
            assert len(second.received) <= before + 1

    asyncio.run(scenario())


def test_a_mistake_of_ours_in_a_state_pager_is_tried_again(monkeypatch):
    real = Alertmanager._post
    failures = iter([KeyError("x"), RuntimeError("y")])

    async def failing(self, batch, http):
        for failure in failures:
            raise failure
        await real(self, batch, http)

    monkeypatch.setattr(Alertmanager, "_post", failing)

    async def scenario():
        async with http_receiver() as receiver, delivery(receiver.url, timing=Timing(retry_seconds=(0.01,))) as made:
            made.sync([incident()], [])
            await receiver.wait_for(1)
            assert made.outcomes["am", "retried"] == 2

    asyncio.run(scenario())


# --- a real Alertmanager


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def alertmanager(directory, port):
    (directory / "alertmanager.yml").write_text(CONFIGURATION)
    command = [
        "prometheus-alertmanager",
        f"--config.file={directory}/alertmanager.yml",
        f"--storage.path={directory}/data-{time.monotonic_ns()}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220  # starting it takes no time
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(60):
            await until(lambda: ready(http, f"http://127.0.0.1:{port}/-/ready"))
        yield
    finally:
        process.kill()
        process.wait()


async def ready(http, url):
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def until(asked):
    while not await asked():  # noqa: ASYNC110  # another program has no event to wait for
        await asyncio.sleep(0.02)


async def shown(http, port):
    """What Alertmanager itself says of its alerts: site to state; resolved ones are not shown."""
    async with http.get(f"http://127.0.0.1:{port}/api/v2/alerts") as answer:
        return {alert["labels"]["site"]: (alert["labels"]["alertname"], alert["annotations"]["summary"]) for alert in await answer.json()}


def test_a_real_alertmanager_receives_resolves_and_heals_after_a_restart(tmp_path):
    port = free_port()
    started = time.time() - 120
    first, second = incident(1, "na-tau", opened=started), incident(2, "pu-nhi", opened=started)

    async def scenario():
        timing = Timing(resync_seconds=0.2, retry_seconds=(0.1,))
        async with aiohttp.ClientSession() as http, delivery(f"http://127.0.0.1:{port}", timing=timing, wall=time.time) as made:

            async def sites(*wanted):
                async def are_shown():
                    return set(await shown(http, port)) == set(wanted)

                await until(are_shown)

            async def has_failed():
                return made.outcomes["am", "retried"] > 0

            made.sync([first, second], [])
            await until(has_failed)
            async with alertmanager(tmp_path, port):
                await sites("na-tau", "pu-nhi")
                name, summary = (await shown(http, port))["na-tau"]
                assert (name, summary[:9]) == ("NetwatchSiteDown", "🔴 na-tau ")
                made.sync([first], [dataclasses.replace(second, closed=time.time(), close_reason="recovered")])
                await sites("na-tau")
            async with alertmanager(tmp_path, port):
                await sites("na-tau")
                again = incident(3, "pu-nhi", opened=time.time())
                made.sync([first, again], [dataclasses.replace(second, closed=time.time() - 1, close_reason="recovered")])
                await sites("na-tau", "pu-nhi")

    asyncio.run(scenario())


def test_a_real_alertmanager_keeps_the_good_ones_of_a_batch_with_a_bad_one(tmp_path, caplog):
    port = free_port()

    async def scenario():
        async with aiohttp.ClientSession() as http, alertmanager(tmp_path, port):
            now = time.time()
            bad = incident(2, "bad", opened=now)
            told = [
                (incident(1, "na-tau", opened=now), TEXT),
                (bad, dataclasses.replace(TEXT, url="::not a url::")),
                (incident(3, "pu-nhi", opened=now), TEXT),
            ]
            await pager(f"http://127.0.0.1:{port}")[0].sync(told, [], http, now)
            assert set(await shown(http, port)) == {"na-tau", "pu-nhi"}

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert [record.alert["site"] for record in caplog.records] == ["bad"]
