"""What delivery promises, whatever pagers answer, whoever reloads, whenever it is killed: in virtual time."""

import asyncio
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netwatch.delivery
from netwatch.delivery import Delivery, Timing
from netwatch.history import OutboxRow
from netwatch.model import Cause, Incident, Page, PagerSettings, Settings
from netwatch.pagers import Busy, EventPager, Receipt, Refused
from tests.virtual_time import run

NAMES = ("noc", "sms", "mail")
FALLBACK = {"noc": "sms", "sms": "mail", "mail": ""}
SITES = ("na-tau", "pu-nhi", "sin-thau")
TIMING = Timing(jitter=lambda: 1.0)


class Ledger:
    """The outbox as the disk has it: it outlives a kill. Each write takes a moment, so that a kill can come before it."""

    def __init__(self):
        self.rows = {}
        self.threads = {}
        self.endings = {}

    async def page_sent(self, row_id, thread, wall):
        await self._end(row_id, ("sent", ""))
        if row_id in self.rows and thread:
            page = self.rows[row_id].page
            self.threads[page.incident.id, page.pager] = thread

    async def page_refused(self, row_id, reason, wall):
        await self._end(row_id, ("refused", reason))

    async def page_merged(self, row_id, into, wall):
        await self._end(row_id, ("merged", into))

    async def page_postponed(self, row_id, next_attempt_wall, error, wall):
        await asyncio.sleep(0.001)
        row = self.rows[row_id]
        self.rows[row_id] = dataclasses.replace(row, attempts=row.attempts + 1, next_attempt_wall=next_attempt_wall, error=error)

    async def keep_threads(self, incident, threads, wall):
        await asyncio.sleep(0.001)
        self.threads |= {(incident, name): thread for name, thread in threads.items()}

    async def _end(self, row_id, how):
        await asyncio.sleep(0.001)
        if row_id is not None:
            assert row_id not in self.endings
            self.endings[row_id] = how

    def pending(self):
        return [row for number, row in self.rows.items() if number not in self.endings]


class Scripted(EventPager):
    """Answers as its mood is, and remembers what whoever reads it believes."""

    def __init__(self, name, digests, pace):
        self.name = name
        self.language = "vi"
        self.fallback = FALLBACK[name]
        self.out_of_band = name == "sms"
        self.pages_per_minute = pace
        self.digests = digests
        self.mood = "ok"
        self.heard = {}  # key: the last (incident id, sequence, is it open)
        self.lives = [[]]
        self.refused = set()  # (incident id, sequence)
        self.messages = []

    async def send(self, page, text, thread, http):
        await asyncio.sleep(0.05)
        mood = self.mood
        if mood == "busy":
            raise Busy("HTTP 503")
        if mood == "wait":
            raise Busy("HTTP 429", 90.0)
        if mood == "refused":
            self.refused |= {(one.id, one.sequence) for one in page.about or (page.incident,)}
            raise Refused("HTTP 400")
        if mood == "hang":
            await asyncio.Event().wait()
        self.messages.append((asyncio.get_running_loop().time(), page, text))
        for incident in page.about or (page.incident,):
            if not incident.key.startswith("netwatch/note/"):
                self.heard[incident.key] = (incident.id, incident.sequence, incident.closed is None)
                self.lives[-1].append((incident.key, incident.id, incident.sequence))
        if mood == "lost":
            await asyncio.Event().wait()
        return Receipt(f"{self.name}-thread")


