import asyncio
import contextlib
import dataclasses
import json
import logging
import os
from dataclasses import dataclass, field

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netwatch.delivery
from netwatch._delivery_lanes import Desk, explain, open_session
from netwatch.delivery import Delivery, Timing
from netwatch.history import HistoryFailed, OutboxRow
from netwatch.model import Cause, Incident, Page, PagerSettings, PageText, Settings
from netwatch.pagers import Busy, EventPager, Receipt
from tests.servers import HANG, http_receiver

NOW = 1_795_463_220.0
SECRET = "whsec_" + "A" * 40
QUICK = Timing(retry_seconds=(0.01,), deadline_seconds=0.3, jitter=lambda: 1.0)
SLOW = Timing(retry_seconds=(600.0,), longest_wait_seconds=600.0, jitter=lambda: 1.0)


def entry(name, url="http://127.0.0.1:9", **options):
    return PagerSettings(name=name, kind="webhook", options={"url": url, "secret": SECRET, **options})


def page(number=1, kind="open", pager="noc", site="na-tau", sequence=1):
    incident = Incident(
        id=number,
        key=f"netwatch/{site}",
        cause=Cause("site", site),
        sites=(site,),
        severity="critical",
        opened=NOW,
        updated=NOW,
        sequence=sequence,
    )
    return Page(incident=incident, kind=kind, wall=NOW, pager=pager)


def row(number=1, made=None, **options):
    return OutboxRow(id=number, page=made or page(number), **options)


@dataclass
class Ledger:
    """What History is to delivery, in memory; `broken` raises, `hung` never returns."""

    lines: list[tuple] = field(default_factory=list)
    broken: bool = False
    hung: bool = False
    written: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def page_sent(self, row_id, thread, wall):
        await self._write("sent", row_id, thread)

    async def page_refused(self, row_id, reason, wall):
        await self._write("refused", row_id, reason)

    async def page_postponed(self, row_id, next_attempt_wall, error, wall):
        await self._write("postponed", row_id, next_attempt_wall - wall, error)

    async def page_merged(self, row_id, into, wall):
        await self._write("merged", row_id, into)

    async def keep_threads(self, incident, threads, wall):
        await self._write("threads", incident, threads)

    async def _write(self, *line):
        self.lines.append(line)
        async with self.written:
            self.written.notify_all()
        if self.hung:
            await asyncio.Event().wait()
        if self.broken:
            raise HistoryFailed("disk full")

    async def wait_for(self, word, count=1):
        """The lines of that kind, once there are so many."""
        async with asyncio.timeout(30), self.written:
            await self.written.wait_for(lambda: len(self.of(word)) >= count)
        return self.of(word)

    def of(self, word):
        return [line[1:] for line in self.lines if line[0] == word]


@contextlib.asynccontextmanager
async def delivery(*pagers, ledger=None, timing=QUICK, wall=lambda: NOW, start=True):
    made = Delivery(ledger or Ledger(), wall=wall, timing=timing)
    made.configure({one.name: one for one in pagers})
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(made.run()) if start else None
        yield made
        made.stop()
        if running is not None:
            await running


def ids(receiver):
    return [request.headers["webhook-id"] for request in receiver.received]


def test_a_page_is_delivered_in_the_pager_s_language_and_its_row_ends():
    async def scenario():
        ledger = Ledger()
        async with (
            http_receiver() as receiver,
            delivery(dataclasses.replace(entry("noc", receiver.url), language="en"), ledger=ledger) as made,
        ):
            made.accept([row()])
            assert made.pending == 1
            assert await ledger.wait_for("sent") == [(1, "")]
            assert made.pending == 0
            assert json.loads(receiver.received[0].body)["text"]["title"] == "🔴 na-tau: site down since 02:47"
            assert made.outcomes == {("noc", "sent"): 1, ("noc", "retried"): 0, ("noc", "refused"): 0, ("noc", "handed_over"): 0}

    asyncio.run(scenario())


