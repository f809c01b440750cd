"""What people do, over the unix socket and by the command line, against the real core."""

import asyncio
import dataclasses
import getpass
import json
import unicodedata

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwatch import core, snapshot
from netwatch.lang import LANGUAGES, catalog
from netwatch.lang.writing import VIETNAM
from netwatch.model import Cause, Human, Incident, Maintenance
from netwatch.snapshot import SelfView
from netwatch.web.board import Reader, board_of
from netwatch.web.page import load
from tests.page_server import FakeDaemon, serve
from tests.province import HOSTILE
from tests.test_cli_status import netwatch
from tests.worlds import WALL, inventory

ACCOUNT = getpass.getuser()


def incident(number, *sites, **changes):
    fields = {"cause": Cause("site", sites[0]), "severity": "critical", "opened": WALL - 60, "updated": WALL - 60}
    return Incident(id=number, key=f"netwatch/{'+'.join(sites)}/{number}", sites=sites, **fields | changes)


class Watching(FakeDaemon):
    """Decides by the real core; its clock stands still."""

    def __init__(self, *sites, planned=(), open_incidents=()):
        self.world = core.World(inventory=dataclasses.replace(inventory(*sites), maintenance=tuple(planned)))
        self.world.incidents = {one.key: one for one in open_incidents}
        super().__init__(None)

    def snapshot(self):
        return snapshot.take(self.world, WALL, 1, SelfView())

    def act(self, human):
        taken = core.step(self.world, dataclasses.replace(human, at=0.0, wall=WALL)).humans
        self.acts += taken
        return taken[0] if taken else None


def watching(**options):
    return Watching(
        "na-tau", "pu-nhi", "muong-nhe", open_incidents=(incident(12, "na-tau"), incident(13, "pu-nhi"), incident(14, "pu-nhi")), **options
    )


def spoken(tmp_path, daemon, *commands, **environment):
    """Each command's exit code, output and errors, one after the other."""

    async def scenario():
        path = str(tmp_path / "api.sock")
        runner, _ = await serve(daemon, control=True, unix=path)
        try:
            return [await netwatch(*command, "--socket", path, **environment) for command in commands]
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


def asked(daemon, *requests, path, control=True):
    """Status and document of each (method, path, body)."""

    async def scenario():
        runner, _ = await serve(daemon, control=control, unix=path)
        try:
            async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(path)) as client:
                answers = []
                for method, where, body in requests:
                    async with client.request(method, where, data=body) as answer:
                        text = await answer.text()
                        answers.append((answer.status, json.loads(text) if text.startswith("{") else text))
                return answers
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


def test_an_incident_is_taken_by_its_number_and_let_go(tmp_path):
    daemon = watching()
    took, let_go = spoken(
        tmp_path,
        daemon,
        ("ack", "12", "--eta", "45m", "-m", "Đã gọi đội dây máy", "--who", "Trực ca A"),
        ("unack", "12"),
    )
    assert took[0] == 0, took
    assert took[1].startswith("Trực ca A đã tiếp nhận #12: Na-Tau")
    assert "dự kiến xong" in took[1]
    first, second = daemon.acts
    assert (first.who, first.via, first.note, first.until) == ("Trực ca A", f"cli {ACCOUNT}", "Đã gọi đội dây máy", WALL + 2_700)
    assert (let_go[0], second.action, second.who, second.via) == (0, "unacknowledge", ACCOUNT, "cli")
    assert daemon.world.incidents["netwatch/na-tau/12"].acknowledgement is None


def test_a_site_with_one_incident_names_it_and_one_with_two_does_not(tmp_path):
    daemon = watching()
    one, several, none, unknown = spoken(
        tmp_path, daemon, ("ack", "na tau"), ("ack", "pu-nhi"), ("ack", "muong-nhe"), ("ack", "99"), NETWATCH_WHO="Trực ca đêm"
    )
    assert one[0] == 0
    assert daemon.acts[0].who == "Trực ca đêm"
    assert several[0] == 64
    assert "#13" in several[2]
    assert "#14" in several[2]
    assert none[0] == 66
    assert unknown[0] == 66
    assert len(daemon.acts) == 1