class Story:
    """A world of a few sites whose incidents come and go, and a daemon that is killed and started."""

    def __init__(self, digests, paces, settings=None):
        self.ledger = Ledger()
        self.pagers = {name: Scripted(name, digest, pace) for name, digest, pace in zip(NAMES, digests, paces, strict=True)}
        self.settings = settings or Settings(trial_minute=None)
        self.truth = {}
        self.generation = 0
        self.delivery = None
        self.running = None

    def wall(self):
        return asyncio.get_running_loop().time() + 1_795_000_000.0

    def entries(self):
        return {name: PagerSettings(name=name, kind="webhook", options={"generation": self.generation}) for name in NAMES}

    async def start(self):
        for pager in self.pagers.values():
            pager.lives.append([])
        self.delivery = Delivery(self.ledger, wall=self.wall, settings=self.settings, timing=TIMING)
        self.delivery.configure(self.entries())
        self.delivery.restore(self.ledger.pending(), self.ledger.threads)
        self.running = asyncio.get_running_loop().create_task(self.delivery.run())
        await asyncio.sleep(0)

    async def kill(self):
        self.running.cancel()
        await asyncio.wait([self.running])

    async def act(self, what, *about):
        if what in {"open", "update", "recover"}:
            self.happen(what, f"netwatch/{about[0]}")
        elif what == "mood":
            self.pagers[about[0]].mood = about[1]
        elif what == "wait":
            await asyncio.sleep(about[0])
        elif what == "reload":
            self.generation += 1
            self.delivery.configure(self.entries())
        else:
            await self.kill()
            await self.start()

    def happen(self, what, key):
        known = self.truth.get(key)
        is_open = known is not None and known.closed is None
        if (what == "open") == is_open:
            return
        wall = self.wall()
        if what == "open":
            number = 1 + max((one.id for one in self.truth.values()), default=0)
            site = key.removeprefix("netwatch/")
            known = Incident(
                id=number, key=key, cause=Cause("site", site), sites=(site,), severity="critical", opened=wall, updated=wall, sequence=1
            )
        else:
            known = dataclasses.replace(known, sequence=known.sequence + 1, updated=wall, closed=wall if what == "recover" else None)
        self.truth[key] = known
        self.commit(Page(incident=known, kind=what, wall=wall, pager="noc"))

    def commit(self, page):
        number = len(self.ledger.rows) + 1
        row = OutboxRow(id=number, page=page, next_attempt_wall=self.wall())
        self.ledger.rows[number] = row
        self.delivery.accept([row])

    async def drain(self):
        for pager in self.pagers.values():
            pager.mood = "ok"
        for _ in range(200):
            await asyncio.sleep(60)
            if not self.delivery.pending and not self.ledger.pending():
                break
        assert not self.ledger.pending()
        assert self.delivery.pending == 0
        self.delivery.stop()
        await asyncio.wait([self.running])
        self.running.result()


def check_views(story):
    """Nobody believes what is not so; whoever does not know has refused to hear it."""
    for key, truth in story.truth.items():
        is_open = truth.closed is None
        knows = {name for name, pager in story.pagers.items() if pager.heard.get(key, (0, 0, False))[2]}
        if not is_open:
            for name in knows:
                heard = story.pagers[name].heard[key]
                assert any(number == heard[0] and sequence > heard[1] for number, sequence in story.pagers[name].refused), (name, key)
        else:
            spared = all(any(number == truth.id for number, _ in pager.refused) for pager in story.pagers.values())
            assert knows or spared, key
            assert "noc" in knows or any(number == truth.id for number, _ in story.pagers["noc"].refused)


def check_order(story):
    for pager in story.pagers.values():
        for life in pager.lives:
            for key in story.truth:
                told = [number for told_key, *number in life if told_key == key]
                assert told == sorted(told), (pager.name, key)


def played(story, actions):
    async def scenario():
        await story.start()
        for action in actions:
            await story.act(*action)
        await story.drain()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(netwatch.delivery, "build", lambda entry: story.pagers[entry.name])
        run(scenario())
    return story


MOODS = st.sampled_from(["ok", "busy", "wait", "refused", "hang", "lost"])
CHANGE = st.tuples(st.sampled_from(["open", "recover", "open", "recover", "update"]), st.sampled_from(SITES))
MOOD = st.tuples(st.just("mood"), st.sampled_from(["noc", "noc", "sms", "mail"]), MOODS)
WAIT = st.tuples(st.just("wait"), st.sampled_from([0.005, 0.04, 0.06, 1.0, 10.0, 60.0, 119.97, 120.02, 125.0, 400.0]))
STEP = st.tuples(st.one_of(MOOD, CHANGE, st.sampled_from([("reload",), ("kill",)])), CHANGE, WAIT)


def story_of(*actions, digests=(False, False, False), paces=(600.0, 600.0, 600.0), **options):
    """The same world for a story told in full: `"open na-tau"`, `"mood noc busy"`, `"wait 125"`, `"kill"`."""
    parted = [action.split() for action in actions]
    return played(Story(digests, paces, **options), [(one[0], float(one[1])) if one[0] == "wait" else tuple(one) for one in parted])


def heard_by(story, name):
    return [(page.kind, page.incident.id) for _, page, _ in story.pagers[name].messages]