def test_what_was_accepted_before_the_start_is_delivered_after_it():
    async def scenario():
        async with http_receiver() as receiver, delivery(entry("noc", receiver.url), start=False) as made:
            made.accept([row(1), row(2, page(2, site="pu-nhi"))])
            async with asyncio.TaskGroup() as group:
                group.create_task(made.run())
                await receiver.wait_for(2)
                made.stop()

    asyncio.run(scenario())


def test_a_retry_has_the_same_id_and_the_same_bytes():
    async def scenario():
        ledger = Ledger()
        async with http_receiver((500, {}), (503, {}), (HANG, {})) as receiver, delivery(entry("noc", receiver.url), ledger=ledger) as made:
            made.accept([row()])
            await ledger.wait_for("sent")
            assert len(set(ids(receiver))) == 1
            assert len({request.body for request in receiver.received}) == 1
            assert [error for _, _, error in ledger.of("postponed")] == ["HTTP 500", "HTTP 503", "no answer in time"]
            assert made.outcomes["noc", "retried"] == 3

    asyncio.run(scenario())


def test_a_later_page_of_the_same_key_waits_and_other_keys_do_not():
    async def scenario():
        ledger = Ledger()
        async with http_receiver(*[(503, {})] * 3) as receiver, delivery(entry("noc", receiver.url), ledger=ledger) as made:
            opened, closed = page(1), page(1, "recover", sequence=2)
            made.accept([row(1, opened)])
            await ledger.wait_for("sent")
            made.accept([row(2, closed), row(3, page(3, site="pu-nhi"))])
            await ledger.wait_for("sent", 3)
            same_key = [one for one in ids(receiver) if "na-tau" in one]
            assert same_key == [opened.id] * 4 + [closed.id]

    asyncio.run(scenario())


def test_two_pages_of_one_key_are_never_in_flight_together():
    async def scenario():
        async with http_receiver((HANG, {})) as receiver, delivery(entry("noc", receiver.url), timing=Timing(deadline_seconds=20)) as made:
            made.accept([row(1)])
            await receiver.wait_for(1)
            made.accept([row(2, page(1, "recover", sequence=2)), row(3, page(3, site="pu-nhi"))])
            await receiver.wait_for(2)
            assert ids(receiver) == [page(1).id, page(3, site="pu-nhi").id]
            assert made.pending >= 2

    asyncio.run(scenario())


def test_a_hung_pager_delays_no_other():
    async def scenario():
        ledger = Ledger()
        timing = Timing(deadline_seconds=20)
        async with (
            http_receiver(default=(HANG, {})) as hung,
            http_receiver() as alive,
            delivery(entry("noc", hung.url), entry("sms", alive.url), ledger=ledger, timing=timing) as made,
        ):
            made.accept(row(n, page(n, site=f"site-{n}")) for n in range(20))
            await hung.wait_for(1)
            made.accept(row(n, page(n, site=f"site-{n}", pager="sms")) for n in range(20, 40))
            await ledger.wait_for("sent", 20)
            assert {row_id for row_id, _ in ledger.of("sent")} == set(range(20, 40))

    asyncio.run(scenario())


def test_a_pager_that_asks_for_time_is_left_alone_by_all_keys():
    async def scenario():
        ledger = Ledger()
        async with (
            http_receiver((429, {"Retry-After": "120"})) as busy,
            http_receiver() as other,
            delivery(entry("noc", busy.url), entry("sms", other.url), ledger=ledger) as made,
        ):
            made.accept([row(1)])
            assert await ledger.wait_for("postponed") == [(1, 120.0, "HTTP 429")]
            made.accept([row(2, page(2, site="pu-nhi")), row(3, page(3, pager="sms"))])
            await ledger.wait_for("sent")
            assert ids(busy) == [page(1).id]

    asyncio.run(scenario())