def test_a_silence_says_first_what_it_covers_and_needs_agreement(tmp_path):
    daemon = watching()
    asked_, added, listed, ended, gone = spoken(
        tmp_path,
        daemon,
        ("silence", "add", "na-tau", "--for", "2h", "-m", "Dông"),
        ("silence", "add", "na-tau", "--for", "2h", "-m", "Dông", "--yes"),
        ("silence", "list", "-o", "json"),
        ("silence", "end", "1"),
        ("silence", "list"),
    )
    assert asked_[0] == 64
    assert "Cả điểm (1): Na-Tau" in asked_[2]
    assert "#12" in asked_[2]
    assert "#13" not in asked_[2]
    assert added[:2] == (0, added[1])
    (window,) = json.loads(listed[1])["records"]
    assert (window["id"], window["matcher"], window["note"], window["state"]) == (1, "site=na-tau", "Dông", "active")
    assert ended[0] == 0
    assert gone[:2] == (0, "Không có cảnh báo nào đang tạm tắt.\n")
    assert [one.action for one in daemon.acts] == ["silence", "end"]
    assert daemon.world.windows[1].ends == WALL


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("na-tau", "--for", "2h", "--yes"), 64),  # no reason
        (("na-tau", "-m", "x", "--yes"), 64),  # no end
        (("na-tau", "-m", "x", "--for", "1h", "--until", "16:30", "--yes"), 64),
        (("na-tau", "-m", "x", "--for", "367d", "--yes"), 64),
        (("na-tau", "-m", "x", "--until", "2020-01-01", "--yes"), 64),
        (("na-tau", "-m", "x", "--until", "lúc nào đó", "--yes"), 64),
        (("= =", "-m", "x", "--for", "1h", "--yes"), 64),
        (("nowhere", "-m", "x", "--for", "1h", "--yes"), 66),
    ],
)
def test_what_is_no_silence_is_refused(tmp_path, arguments, code):
    daemon = watching()
    ((exit_code, output, errors),) = spoken(tmp_path, daemon, ("silence", "add", *arguments))
    assert (exit_code, output, daemon.acts) == (code, "", [])
    assert "Traceback" not in errors


def test_planned_work_is_listed_with_that_of_the_inventory(tmp_path):
    weekly = Maintenance(id="nightly", matcher="pu-nhi", note="Sao lưu", weekdays=tuple(range(7)), from_minute=60, minutes=30)
    daemon = watching(planned=[weekly])
    added, listed = spoken(
        tmp_path,
        daemon,
        ("maintenance", "add", "na-tau/router", "--from", "mai 22:00", "--for", "2h", "-m", "Thay router", "--yes"),
        ("maintenance", "list", "-o", "json"),
    )
    assert added[0] == 0, added
    found = json.loads(listed[1])["records"]
    assert {(one["id"], one["name"], one["state"]) for one in found} == {(None, "nightly", "planned"), (1, "", "planned")}
    mine = next(one for one in found if one["id"])
    assert mine["starts"].endswith("T22:00:00.000+07:00")
    assert mine["matcher"] == "site=na-tau,target=router"


def test_everything_done_is_told_by_the_audit(tmp_path):
    daemon = watching()
    *_, listed, csv_ = spoken(
        tmp_path,
        daemon,
        ("ack", "12", "--who", "=HYPERLINK(1)"),
        ("note", "12", HOSTILE.replace("\x00", "")),
        ("audit", "--since", "1h", "-o", "json"),
        ("audit", "--incident", "12", "-o", "csv"),
    )
    assert [one["action"] for one in json.loads(listed[1])["records"]] == ["acknowledge", "note"]
    assert "\x1b" not in csv_[1]
    assert "'=HYPERLINK" in csv_[1]


def test_only_the_unix_socket_takes_acts(tmp_path):
    body = json.dumps({"kind": "silence", "matcher": "na-tau", "note": "x", "until": WALL + 60})
    daemon = watching()
    paths = [("POST", "/api/v1/windows", body), ("POST", "/api/v1/incidents/12/acknowledge", "{}"), ("GET", "/api/v1/audit", None)]
    found = asked(daemon, *paths, path=str(tmp_path / "page.sock"), control=False)
    assert [status for status, _ in found] == [421, 421, 421] or all(status in {404, 405} for status, _ in found)
    assert daemon.acts == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
