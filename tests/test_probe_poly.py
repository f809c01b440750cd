import asyncio
import contextlib

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from netwatch.lab import poly as lab
from netwatch.lab.poly import Room, RoomState
from probes import ProbeFailed, ProbeMisconfigured, Secret, Shared, Target
from probes._wire import poly as wire
from probes.poly import QUIET_SECONDS, Poly
from tests.certificates import Authority
from tests.https_peer import https

pytestmark = pytest.mark.needs_private_network
PASSWORD = {"password": Secret(lab.PASSWORD)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


class Run:
    """Runs of one probe against one handler: what came of the last."""

    def __init__(self, authority, handler, *, held=PASSWORD, seconds=20.0, times=1, later=0.0, cancel_at=None, **keys):
        self.reported, self.failure, self.reading, self.failures = [], None, None, []

        async def scenario():
            async with https(handler, authority.server()) as port:
                probe = Poly(port=port, **{"ca_file": str(authority.file), **keys})
                loop = asyncio.get_running_loop()
                clock = loop.time
                for turn in range(times):
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(loop, "time", lambda turn=turn: clock() + turn * later)
                        await self._once(
                            probe, Target("127.0.0.1", loop.time() + seconds, None, held, self.reported.append), seconds, cancel_at
                        )

        asyncio.run(scenario())
        samples = (*self.reported, *(self.reading.samples if self.reading else ()))
        self.values = {(sample.name, sample.instance): sample.values[0] for sample in samples}

    async def _once(self, probe, target, seconds, cancel_at):
        self.reported.clear()
        self.failure = self.reading = None
        shared = Shared()
        try:
            async with asyncio.timeout(seconds):
                if cancel_at is None:
                    self.reading = await probe.run(target, shared)
                else:
                    async with asyncio.TaskGroup() as group:
                        task = group.create_task(probe.run(target, shared))
                        await cancel_at.wait()
                        task.cancel()
        except (ProbeFailed, OSError) as failure:
            self.failure = failure
            self.failures.append(getattr(failure, "code", type(failure).__name__))
        finally:
            await shared.aclose()

    @property
    def code(self):
        return self.failures[-1] if self.failure else ""


def room(**state):
    told = RoomState(**state)
    return Room(lambda: told)


# --- what a room says


def test_the_type_keeps_the_contract():
    assert probes.get("poly") is Poly


def test_a_group_500_asleep_is_well_and_told_whole(authority):
    peer = room()
    run = Run(authority, peer.handle)
    assert run.failure is None
    assert run.values == {
        ("poly_session_left_open", ""): 0,
        ("poly_registered", ""): 1,
        ("poly_asleep", ""): 1,
        ("poly_in_call", ""): 0,
        ("poly_call_bytes_per_second", ""): 0,
        ("poly_uptime_seconds", ""): 324_967.72,
        ("poly_reboot_needed", ""): 0,
        ("poly_lan_bytes_per_second", ""): 125e6,
        ("poly_lan_half_duplex", ""): 0,
        ("poly_time_server_down", ""): 0,
        ("poly_remote_battery_low", ""): 0,
        ("poly_fault", "remotecontrol"): 0,
        ("poly_fault", "microphones"): 0,
        ("poly_fault", "ipnetwork"): 0,
        ("poly_fault", "sipserver"): 0,
        ("poly_fault", "provisioning"): 1,
    }
    assert run.reading.facts == {
        "vendor": "Poly",
        "model": "RealPresence Group 500",
        "firmware": "Release - 6.2.2.8-670021",
        "serial": "8215274422C5CV",
        "name": "Phòng họp",
        "poly_state": "ASLEEP",
    }
    assert {name for name, _ in run.values} == set(Poly().metrics())


def test_a_studio_x_says_the_same_in_its_own_words(authority):
    run = Run(authority, room(video_os=True, state="READY", parts={"mr.camera": "some_up", "mr.audio": "none_up"}).handle)
    assert run.values["poly_registered", ""] == 1
    assert run.values["poly_asleep", ""] == 0
    assert {part: fault for (name, part), fault in run.values.items() if name == "poly_fault"} == {
        "provisioning": 1, "ipnetwork": 0, "trackablecamera": 0, "sipserver": 0, "mr.camera": 0.5, "mr.audio": 1,
    }  # fmt: skip
    assert ("poly_remote_battery_low", "") not in run.values


@pytest.mark.parametrize("video_os", [False, True])
def test_a_call_and_its_rate_are_told(authority, video_os):
    run = Run(authority, room(video_os=video_os, rate_kilobits=1920).handle)
    assert (run.values["poly_in_call", ""], run.values["poly_call_bytes_per_second", ""]) == (1, 240_000)


@pytest.mark.parametrize(
    ("sip", "gatekeeper", "registered"),
    [("up", "unknown", 1), ("up", "down", 1), ("down", "up", 1), ("down", "off", 0), ("down", "down", 0), ("off", "off", None), ("unknown", "off", None)],
)  # fmt: skip
def test_it_is_registered_with_one_of_those_it_is_set_up_for(authority, sip, gatekeeper, registered):
    run = Run(authority, room(parts={"sipserver": sip, "gatekeeper": gatekeeper}).handle)
    assert run.values.get(("poly_registered", "")) == registered


def test_a_call_that_only_rings_is_none():
    ringing = [{"connections": [{"state": "RINGING", "rate": 3796}, {"state": "CONNECTED", "rate": 64}]}]
    assert wire.calls(ringing) == wire.Calls(1, 8_000)


def test_half_duplex_is_told(authority):
    run = Run(authority, room(speed_megabits=10, duplex="HALF").handle)
    assert (run.values["poly_lan_bytes_per_second", ""], run.values["poly_lan_half_duplex", ""]) == (1.25e6, 1)


# --- the session


@pytest.mark.parametrize("video_os", [False, True])
def test_the_session_is_ended(authority, video_os):
    peer = room(video_os=video_os)
    Run(authority, peer.handle, times=lab.MOST_SESSIONS + 2)
    assert peer.sessions == set()
    reads = ["POST /rest/session", "GET /rest/system", "GET /rest/system/status", "GET /rest/conferences", "POST /rest/session"]
    assert peer.asked[: len(reads) + video_os] == [*reads, *(["DELETE /rest/session"] if video_os else [])]


@pytest.mark.parametrize("broken", ["/rest/system", "/rest/system/status", "/rest/conferences"])
@pytest.mark.parametrize(("answer", "code"), [("{}", "bad_response"), ("", "bad_response"), ("[", "bad_response"), (None, "status")])
def test_the_session_is_ended_though_an_answer_is_wrong(authority, broken, answer, code):
    peer = room()

    async def handle(request):
        said = await peer.handle(request)
        if request.path != broken:
            return said
        return web.Response(status=500) if answer is None else web.Response(text=answer)

    run = Run(authority, handle)
    assert (run.code, isinstance(run.failure, ProbeMisconfigured), peer.sessions) == (code, False, set())
    assert run.values == {("poly_session_left_open", ""): 0}


def test_the_session_is_ended_when_time_is_up(authority):
    peer, times = room(), []

    async def handle(request):
        times.append(asyncio.get_running_loop().time())
        if request.path == "/rest/system/status":
            await asyncio.Event().wait()
        return await peer.handle(request)

    run = Run(authority, handle, seconds=4.0)
    assert isinstance(run.failure, TimeoutError)
    assert peer.sessions == set()
    assert times[-1] < times[0] + 4.0, "some of the time that there is, is kept for the log-out"


def test_the_session_is_ended_when_the_run_is_cancelled(authority):
    peer, reached = room(), asyncio.Event()

    async def handle(request):
        if request.path == "/rest/system/status":
            reached.set()
            await asyncio.Event().wait()
        return await peer.handle(request)

    Run(authority, handle, cancel_at=reached)
    assert peer.sessions == set()


def test_a_log_out_that_is_not_taken_is_told_and_holds_nobody_up(authority):
    peer = room()

    async def handle(request):
        if "GET /rest/conferences" in peer.asked:
            await asyncio.Event().wait()
        return await peer.handle(request)

    run = Run(authority, handle, seconds=2.0)
    assert run.failure is None
    assert run.values["poly_session_left_open", ""] == 1


# --- who is not let in


def test_a_wrong_password_is_ours_to_mend_and_not_tried_again_at_once(authority):
    peer = room()
    run = Run(authority, peer.handle, held={"password": Secret("wrong")}, times=8, later=60.0)
    assert run.failures == ["login_refused"] * 8
    assert isinstance(run.failure, ProbeMisconfigured)
    assert peer.refused == 1


def test_a_password_that_was_mended_works_after_ten_minutes(authority):
    peer = room()
    run = Run(authority, peer.handle, held={"password": Secret("wrong")}, times=2, later=QUIET_SECONDS["login_refused"] + 1)
    assert (run.code, peer.refused) == ("login_refused", 2)


def test_a_locked_account_and_full_sessions_are_told_apart(authority):
    locked, full = room(), room()
    locked.refused, full.sessions = lab.LOCKS_AFTER, {"a", "b", "c"}
    for peer, code in ((locked, "locked_out"), (full, "too_many_sessions")):
        run = Run(authority, peer.handle)
        assert (run.code, isinstance(run.failure, ProbeMisconfigured)) == (code, True)
        assert len(peer.asked) == 1


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: web.Response(status=401), "login_refused"),
        (lambda: web.json_response({"success": False}), "login_refused"),
        (lambda: web.json_response({"success": False, "reason": "AccountLocked"}), "locked_out"),
        (lambda: web.json_response({"success": False, "reason": 7, "loginStatus": [1]}), "login_refused"),
        (lambda: web.Response(status=404), "bad_response"),
        (lambda: web.Response(text="[]"), "bad_response"),
        (lambda: web.Response(status=302, headers={"Location": "/login"}), "bad_response"),
    ],
)
def test_what_a_log_in_is_answered(authority, make, code):
    async def handle(_request):
        return make()

    assert Run(authority, handle).code == code