def endings(story):
    return [story.ledger.endings[number] for number in sorted(story.ledger.endings)]


@given(
    st.lists(STEP, max_size=15),
    st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.sampled_from([1.0, 10.0, 600.0])] * 3),
)
@settings(max_examples=150)
def test_every_view_is_the_truth_once_all_is_drained(steps, digests, paces):
    story = played(Story(digests, paces), [action for step in steps for action in step])
    check_views(story)
    check_order(story)


def test_what_is_late_goes_to_the_fall_back_pager_too_and_so_does_its_end():
    story = story_of("mood noc busy", "open na-tau", "wait 119", "wait 3", "recover na-tau", "wait 1")
    assert heard_by(story, "sms") == [("open", 1), ("recover", 1)]
    assert heard_by(story, "noc") == [("recover", 1)]
    assert heard_by(story, "mail") == []
    assert endings(story) == [("merged", "netwatch/na-tau#1.2@noc"), ("sent", "")]


def test_what_is_taken_in_time_goes_to_nobody_else():
    story = story_of("mood noc busy", "open na-tau", "wait 100", "mood noc ok", "wait 300", "recover na-tau", "wait 1")
    assert heard_by(story, "noc") == [("open", 1), ("recover", 1)]
    assert heard_by(story, "sms") == []


def test_the_fall_back_s_fall_back_takes_over_when_that_is_late_too():
    story = story_of("mood noc busy", "mood sms hang", "open na-tau", "wait 250", "recover na-tau", "wait 1")
    assert heard_by(story, "mail") == [("open", 1), ("recover", 1)]


def test_updates_do_not_put_off_the_take_over():
    story = story_of("mood noc busy", "open na-tau", *["wait 50", "update na-tau"] * 3)
    assert ("update", 1) in heard_by(story, "sms")
    assert story.pagers["sms"].messages[0][0] < 1_000 + 121


def test_what_comes_and_goes_does_not_put_off_the_take_over():
    story = story_of("mood noc busy", *["open na-tau", "wait 20", "recover na-tau", "wait 20"] * 5)
    assert heard_by(story, "sms")
    assert story.pagers["sms"].messages[0][0] < 1_000 + 121


def test_who_may_have_been_told_is_told_of_the_end():
    # The text message got out, but its answer was lost; then the first pager took the page after all.
    story = story_of(
        "mood noc busy", "mood sms lost", "open na-tau", "wait 135", "mood sms busy", "mood noc ok", "wait 70", "recover na-tau", "wait 1"
    )
    assert heard_by(story, "sms")[0] == ("open", 1)
    assert heard_by(story, "sms")[-1] == ("recover", 1)


def test_who_is_just_being_told_is_told_of_the_end():
    # The recovery is taken by the first pager while the opening is in flight to the second.
    story = story_of("mood noc busy", "open na-tau", "wait 119.97", "recover na-tau", "mood noc ok", "reload", "wait 1")
    check_views(story)
    story = story_of("mood noc busy", "open na-tau", "wait 120.02", "mood noc ok", "recover na-tau", "reload", "wait 1")
    assert heard_by(story, "sms") == [("open", 1), ("recover", 1)]
    assert ("recover", 1) in heard_by(story, "noc")


def test_the_end_is_told_to_a_stand_in_also_after_a_kill():
    story = story_of(
        "mood noc busy", "open na-tau", "wait 125", "kill", "wait 200", "mood noc ok", "wait 70", "kill", "recover na-tau", "wait 1"
    )
    assert heard_by(story, "sms") == [("open", 1), ("recover", 1)]  # and the kill did not make it stand in twice


def test_an_outage_that_was_over_before_anybody_heard_of_it_is_one_page():
    story = story_of("mood noc busy", "open na-tau", "wait 20", "update na-tau", "wait 20", "recover na-tau", "wait 5", "mood noc ok")
    assert heard_by(story, "noc") == [("recover", 1)]
    assert [how for how, _ in endings(story)] == ["merged", "merged", "sent"]


