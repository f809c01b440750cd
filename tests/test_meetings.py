"""What is told of a meeting: each step once, to the right people, in words that fit a lock screen; also after a restart."""

import asyncio
import dataclasses
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import core
from netwatch._conferences import AFTER_SECONDS, BEFORE_SECONDS, Conferences, due
from netwatch.lang import LANGUAGES
from netwatch.model import Meeting, Readied
from netwatch.snapshot import SelfView, take
from netwatch.wording import LONGEST_SMS, describe
from tests.worlds import WALL, Story, inventory, story

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
PLACES = [
    {"name": "Mường Nhé", "level": "no_go", "code": "dark", "fields": {"since": WALL}, "ring": "VNPT · 18001166"},
    {"name": "Nà Tấu", "level": "risk", "code": "no_room", "fields": {"free": 1.5e6, "rate": 2e6}, "ring": ""},
]


def readied(step="before", severity="critical", places=PLACES, key="giao-ban@1", **facts):
    told = {
        "meeting": "Giao ban tỉnh – xã",
        "starts": f"{WALL + 3_600:.0f}",
        "ready": "43",
        "places": "45",
        "places_told": json.dumps(places),
    }
    return Readied(at=1_000.0, wall=WALL, key=key, step=step, severity=severity, sites=(), facts={**told, **facts})


def test_each_step_of_a_meeting_is_told_once_and_again_for_the_next_day():
    tale = story()
    first = core.step(tale.world, readied())
    assert [(page.kind, page.pager, page.incident.audience) for page in first.pages] == [("open", "noc", "page")]
    assert core.step(tale.world, readied()).pages == ()
    assert core.step(tale.world, readied("shortly")).pages
    assert core.step(tale.world, readied(key="giao-ban@2")).pages
    assert not tale.world.incidents
    assert not tale.world.closed  # a message, no incident to people


@pytest.mark.parametrize(
    ("before", "shortly", "said"), [("info", "info", 0), ("warning", "info", 1), ("info", "warning", 1), ("critical", "critical", 1)]
)
def test_shortly_before_nothing_is_said_when_all_were_ready_and_are(before, shortly, said):
    tale = story()
    core.step(tale.world, readied(severity=before))
    assert len(core.step(tale.world, readied("shortly", severity=shortly)).pages) == said


def test_only_places_that_are_not_ready_wake_somebody_and_never_after_the_meeting():
    tale = story()
    audiences = [
        core.step(tale.world, readied(step, severity, key=f"{step}{severity}")).pages[0].incident.audience
        for step in ("before", "shortly", "after")
        for severity in ("critical", "warning")
    ]
    assert audiences == ["page", "digest", "page", "digest", "digest", "digest"]


def test_what_was_told_is_known_after_a_restart_and_what_cannot_be_read_is_refused():
    tale = story()
    core.step(tale.world, readied())
    stored = core.dump(tale.world, 1_000.0, WALL)
    again = core.World(inventory=tale.world.inventory, pagers=("noc",))
    core.restore(again, {}, (), 9, remembered=stored, at=5.0, wall=WALL)
    assert core.step(again, readied()).pages == ()
    assert core.step(again, readied("after")).pages
    broken = json.loads(stored) | {"meetings_told": {"x": "loud"}}
    with pytest.raises(ValueError, match="not a stored world"):
        core.restore(again, {}, (), 9, remembered=json.dumps(broken), at=5.0, wall=WALL)


def test_what_was_told_does_not_pile_up():
    tale = story()
    for number in range(400):
        core.step(tale.world, readied(key=f"m@{number}"))
    assert len(tale.world.meetings_told) == 300
    assert "m@399/before" in tale.world.meetings_told


def words(event, language="vi"):
    page = core.step(story().world, event).pages[0]
    return describe(page.incident, "open", language, wall=WALL, page_url="https://nw.example.vn")


def test_the_message_says_how_many_are_ready_then_who_is_not_why_and_whom_to_ring():
    text = words(readied())
    assert text.title == "🔴 43/45 điểm cầu sẵn sàng cho 19:06"
    assert text.body.splitlines()[2:5] == [
        "• Mường Nhé: mất kết nối từ 18:06",
        "   → gọi nhà mạng kèm số hiệu mạch; cho điểm cầu dùng đường dự phòng ☎ VNPT · 18001166",
        "• Nà Tấu: còn trống 1,5 Mbps, cần 2 Mbps",
    ]
    assert words(readied(severity="info", places=[], ready="45"), "en").title == "🟢 45 of 45 places ready for 19:06"
    assert "All places are well." in words(readied(severity="info", places=[]), "en").body
    assert words(readied("after"), "en").title == "🔴 Meeting of 19:06 over: 43 of 45 went well"
    many = words(readied(places=PLACES * 9), "en").body
    assert many.count("•") == 10
    assert "… and 8 more" in many


