"""The daily trial of each pager, the sign of life to the outside, the note of blind time: in virtual time where nothing is real."""

import asyncio
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netwatch.delivery
from netwatch import core
from netwatch._delivery_lanes import Desk, open_session
from netwatch._delivery_notes import trial_text
from netwatch._delivery_trials import DeadMan, next_local_minute
from netwatch.core import World
from netwatch.delivery import Delivery, Timing
from netwatch.lang import LANGUAGES
from netwatch.model import Inventory, PagerSettings, PagerTried, Reloaded, Secret, Settings
from netwatch.wording import describe
from tests.servers import HANG, http_receiver
from tests.test_delivery import Ledger
from tests.test_delivery_promises import NAMES, TIMING, Story
from tests.virtual_time import run
from tests.worlds import inventory

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


@given(st.floats(0, 4e9), st.integers(0, 1439))
def test_a_minute_of_the_local_day_comes_within_a_day(wall, minute):
    then = next_local_minute(wall, minute, VIETNAM)
    local = dt.datetime.fromtimestamp(then, VIETNAM)
    assert 0 < then - wall <= 86_400 + 1e-3
    assert local.hour * 60 + local.minute == minute
    assert local.second == 0


def played(settings, moods, hours=30.0, prepare=lambda story: None):
    """Each trial that was told of: the local time, the pager, the error."""
    story = Story((False,) * 3, (600.0,) * 3, settings)
    tried = []

    async def scenario():
        delivery = Delivery(
            story.ledger,
            wall=story.wall,
            settings=settings,
            timing=TIMING,
            tried=lambda name, error: tried.append((dt.datetime.fromtimestamp(story.wall(), VIETNAM), name, error)),
        )
        delivery.configure(story.entries())
        story.delivery = delivery
        for name, mood in moods.items():
            story.pagers[name].mood = mood
        running = asyncio.get_running_loop().create_task(delivery.run())
        await asyncio.sleep(0)
        prepare(story)
        await asyncio.sleep(hours * 3_600)
        delivery.stop()
        await running
        return dict(delivery.trials)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(netwatch.delivery, "build", lambda entry: story.pagers[entry.name])
        return story, tried, run(scenario())


def test_each_pager_is_tried_once_a_day_also_those_that_only_stand_by():
    story, tried, successes = played(Settings(trial_minute=8 * 60), {}, hours=71)
    assert [sorted(name for _, name, _ in tried[at : at + 3]) for at in range(0, len(tried), 3)] == [sorted(NAMES)] * (len(tried) // 3)
    assert len(tried) in {6, 9}
    assert {f"{at:%H:%M}" for at, _, _ in tried} == {"08:00"}
    assert successes == dict.fromkeys(NAMES, True)
    _, page, text = story.pagers["sms"].messages[0]
    assert page.kind == "recover"  # nobody is woken
    assert text.title == "🔵 Thử kênh báo sms hằng ngày: tốt"
    assert "không phải sự cố" in text.body
    assert text.sms.isascii()


@pytest.mark.parametrize(("mood", "error"), [("busy", "HTTP 503"), ("refused", "HTTP 400"), ("hang", "no answer in time")])
def test_a_pager_that_fails_three_times_has_failed_and_is_told_of(mood, error):
    _, tried, successes = played(Settings(trial_minute=8 * 60), {"sms": mood}, hours=25)
    assert {(name, why) for _, name, why in tried} == {("noc", ""), ("mail", ""), ("sms", error)}
    assert successes == {"noc": True, "sms": False, "mail": True}


def test_no_trial_where_none_is_wanted():
    _, tried, _ = played(Settings(trial_minute=None), {}, hours=50)
    assert tried == []


def test_a_failed_trial_is_an_incident_until_the_pager_takes_one_again():
    world = World(inventory=inventory("na-tau"), pagers=("noc",))
    opened = core.step(world, PagerTried(at=1.0, wall=1_795_000_001.0, pager="sms", error="HTTP 401"))
    (page,) = opened.pages
    assert (page.kind, page.incident.key) == ("open", "netwatch/self/pager/sms")
    for language in LANGUAGES:
        assert "HTTP 401" in describe(page.incident, "open", language, wall=page.wall).body
    assert not core.step(world, PagerTried(at=2.0, wall=1_795_000_002.0, pager="sms", error="HTTP 401")).pages
    (closed,) = core.step(world, PagerTried(at=3.0, wall=1_795_000_003.0, pager="sms")).pages
    assert (closed.kind, closed.incident.close_reason) == ("recover", "recovered")
    assert not core.step(world, PagerTried(at=4.0, wall=1_795_000_004.0, pager="sms"))


@pytest.mark.parametrize(("names", "minute", "is_open"), [(("sms",), 480, True), ((), 480, False), (("sms",), None, False)])
def test_the_incident_of_a_pager_that_is_gone_or_not_tried_any_more_closes(names, minute, is_open):
    world = World(inventory=inventory("na-tau"), pagers=("noc",))
    core.step(world, PagerTried(at=1.0, wall=1_795_000_001.0, pager="sms", error="HTTP 401"))
    pagers = {name: PagerSettings(name=name, kind="webhook") for name in names}
    new = Inventory(sites=world.inventory.sites, checks=world.inventory.checks, pagers=pagers, settings=Settings(trial_minute=minute))
    core.step(world, Reloaded(at=2.0, wall=1_795_000_002.0, generation=2, new=new))
    assert ("netwatch/self/pager/sms" in world.incidents) is is_open


def test_blind_time_is_one_page_that_wakes_nobody():
    def prepare(story):
        story.delivery.say_blind(story.wall() - 3_600, story.wall())
        story.delivery.say_blind(story.wall() - 60, story.wall())  # too short to matter

    story, _, _ = played(Settings(trial_minute=None), {}, hours=1, prepare=prepare)
    ((_, page, text),) = story.pagers["noc"].messages
    assert page.kind == "recover"
    assert text.title.startswith("🟣 netwatch đã ngừng theo dõi ")
    assert "1 giờ" in text.body
    assert story.pagers["sms"].messages == []


def test_the_daily_trial_takes_the_head_of_the_ledger_out_of_reach():
    head = f"12:{'ab' * 32}"
    for language in LANGUAGES:
        text = trial_text("noc", False, language, 1_800_000_000.0, VIETNAM, head)
        assert head in text.body
        assert head not in text.title + text.sms
        assert trial_text("noc", False, language, 1_800_000_000.0, VIETNAM).body in text.body
    desk = Desk(wall=lambda: 0.0, timing=Timing(), settings=Settings())
    assert desk.evidence_head() == ""


def test_a_trial_that_is_asked_for_says_so_and_why_it_was_not_taken():
    told = []

    def prepare(story):
        async def ask():
            told.append(await story.delivery.try_pager("noc"))
            told.append(await story.delivery.try_pager("sms"))
            with pytest.raises(KeyError):
                await story.delivery.try_pager("nobody")

        story.asking = asyncio.get_running_loop().create_task(ask())

    story, _, _ = played(Settings(trial_minute=None), {"sms": "refused"}, hours=1, prepare=prepare)
    assert told == ["", "HTTP 400"]
    assert "theo yêu cầu" in story.pagers["noc"].messages[0][2].title


def test_a_pager_that_was_mended_is_well_as_soon_as_somebody_has_tried_it():
    def prepare(story):
        async def mend():
            await asyncio.sleep(25 * 3_600)
            failed.append(dict(story.delivery.trials)["sms"])
            assert await story.delivery.try_pager("sms") == "HTTP 400"
            failed.append(dict(story.delivery.trials)["sms"])
            story.pagers["sms"].mood = "ok"
            assert await story.delivery.try_pager("sms") == ""

        story.mending = asyncio.get_running_loop().create_task(mend())

    failed = []
    _, tried, successes = played(Settings(trial_minute=480), {"sms": "refused"}, hours=26, prepare=prepare)
    assert failed == [False, False]
    assert successes["sms"] is True
    assert [(name, error) for _, name, error in tried if name == "sms"][-2:] == [("sms", "HTTP 400"), ("sms", "")]


# --- the dead man's switch


async def pinged(receiver, alive=lambda: True, timing=None):
    """What became of one ping."""
    settings = Settings(dead_man_url=Secret(f"{receiver.url}/canary") if receiver else None)
    desk = Desk(wall=lambda: 0.0, timing=timing or Timing(), settings=settings)
    async with open_session() as desk.http:
        switch = DeadMan(desk, alive)
        running = asyncio.get_running_loop().create_task(switch.run())
        while switch.success is None and alive() and receiver:  # noqa: ASYNC110  # there is nothing to be told by
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running])
    return switch.success