def test_a_flapping_target_leaves_one_page_waiting():
    flaps = ["open na-tau", "recover na-tau", "wait 2"] * 500
    story = Story((False,) * 3, (600.0,) * 3)
    most = []

    async def act(what, *about, real=story.act):
        await real(what, *about)
        most.append((story.delivery.pending, sum(len(lane) for c in story.delivery._channels.values() for lane in c.lanes.values())))

    story.act = act
    played(story, [("mood", "noc", "hang"), *[(a.split()[0], float(a.split()[1]) if a[0] == "w" else a.split()[1]) for a in flaps]])
    assert max(pending for pending, _ in most) <= 4
    assert max(jobs for _, jobs in most) <= 6
    check_views(story)


def test_an_end_nobody_heard_the_beginning_of_gives_way_to_the_next_outage_but_a_known_one_does_not():
    story = story_of("mood noc busy", "open na-tau", "recover na-tau", "open na-tau", "wait 5", "mood noc ok")
    assert heard_by(story, "noc") == [("open", 2)]
    story = story_of("open na-tau", "wait 1", "mood noc busy", "recover na-tau", "open na-tau", "wait 5", "mood noc ok")
    assert heard_by(story, "noc") == [("open", 1), ("recover", 1), ("open", 2)]


def test_what_is_not_on_the_disk_does_not_end_what_is():
    story = Story((False,) * 3, (600.0,) * 3)

    def happen(what, key, real=story.happen):
        if what == "recover":
            story.commit = lambda page: story.delivery.accept([OutboxRow(id=None, page=page)])
        real(what, key)

    story.happen = happen
    played(story, [("mood", "noc", "busy"), ("open", "na-tau"), ("recover", "na-tau"), ("wait", 5.0)])
    assert heard_by(story, "noc") == [("open", 1), ("recover", 1)]


def test_a_failure_counts_for_the_page_that_follows():
    story = story_of("mood noc busy", "open na-tau", "wait 30", "recover na-tau", "mood noc ok", "wait 1")
    assert story.pagers["noc"].messages[0][0] > 1_000 + 45  # a flapping target does not make us knock more often


# --- too many at once


def storm(count):
    return [f"open site-{number}" for number in range(count)]


def test_more_than_a_minute_s_worth_is_told_together_and_nothing_is_dropped():
    story = story_of(*storm(27), "wait 1", digests=(True,) * 3, paces=(10.0,) * 3)
    singles, (digest,) = story.pagers["noc"].messages[:9], story.pagers["noc"].messages[9:]
    assert all(not page.about for _, page, _ in singles)
    _, page, text = digest
    assert len(page.about) == 18
    assert page.kind == "open"
    assert text.title == "🟠 18 tin cùng lúc: 18 sự cố, 0 đã hết"
    assert sum("mất kết nối" in line for line in text.body.splitlines()) == 18
    assert len(text.sms) <= 160
    assert text.sms.isascii()
    assert sorted(endings(story)) == sorted([("sent", "")] * 9 + [("merged", page.id)] * 18)


def test_what_a_digest_told_is_not_told_again_and_its_end_is():
    story = story_of(*storm(15), "wait 200", "recover site-14", "wait 1", digests=(True,) * 3, paces=(10.0,) * 3)
    assert heard_by(story, "noc")[-1] == ("recover", 15)
    assert len(story.pagers["noc"].messages) == 11


def test_a_digest_that_is_refused_goes_to_the_fall_back_page_by_page():
    story = story_of("mood noc refused", *storm(12), "wait 1", digests=(True, False, False), paces=(10.0, 600.0, 600.0))
    assert len(story.pagers["sms"].messages) == 12
    assert all(how == "refused" for how, _ in endings(story))


def test_all_pagers_together_tell_people_no_more_than_thirty_pages_a_minute():
    story = story_of(*storm(300), "wait 60", digests=(True,) * 3, paces=(600.0,) * 3)
    at = [moment for moment, _, _ in story.pagers["noc"].messages]
    assert len([moment for moment in at if moment < at[0] + 60]) <= 60
    assert len(at) <= 31


def test_a_program_hears_of_each():
    story = story_of(*storm(50), "wait 1", paces=(600.0,) * 3)
    assert len(story.pagers["noc"].messages) == 50


def test_a_failure_counts_for_a_page_that_came_while_it_was_under_way():
    story = story_of("mood noc busy", "open na-tau", "wait 0.02", "recover na-tau", "wait 0.04", "mood noc ok", "wait 3")
    assert heard_by(story, "noc") == [("recover", 1)]
    assert story.pagers["noc"].messages[0][0] > 1_001