def test_a_pager_that_asks_for_time_is_also_left_alone_by_what_stood_in_the_queue(scripted):
    answers = asyncio.Event()

    async def answer(made):
        await answers.wait()
        raise Busy("HTTP 429", 120.0)

    pager = scripted(answer)

    async def scenario():
        ledger = Ledger()
        async with http_receiver() as other, delivery(entry("scripted"), entry("noc", other.url), ledger=ledger) as made:
            made.accept(row(n, page(n, site=f"site-{n}", pager="scripted")) for n in range(9))
            for _ in range(9):  # turns of the loop: by then all nine have come, and five stand in the queue
                await asyncio.sleep(0)
            answers.set()
            await ledger.wait_for("postponed", 4)
            made.accept([row(10)])
            await ledger.wait_for("sent")
            assert len(pager.told) == 4

    asyncio.run(scenario())


def test_a_mended_pager_is_not_left_alone_for_what_the_old_one_asked():
    async def scenario():
        ledger = Ledger()
        async with (
            http_receiver((429, {"Retry-After": "120"})) as busy,
            http_receiver() as mended,
            delivery(entry("noc", busy.url), ledger=ledger) as made,
        ):
            made.accept([row(1)])
            await ledger.wait_for("postponed")
            made.configure({"noc": entry("noc", mended.url)})
            await ledger.wait_for("sent")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("attempts", "asked", "wanted"),
    [
        (1, None, 1),
        (2, None, 2),
        (3, None, 5),
        (4, None, 10),
        (5, None, 30),
        (6, None, 60),
        (7, None, 60),
        (900, None, 60),
        (1, 120, 120),
        (1, 1e9, 300),
        (6, 3, 60),
    ],
)
def test_retries_come_less_and_less_often_but_for_ever(attempts, asked, wanted):
    assert Timing(jitter=lambda: 1.0).wait_seconds(attempts, asked) == wanted


def test_retries_are_spread():
    waits = {Timing().wait_seconds(6) for _ in range(20)}
    assert len(waits) > 1
    assert all(54 <= wait <= 66 for wait in waits)


@pytest.mark.parametrize("status", [400, 401, 410])
def test_a_refused_page_goes_to_the_fall_back_pager_and_its_row_ends_there(status):
    async def scenario():
        ledger = Ledger()
        async with (
            http_receiver(default=(status, {})) as refusing,
            http_receiver((500, {})) as standby,
            delivery(entry("noc", refusing.url, fallback="sms"), entry("sms", standby.url), ledger=ledger) as made,
        ):
            made.accept([row(1)])
            await ledger.wait_for("refused")
            made.accept([row(2, page(1, "recover", sequence=2))])
            assert await ledger.wait_for("refused", 2) == [
                (1, f"noc: HTTP {status}; taken by sms"),
                (2, f"noc: HTTP {status}; taken by sms"),
            ]
            assert ids(standby) == [page(pager="sms").id, page(pager="sms").id, page(sequence=2, pager="sms").id]
            assert not ledger.of("sent")
            assert made.outcomes["noc", "handed_over"] == 1  # who told of the opening is told of the end at once
            assert made.outcomes["sms", "sent"] == 2

    asyncio.run(scenario())


def test_a_page_that_everybody_refuses_ends():
    async def scenario():
        ledger = Ledger()
        async with http_receiver(default=(403, {})) as receiver:
            pagers = entry("noc", receiver.url, fallback="sms"), entry("sms", receiver.url, fallback="noc")
            async with delivery(*pagers, ledger=ledger) as made:
                made.accept([row(1)])
                assert await ledger.wait_for("refused") == [(1, "noc: HTTP 403; sms: HTTP 403")]
                assert made.pending == 0

    asyncio.run(scenario())


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", "a", "b", "c", "d", "e", "f", "z"])))
def test_every_pager_is_told_or_stands_by_for_one_that_is(fallbacks):
    made = Delivery(Ledger(), wall=lambda: NOW)
    made.configure({name: entry(name, fallback=fallback) for name, fallback in fallbacks.items()})
    told = made.event_pagers()
    assert len(told) == len(set(told))
    reached = set()
    for name in told:
        while name in fallbacks and name not in reached:
            reached.add(name)
            name = fallbacks[name]
    assert reached == set(fallbacks)
    assert {name for name in fallbacks if name not in fallbacks.values()} <= set(told)