def test_what_the_account_may_not_read_is_ours_to_mend(authority):
    peer = room()

    async def handle(request):
        return web.Response(status=403) if request.path == "/rest/system/status" else await peer.handle(request)

    run = Run(authority, handle)
    assert (run.code, str(run.failure), isinstance(run.failure, ProbeMisconfigured)) == ("denied", "/rest/system/status", True)


def test_without_a_password_nothing_is_asked(authority):
    peer = room()
    assert (Run(authority, peer.handle, held={}).code, peer.asked) == ("login_refused", [])


def test_a_certificate_of_its_own_needs_to_be_allowed(authority):
    assert Run(authority, room().handle, ca_file="").code == "tls_untrusted"
    assert Run(authority, room().handle, ca_file="", verify=False).code == ""


def test_the_password_is_in_nothing_that_is_shown(authority):
    async def handle(request):
        said = await request.text()
        return web.json_response({"success": True, "reason": said, "state": said, "model": said}, headers={"Server": "x"})

    run = Run(authority, handle, held={"password": Secret("canary")})
    assert "canary" not in repr((run.failure, getattr(run.failure, "reading", None), run.reading, run.reported, Poly()))


def test_texts_of_the_device_are_shown_inert(authority):
    peer = room(state="\x1b[2JREADY\u202e" + "x" * 5000)
    for text in Run(authority, peer.handle).reading.facts.values():
        assert text.isprintable()
        assert len(text) <= 256