@pytest.mark.parametrize(
    ("answer", "success"), [((200, {}), True), ((204, {}), True), ((404, {}), False), ((302, {"Location": "/"}), False)]
)
def test_the_outside_is_told_that_we_live(answer, success, caplog):
    async def scenario():
        async with http_receiver(default=answer) as receiver:
            assert await pinged(receiver) is success
            return [request.path for request in receiver.received]

    assert asyncio.run(scenario()) == ["/canary"]
    assert "canary" not in caplog.text + str([vars(record) for record in caplog.records])


def test_a_switch_that_hangs_or_is_not_there_is_told_of_and_stops_nothing(caplog):
    async def scenario():
        async with http_receiver(default=(HANG, {})) as receiver:
            assert await pinged(receiver, timing=Timing(deadline_seconds=0.1)) is False
        assert await pinged(receiver) is False

    asyncio.run(scenario())
    assert "cannot be reached" in caplog.text
    assert "canary" not in caplog.text + str([vars(record) for record in caplog.records])


def test_nobody_is_told_that_we_live_when_we_do_not_get_on_or_nobody_listens():
    async def scenario():
        async with http_receiver() as receiver:
            assert await pinged(receiver, alive=lambda: False) is None
            assert receiver.received == []
        assert await pinged(None) is None

    asyncio.run(scenario())


def test_pagers_and_what_waits_are_described():
    async def scenario():
        delivery = Delivery(Ledger(), wall=lambda: 0.0)
        hook = {"url": "http://127.0.0.1:9", "secret": "whsec_" + "A" * 40}
        delivery.configure(
            {
                "noc": PagerSettings(name="noc", kind="webhook", options={**hook, "fallback": "sms"}),
                "sms": PagerSettings(name="sms", kind="webhook", options={**hook, "out_of_band": True}),
                "am": PagerSettings(name="am", kind="alertmanager", options={"urls": ["http://127.0.0.1:9"]}),
            }
        )
        return delivery

    delivery = asyncio.run(scenario())
    described = {one["name"]: one for one in delivery.describe_pagers()}
    assert (described["noc"]["fallback"], described["noc"]["stands_by"]) == ("sms", False)
    assert (described["sms"]["stands_by"], described["sms"]["out_of_band"]) == (True, True)
    assert described["am"]["kind"] == "alertmanager"
    assert delivery.describe_waiting() == []