def test_a_pager_that_only_stands_by_is_not_told_of_everything():
    made = Delivery(Ledger(), wall=lambda: NOW)
    made.configure({"sms": entry("sms"), "noc": entry("noc", fallback="sms"), "b": entry("b", fallback="c"), "c": entry("c", fallback="b")})
    assert made.event_pagers() == ("noc", "b")
    assert made.event_pagers(frozenset({"c", "noc", "none"})) == ("noc", "b", "c"), "but if it is named, it is told for itself"


def test_a_restart_goes_on_where_the_last_process_was():
    async def scenario():
        ledger = Ledger()
        async with http_receiver() as receiver, delivery(entry("noc", receiver.url), ledger=ledger, timing=SLOW) as made:
            waiting = row(1, attempts=3, next_attempt_wall=NOW + 500)
            behind_it = row(2, page(1, "recover", sequence=2))
            due = row(3, page(3, site="pu-nhi"), attempts=2, next_attempt_wall=NOW - 1)
            never_tried = row(4, page(4, site="sin-thau"), next_attempt_wall=NOW + 9_000)  # the clock was set back
            made.restore([waiting, behind_it, due, never_tried], {})
            await ledger.wait_for("sent", 2)
            assert sorted(row_id for row_id, _ in ledger.of("sent")) == [3, 4]
            assert ledger.of("merged") == [(1, behind_it.page.id)]
            assert made.pending == 1

    asyncio.run(scenario())


def test_no_clock_can_make_a_page_wait_longer_than_five_minutes():
    async def scenario():
        made = Delivery(Ledger(), wall=lambda: NOW)
        made.configure({"noc": entry("noc")})
        made.restore([row(1, attempts=1, next_attempt_wall=NOW + 1e9)], {})
        (lane,) = made._channels["noc"].lanes.values()
        assert lane[0].due_at - asyncio.get_running_loop().time() == pytest.approx(300, abs=5)

    asyncio.run(scenario())


def test_the_page_of_a_pager_nobody_knows_is_refused():
    async def scenario():
        ledger = Ledger()
        async with delivery(ledger=ledger) as made:
            made.restore([row(1)], {})
            assert await ledger.wait_for("refused") == [(1, "noc: pager removed")]

    asyncio.run(scenario())


def test_a_removed_pager_still_delivers_what_waits_and_is_told_nothing_new():
    async def scenario():
        ledger = Ledger()
        async with http_receiver((500, {}), (500, {})) as receiver, delivery(entry("noc", receiver.url), ledger=ledger) as made:
            made.accept([row(1)])
            await receiver.wait_for(1)
            made.configure({})
            assert made.event_pagers() == ()
            await ledger.wait_for("sent")
            made.accept([row(2)])
            assert await ledger.wait_for("refused") == [(2, "noc: pager removed")]

    asyncio.run(scenario())


def test_a_mended_address_is_tried_at_once():
    async def scenario():
        ledger = Ledger()
        async with http_receiver() as receiver, delivery(entry("noc"), ledger=ledger, timing=SLOW) as made:
            made.accept([row(1)])
            await ledger.wait_for("postponed")
            made.configure({"noc": entry("noc", receiver.url)})
            await ledger.wait_for("sent")

    asyncio.run(scenario())


def test_the_same_settings_again_change_nothing():
    async def scenario():
        async with delivery(entry("noc")) as made:
            channel = made._channels["noc"]
            pager = channel.pager
            made.configure({"noc": entry("noc")})
            assert made._channels["noc"] is channel
            assert channel.pager is pager

    asyncio.run(scenario())


def test_a_misconfigured_pager_is_left_out_and_its_secret_not_logged(caplog):
    async def scenario():
        ledger = Ledger()
        async with http_receiver() as receiver:
            bad = PagerSettings(name="bad", kind="webhook", options={"url": "canary", "secret": "canary"})
            async with delivery(bad, entry("noc", receiver.url), ledger=ledger) as made:
                assert made.event_pagers() == ("noc",)
                made.accept([row(1)])
                await ledger.wait_for("sent")

    asyncio.run(scenario())
    assert "pager left out" in caplog.text
    assert "canary" not in caplog.text + "".join(str(vars(record)) for record in caplog.records)