# --- readers of answers

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["up", "down", "some_up", "CONNECTED", "on"])
)
NAMES = st.sampled_from(["system.status.sipserver", "system.status.inacall", "system.status.", "system.status.\x1b", "other"])
ITEM = st.dictionaries(
    st.sampled_from(["name", "state", "stateList", "connections", "rate"]), NAMES | LEAVES | st.lists(LEAVES, max_size=3)
)
BODY = LEAVES | st.lists(ITEM | LEAVES, max_size=5) | st.dictionaries(
    st.sampled_from(["state", "lanStatus", "uptime", "rebootNeeded", "model", "timeServerState", "rcBatteryCondition"]),
    LEAVES | st.dictionaries(st.sampled_from(["state", "speedMbps", "duplex"]), LEAVES),
)  # fmt: skip


@given(BODY)
def test_any_json_is_read_without_a_traceback(body):
    for part, fault in (wire.faults(body) or {}).items():
        assert wire.PART.fullmatch(part)
        assert fault in {0.0, 0.5, 1.0}
    assert wire.in_call(body) in {True, False, None}
    found = wire.calls(body)
    assert found is None or found.bytes_per_second >= 0
    system = wire.system(body)
    assert system is None or system.uptime_seconds is None or system.uptime_seconds >= 0


def test_no_more_parts_are_told_than_anybody_has():
    body = [{"name": f"system.status.part{n}", "state": ["up"]} for n in range(1000)]
    assert len(wire.faults(body)) == wire.MOST_PARTS


@pytest.mark.parametrize(
    ("word", "low"), [("BATTERY_GOOD", False), ("BATTERY_LOW", True), ("BATTERY_CRITICAL", True), ("BATTERY_UNKNOWN", False)]
)
def test_the_remotes_battery(word, low):
    assert wire.system({"state": "READY", "rcBatteryCondition": word}).remote_battery_low is low


# --- settings


@pytest.mark.parametrize("keys", [{"port": 0}, {"user": ""}, {"server_name": "x" * 70}, {"password": "x"}])
def test_a_wrong_key_is_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Poly).validate_python(keys)


def test_it_cannot_do_without_a_password():
    assert tuple(Poly().needs()) == ("password",)
    with contextlib.suppress(ValidationError):
        assert TypeAdapter(Poly).validate_python({}).user == "admin"