bodies = st.dictionaries(st.sampled_from(["kind", "matcher", "note", "who", "starts", "until"]), json_values).map(json.dumps)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(bodies | st.text(max_size=40).map(str.encode), min_size=10, max_size=10))
def test_a_hostile_body_is_answered_and_opens_nothing_that_never_ends(tmp_path, sent):
    daemon = watching()
    whole = {"kind": "silence", "matcher": "na-tau", "note": "x", "until": WALL + 60}
    mixed = [json.dumps(whole | json.loads(one)) if isinstance(one, str) else one for one in sent]
    requests = [
        ("POST", where, body)
        for body in [*sent, *mixed]
        for where in ("/api/v1/windows", "/api/v1/incidents/12/acknowledge", "/api/v1/incidents/12/note", "/api/v1/windows/1/end")
    ]
    found = asked(daemon, *requests, path=str(tmp_path / "api.sock"))
    assert all(status in {200, 201, 400, 404, 422} for status, _ in found)
    for window in daemon.world.windows.values():
        assert window.ends - window.starts <= 366 * 86_400
        assert window.note


@given(text=st.text(max_size=220))
def test_any_matcher_is_read_or_refused_and_covers_the_same_when_written_again(text):
    from netwatch.matcher import WrongMatcher, parse

    places = inventory("na-tau", "pu-nhi").sites.values()
    try:
        known = parse(text)
    except WrongMatcher:
        return
    assert [parse(str(known)).covers(place) for place in places] == [known.covers(place) for place in places]


def test_what_is_silenced_and_who_has_what_is_shown(tmp_path):
    daemon = watching()
    *_, status, alerts = spoken(
        tmp_path,
        daemon,
        ("ack", "12", "--eta", "45m", "--who", "Trực ca A"),
        ("silence", "add", "pu-nhi", "--for", "2h", "-m", "Dông", "--yes"),
        ("status",),
        ("alerts", "list"),
    )
    assert "Trực ca A đã tiếp nhận · dự kiến xong" in status[1]
    assert "site=pu-nhi: tạm tắt cảnh báo đến" in status[1]
    assert "Trực ca A đã tiếp nhận · dự kiến xong" in alerts[1]
    reader = Reader(words=catalog("vi"), zone=VIETNAM)
    board = board_of(daemon.snapshot(), reader)
    taken = next(one for one in board.problems if one.key == "i12")
    assert taken.owner == "Trực ca A"
    assert taken.notes[-1].startswith("dự kiến xong ")
    assert [one.endswith(f"· {ACCOUNT} · Dông") for one in board.windows] == [True]


def test_that_we_are_cut_off_is_a_banner():
    daemon = watching()
    daemon.world.isolated = True
    for language in LANGUAGES:
        board = board_of(daemon.snapshot(), Reader(words=catalog(language), zone=VIETNAM))
        assert board.banners == (catalog(language).text("acts.isolated"),)


def test_what_people_write_is_harmless_on_the_board():
    daemon = watching()
    daemon.act(Human(at=0.0, wall=0.0, action="note", who=HOSTILE, incident=12, note=HOSTILE))
    daemon.act(Human(at=0.0, wall=0.0, action="silence", who=HOSTILE, matcher="na-tau", note=HOSTILE, until=WALL + 60))
    text = load().render("board.html", reader := Reader(words=catalog("vi"), zone=VIETNAM), board=board_of(daemon.snapshot(), reader))
    assert "<script>alert" not in text
    assert not {letter for letter in text if unicodedata.category(letter) in {"Cc", "Cf"}} - {"\n"}


def test_an_act_of_nobody_known_leaves_no_trace():
    daemon = watching()
    assert daemon.act(Human(at=0.0, wall=0.0, action="note", who="x", incident=999, note="x")) is None
    assert daemon.acts == []