class Scripted(EventPager):
    """Answers as a function says."""

    def __init__(self, answer):
        self.answer = answer
        self.fallback = ""
        self.out_of_band = False
        self.pages_per_minute = 600.0
        self.told = []

    async def send(self, page, text, thread, http):
        self.told.append((page.id, thread))
        return await self.answer(page)


@pytest.fixture
def scripted(monkeypatch):
    """Makes the pager called "scripted" whatever the test wants."""

    def install(answer):
        pager = Scripted(answer)
        real = netwatch.delivery.build
        monkeypatch.setattr(netwatch.delivery, "build", lambda one: pager if one.name == "scripted" else real(one))
        return pager

    return install


def test_later_pages_join_the_thread_of_the_first_also_after_a_restart(scripted):
    async def answer(made):
        return Receipt("thread-7")

    pager = scripted(answer)

    async def scenario():
        ledger = Ledger()
        async with delivery(entry("scripted"), ledger=ledger) as made:
            made.restore([row(9, page(9, "update", pager="scripted", site="pu-nhi"))], {(9, "scripted"): "old"})
            for number, kind in enumerate(("open", "update", "recover", "open"), 1):
                made.accept([row(number, page(1, kind, pager="scripted", sequence=number))])
                await ledger.wait_for("sent", number + 1)
        assert (page(9, pager="scripted", site="pu-nhi").id, Receipt("old")) in pager.told
        threads = [thread for told, thread in pager.told if "na-tau" in told]
        assert threads == [None, Receipt("thread-7"), Receipt("thread-7"), None]
        assert (1, "thread-7") in ledger.of("sent")

    asyncio.run(scenario())


def test_a_mistake_in_one_pager_stops_neither_the_others_nor_itself_for_ever(scripted, caplog):
    async def answer(made):
        raise KeyError("canary")

    scripted(answer)

    async def scenario():
        ledger = Ledger()
        async with http_receiver() as receiver, delivery(entry("scripted"), entry("noc", receiver.url), ledger=ledger) as made:
            made.accept([row(1, page(pager="scripted")), row(2)])
            await ledger.wait_for("sent")
            assert await ledger.wait_for("refused") == [(1, "scripted: KeyError")]
            assert len(ledger.of("postponed")) == 4

    asyncio.run(scenario())
    assert "canary" not in caplog.text


def test_a_disk_that_refuses_or_hangs_delays_no_page(caplog):
    async def scenario():
        for trouble in ("broken", "hung"):
            ledger = Ledger(**{trouble: True})
            timing = dataclasses.replace(QUICK, stop_seconds=0.01)
            async with http_receiver() as receiver, delivery(entry("noc", receiver.url), ledger=ledger, timing=timing) as made:
                made.accept([row(1), row(2, page(2, site="pu-nhi")), row(None, page(3, site="sin-thau"))])
                await receiver.wait_for(3)

    asyncio.run(scenario())
    assert "not on the disk" in caplog.text


def test_progress_goes_on_while_a_pager_hangs(monkeypatch):
    monkeypatch.setattr(netwatch.delivery, "BEAT_SECONDS", 0.001)

    async def scenario():
        timing = Timing(deadline_seconds=20)
        async with http_receiver(default=(HANG, {})) as receiver, delivery(entry("noc", receiver.url), timing=timing) as made:
            made.accept([row(1)])
            await receiver.wait_for(1)
            seen = made.progress_at
            while made.progress_at == seen:  # noqa: ASYNC110  # a watchdog looks, it is not told
                await asyncio.sleep(0)

    asyncio.run(scenario())


def test_an_attempt_that_cannot_be_ended_is_no_progress():
    async def scenario():
        desk = Desk(wall=lambda: NOW, timing=Timing(deadline_seconds=1000), settings=Settings())
        async with desk.deadline():
            assert not desk.is_stuck()
            desk.timing = Timing(deadline_seconds=-11)
            assert desk.is_stuck()
        assert not desk.is_stuck()

    asyncio.run(scenario())