@given(st.text(max_size=300), st.sampled_from(LANGUAGES), st.sampled_from(["before", "shortly", "after"]), st.text(max_size=30))
def test_whatever_was_stored_a_message_can_be_written(stored, language, step, starts):
    text = words(readied(step, meeting=stored, places_told=stored, starts=starts), language)
    assert len(text.title) <= 60
    assert len(text.sms) <= LONGEST_SMS
    assert "\x1b" not in text.body


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    )
)
def test_whatever_json_was_stored_a_message_can_be_written(stored):
    assert words(readied(places_told=json.dumps(stored))).body


MEETING = Meeting(id="giao-ban", matcher="", starts=WALL, ends=WALL + 7_200.0)


@given(st.integers(-2 * int(BEFORE_SECONDS), 7_200 + 2 * int(AFTER_SECONDS)))
def test_the_step_that_is_due_follows_from_the_time(offset):
    found = [step for _, step in due([MEETING], WALL + offset, ZONE)]
    expected = (
        ["before"]
        if -3_600 <= offset < -900
        else ["shortly"]
        if -900 <= offset < 0
        else ["after"]
        if 7_200 <= offset < 7_200 + AFTER_SECONDS
        else []
    )
    assert found == expected


def test_a_weekly_meeting_is_due_each_week():
    weekly = Meeting(id="giao-ban", matcher="", weekdays=(0,), from_minute=7 * 60 + 30, minutes=180)
    monday = 1_795_393_800.0  # 2026-11-23 07:30 in Điện Biên
    keys = {sitting.key for week in range(3) for sitting, step in due([weekly], monday + week * 604_800 - 1_800, ZONE) if step == "before"}
    assert keys == {f"giao-ban@{monday + week * 604_800:.0f}" for week in range(3)}


class Daemon:
    """As much of one as meetings need: beliefs, a history of echoes, and a record of what was told."""

    def __init__(self, tmp_path, *, loss=0.0):
        self.wall, self.loss, self.told = WALL - 3_000, loss, []
        places = dataclasses.replace(inventory("na-tau", "pu-nhi"), meetings=(MEETING,))
        self.story = Story(core.World(inventory=places, pagers=("noc",)), at=-10_000.0)
        self.story.all_ok()
        self.conferences = Conferences(lambda: self.story.world, self.snapshot, self.samples, self.take, tmp_path, lambda: self.wall)

    def snapshot(self):
        return take(self.story.world, self.wall, 1, SelfView())

    def take(self, event):
        self.told.append(event)
        core.step(self.story.world, event)

    async def samples(self, check, metric, _instance, since, until):
        bad = check.startswith("pu-nhi")
        count = int((until - since) / 5)
        if metric == "icmp_loss_ratio":
            return [(since + number * 5, (self.loss if bad else 0.0,)) for number in range(count)]
        values = (0.01,) * (round(5 * (1 - self.loss)) if bad else 5)
        return [(since + number * 5, values) for number in range(count)]


def test_it_looks_before_a_meeting_and_after_it_and_tells_each_once(tmp_path):
    async def scenario():
        daemon = Daemon(tmp_path, loss=0.2)
        for offset in (-4_000, -3_000, -2_990, -600, -10, 100, 7_300, 7_400):
            daemon.wall = WALL + offset
            await daemon.conferences.look()
        return daemon

    daemon = asyncio.run(scenario())
    assert [event.step for event in daemon.told] == ["before", "shortly", "after"]
    before, _, after = daemon.told
    told = json.loads(before.facts["places_told"])
    assert [(one["name"], one["code"]) for one in told] == [("Pu-Nhi", "quality_loss"), ("Na-Tau", "no_endpoint")]
    assert (before.severity, before.sites, before.facts["ready"]) == ("critical", ("pu-nhi",), "0")
    assert [(one["name"], one["code"]) for one in json.loads(after.facts["places_told"])] == [("Pu-Nhi", "quality_loss")]
    assert after.facts["ready"] == "1"
    (family,) = daemon.conferences.families()
    assert {labels["site"]: value for labels, value in family.series} == {"na-tau": 1.0, "pu-nhi": 0.0}


def test_when_a_rooms_last_good_call_was_outlives_a_restart(tmp_path):
    daemon = Daemon(tmp_path)
    daemon.conferences.good_calls["na-tau/vc"] = WALL - 5
    daemon.conferences._save(json.dumps(daemon.conferences.good_calls))
    again = Daemon(tmp_path).conferences
    again._restore()
    assert again.good_calls == {"na-tau/vc": WALL - 5}
    for damage in ("", "[]", '{"a": "b"}', "[" * 100_000):
        (tmp_path / "good-calls.json").write_text(damage)
        fresh = Daemon(tmp_path).conferences
        fresh._restore()
        assert fresh.good_calls == {}