def test_a_stop_lets_what_is_in_flight_finish_and_leaves_the_rest_to_the_ledger(scripted):
    started, may_end = asyncio.Event(), asyncio.Event()

    async def answer(made):
        started.set()
        await may_end.wait()
        return Receipt()

    scripted(answer)

    async def scenario():
        ledger = Ledger()
        async with delivery(entry("scripted"), entry("noc"), ledger=ledger, timing=dataclasses.replace(SLOW, stop_seconds=20)) as made:
            made.accept([row(1, page(pager="scripted")), row(3)])
            await started.wait()
            made.accept([row(2, page(1, "recover", pager="scripted", sequence=2))])
            await ledger.wait_for("postponed")
            made.stop()
            may_end.set()
        assert [row_id for row_id, _ in ledger.of("sent")] == [1]

    asyncio.run(scenario())


def test_a_stop_does_not_wait_for_a_hung_pager():
    async def scenario():
        timing = Timing(deadline_seconds=50, stop_seconds=0.01)
        async with http_receiver(default=(HANG, {})) as receiver, delivery(entry("noc", receiver.url), timing=timing) as made:
            made.accept([row(1)])
            await receiver.wait_for(1)

    asyncio.run(scenario())


def test_the_session_follows_no_redirect_whatever_a_pager_forgets():
    async def scenario():
        async with http_receiver() as elsewhere, http_receiver((302, {"Location": elsewhere.url, "Set-Cookie": "a=b"})) as receiver:
            async with open_session() as http:
                # By name: aiohttp keeps no cookies of bare addresses anyway.
                named = receiver.url.replace("127.0.0.1", "localhost")
                with pytest.raises(Busy):
                    await http.post(named)
                receiver.script.append((204, {"Set-Cookie": "a=b"}))
                await http.post(named)
                await http.post(named)
            assert not elsewhere.received
            assert not any("cookie" in request.headers for request in receiver.received)

    asyncio.run(scenario())


def test_a_network_error_is_told_without_the_address():
    async def scenario():
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await http.get("http://127.0.0.1:9/canary")
            with pytest.raises(aiohttp.InvalidURL) as invalid:
                await http.get("http://canary:99999999/")
            async with http_receiver() as receiver:
                with pytest.raises(aiohttp.ClientConnectorSSLError) as not_encrypted:
                    await http.get(receiver.url.replace("http:", "https:") + "/canary")
        assert explain(not_encrypted.value) == "ClientConnectorSSLError"
        assert explain(refused.value) == f"cannot connect: {os.strerror(111)}"
        assert explain(invalid.value) == "InvalidUrlClientError"
        assert explain(TimeoutError()) == "no answer in time"

    asyncio.run(scenario())


def test_a_time_zone_nobody_knows_is_vietnam_s():
    async def scenario():
        desk = Desk(wall=lambda: NOW, timing=QUICK, settings=Settings(timezone="Mars/Olympus", page_url="https://nw"))
        text = desk.text(page().incident, "open", "vi", NOW)
        assert isinstance(text, PageText)
        assert "02:47" in text.title
        desk.settings = Settings(timezone="UTC")
        assert "19:47" in desk.text(page().incident, "open", "vi", NOW).title

    asyncio.run(scenario())


def test_the_daemon_s_log_never_shows_where_pages_go(caplog):
    caplog.set_level(logging.DEBUG)

    async def scenario():
        ledger = Ledger()
        gone = entry("gone", "http://127.0.0.1:9/canary")
        async with (
            http_receiver((302, {"Location": "/canary"}), (401, {})) as receiver,
            delivery(entry("noc", receiver.url + "/canary?canary"), gone, ledger=ledger) as made,
        ):
            made.accept([row(1), row(2, page(pager="gone"))])
            await ledger.wait_for("refused")
            await ledger.wait_for("postponed", 2)
        return ledger.lines

    shown = caplog.text + str(asyncio.run(scenario())) + "".join(str(vars(record)) for record in caplog.records)
    assert "canary" not in shown
    assert SECRET not in shown
