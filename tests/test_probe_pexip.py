import asyncio
import json
import time

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from netwatch.lab import pexip as lab
from probes import ProbeFailed, ProbeMisconfigured, Secret, Shared, Target
from probes._pexip_api import MOST_PAGES, MOST_REQUESTS, PAGE, Identity, Pace
from probes._rest import MOST_BYTES
from probes._wire import pexip as wire
from probes.pexip import Pexip
from tests.certificates import Authority
from tests.https_peer import https

pytestmark = pytest.mark.needs_private_network
KEY = ec.generate_private_key(ec.SECP256R1())
PASSWORD = {"password": Secret(lab.PASSWORD)}
RESOURCES = ("worker_vm", "alarm", "licensing", "participant", "registration_alias")


def pem(key):
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


class Run:
    """One run, or several, of one probe against one handler: what came of the last, and what was asked."""

    def __init__(self, authority, handler, *, held=PASSWORD, seconds=20.0, times=1, source=None, address="127.0.0.1", **keys):
        self.reported, self.failure, self.reading = [], None, None
        names = "IP:127.0.0.1,IP:::1"

        async def scenario():
            async with https(handler, authority.server(names=names), address) as port:
                loop = asyncio.get_running_loop()
                probe = Pexip(port=port, **{"user": lab.USER, "ca_file": str(authority.file), **keys})
                for _ in range(times):
                    await self._once(probe, Target(address, loop.time() + seconds, source, held, self.reported.append), seconds)

        asyncio.run(scenario())
        samples = (*self.reported, *(self.reading.samples if self.reading else ()))
        self.values = {(sample.name, sample.instance): sample.values[0] for sample in samples}

    async def _once(self, probe, target, seconds):
        self.reported.clear()
        self.failure = self.reading = None
        shared = Shared()
        try:
            async with asyncio.timeout(seconds):
                self.reading = await probe.run(target, shared)
        except (ProbeFailed, OSError) as failure:
            self.failure = failure
        finally:
            await shared.aclose()

    @property
    def code(self):
        return getattr(self.failure, "code", type(self.failure).__name__ if self.failure else "")


def manager(public_key=None, rate_limit=1000, **what):
    platform = lab.Platform(**what)
    return lab.Manager(lambda: platform, time.monotonic, public_key, rate_limit)


def fixed(answers, default=None):
    """A handler that gives, for the last part of a path, a response made anew."""

    async def handle(request):
        make = answers.get(request.path.rstrip("/").rpartition("/")[2], default)
        return make() if make else web.json_response({"meta": {"next": None}, "objects": []})

    return handle


# --- what there is


def test_the_type_keeps_the_contract():
    assert probes.get("pexip") is Pexip


def test_a_platform_that_is_well_is_told_whole(authority):
    wall = time.time()
    platform = manager(
        worker_vm=[lab.node("nut-1", wall - 20), lab.node("nut-2", wall - 40, media_load=91, signaling_count=9)],
        alarm=[lab.alarm("licenses_exhausted", details="no port"), lab.alarm("old", acknowledged=True), lab.alarm("ntp", "warning")],
        participant=[
            lab.participant("na-tau@lab", "3_bad"),
            lab.participant("sin-thau@lab"),
            lab.participant("x", "0_unknown", conference="Khác"),
            lab.participant("recorder", is_streaming=True),
        ],
        registration_alias=[lab.registration("Na-Tau@lab"), lab.registration("muong-nhe@lab")],
    )
    run = Run(authority, platform.handle, rooms=["na-tau@lab", "sip:muong-nhe@lab", "sin-thau@lab"], verify=True)
    assert run.failure is None
    silent = {node: run.values.pop(("pexip_node_silent_seconds", node)) for node in ("nut-1", "nut-2")}
    assert 17 < silent["nut-1"] < 60
    assert 37 < silent["nut-2"] < 80
    assert run.values == {
        ("pexip_node_out_of_sync", "nut-1"): 0,
        ("pexip_node_out_of_sync", "nut-2"): 0,
        ("pexip_node_maintenance", "nut-1"): 0,
        ("pexip_node_maintenance", "nut-2"): 0,
        ("pexip_node_media_load_ratio", "nut-1"): 0.12,
        ("pexip_node_media_load_ratio", "nut-2"): 0.91,
        ("pexip_node_calls", "nut-1"): 3,
        ("pexip_node_calls", "nut-2"): 9,
        ("pexip_node_hd_calls_max", "nut-1"): 40,
        ("pexip_node_hd_calls_max", "nut-2"): 40,
        ("pexip_alarms", "error"): 1,
        ("pexip_alarms", "warning"): 1,
        ("pexip_alarms", "info"): 0,
        ("pexip_licence_ratio", "port"): 0.06,
        ("pexip_licences_left", "port"): 47,
        ("pexip_licence_ratio", "vmr"): 0.05,
        ("pexip_licences_left", "vmr"): 95,
        ("pexip_conferences", ""): 2,
        ("pexip_participants", "unknown"): 1,
        ("pexip_participants", "good"): 1,
        ("pexip_participants", "ok"): 0,
        ("pexip_participants", "bad"): 1,
        ("pexip_participants", "terrible"): 0,
        ("pexip_registrations", ""): 2,
        ("pexip_room_registered", "na-tau@lab"): 1,
        ("pexip_room_registered", "sip:muong-nhe@lab"): 1,
        ("pexip_room_registered", "sin-thau@lab"): 0,
        ("pexip_room_call_quality", "na-tau@lab"): 3,
        ("pexip_room_call_quality", "sin-thau@lab"): 1,
    }
    assert run.reading.facts == {
        "pexip_version": "36.1 (80000.0.0)",
        "pexip_nodes": "nut-1; nut-2",
        "pexip_alarm": "licenses_exhausted: no port; ntp",
    }
    assert {name for name, _ in run.values} | {"pexip_node_silent_seconds"} == set(Pexip().metrics())
    assert platform.asked == [f"/api/admin/status/v1/{resource}/?limit={PAGE}&offset=0" for resource in RESOURCES]


def test_a_room_is_known_by_its_own_alias_and_not_by_whom_it_called():
    called = lab.participant("hub@lab", "3_bad", participant_alias="", call_direction="out", destination_alias="SIP:Na-Tau@lab")
    calling = lab.participant("na-tau@lab", participant_alias="h323:na-tau")
    assert [one.aliases for one in wire.participants([called, calling])] == [{"na-tau@lab"}, {"na-tau@lab", "na-tau"}]


def test_the_worse_of_two_calls_of_a_room_is_told(authority):
    calls = [lab.participant("na-tau@lab", quality) for quality in ("1_good", "4_terrible", "2_ok")]
    assert Run(authority, manager(participant=calls).handle, rooms=["na-tau@lab"]).values["pexip_room_call_quality", "na-tau@lab"] == 4


def test_licences_that_are_overdrawn_leave_none(authority):
    run = Run(authority, manager(licensing=[{"port_count": 55, "port_total": 50}]).handle)
    assert (run.values["pexip_licence_ratio", "port"], run.values["pexip_licences_left", "port"]) == (1.1, 0)


def test_lists_that_are_empty_are_no_fault(authority):
    run = Run(authority, manager(licensing=[]).handle)
    assert run.failure is None
    assert run.values["pexip_participants", "good"] == 0
    assert not any(name.startswith("pexip_node") for name, _ in run.values)


def test_what_a_version_does_not_have_is_left_out(authority):
    run = Run(authority, fixed({"registration_alias": lambda: web.Response(status=404)}))
    assert run.failure is None
    assert run.values["pexip_registrations", ""] == 0


def test_a_node_in_maintenance_is_not_out_of_sync():
    found = wire.nodes([lab.node(name, 0.0, **keys) for name, keys in (
        ("a", {"sync_status": "OUT_OF_SYNC"}), ("b", {"sync_status": "OUT_OF_SYNC", "maintenance_mode": True}), ("c", {"sync_status": "syncing"}),
        ("d", {"sync_status": None}),
    )])  # fmt: skip
    assert [one.is_out_of_sync for one in found] == [True, False, True, False]


def test_times_are_by_the_managers_own_clock(authority):
    """Ours may be wrong: only what the manager itself says, in its answer, counts."""
    wall = 1_500_000_000.0

    async def handle(request):
        body = {"meta": {"next": None}, "objects": [lab.node("n", wall - 240)] if "worker_vm" in request.path else []}
        return web.json_response(body, headers={"Date": "Fri, 14 Jul 2017 02:40:00 GMT"})

    assert Run(authority, handle).values["pexip_node_silent_seconds", "n"] == 240


def test_a_node_of_an_older_version_says_last_reported():
    one = {**lab.node("n", 50.0), "last_updated": None, "last_reported": "1970-01-01T00:01:40.500000"}
    assert wire.nodes([one])[0].reported_wall == 100.5


def test_times_without_a_zone_are_utc_wherever_we_are(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Ho_Chi_Minh")
    time.tzset()
    try:
        (node,) = wire.nodes([{**lab.node("n", 0.0), "last_updated": "2017-07-14T02:40:00.250000"}])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert node.reported_wall == 1_500_000_000.25


def test_all_pages_are_read_and_no_more(authority):
    many = [lab.registration(f"room{n}@lab") for n in range(PAGE * 2 + 1)]
    platform = manager(registration_alias=many)
    run = Run(authority, platform.handle)
    assert run.values["pexip_registrations", ""] == PAGE * 2 + 1
    assert [path for path in platform.asked if "registration" in path][-1].endswith(f"offset={PAGE * 2}")
    assert len(platform.asked) == 7


def test_pages_without_end_are_cut_off_and_it_says_so(authority):
    endless = {"meta": {"next": "/more"}, "objects": [lab.participant("a@lab")]}
    run = Run(authority, fixed({"participant": lambda: web.json_response(endless)}))
    assert run.values["pexip_participants", "good"] == MOST_PAGES
    assert run.reading.facts["pexip_incomplete"] == "participant"


# --- who asks


def test_a_wrong_password_is_ours_to_mend(authority):
    run = Run(authority, manager().handle, held={"password": Secret("wrong")})
    assert (run.code, isinstance(run.failure, ProbeMisconfigured)) == ("login_refused", True)


def test_without_a_secret_nothing_is_asked(authority):
    platform = manager()
    run = Run(authority, platform.handle, held={})
    assert (run.code, platform.asked) == ("login_refused", [])


def test_what_the_account_may_not_read_is_named(authority):
    run = Run(authority, fixed({"licensing": lambda: web.Response(status=403)}))
    assert (run.code, str(run.failure), isinstance(run.failure, ProbeMisconfigured)) == ("denied", "licensing/", True)


def test_oauth_takes_one_token_and_keeps_it(authority):
    platform = manager(KEY.public_key())
    run = Run(authority, platform.handle, held={"private_key": pem(KEY)}, client_id="nw", times=3)
    assert run.failure is None
    assert platform.asked.count("/oauth/token/") == 1
    assert len(platform.asked) == 1 + 3 * len(RESOURCES)


def test_a_token_that_is_refused_is_taken_anew_at_the_next_run(authority):
    platform, said = manager(KEY.public_key()), iter((401,))

    async def handle(request):
        if "alarm" in request.path and next(said, 0):
            return web.Response(status=401)
        return await platform.handle(request)

    run = Run(authority, handle, held={"private_key": pem(KEY)}, client_id="nw", times=2)
    assert run.failure is None
    assert platform.asked.count("/oauth/token/") == 2


def test_a_token_that_has_ended_is_taken_anew(authority):
    platform = manager(KEY.public_key())

    async def handle(request):
        answer = await platform.handle(request)
        return web.json_response({**json.loads(answer.body), "expires_in": 60}) if "oauth" in request.path else answer

    Run(authority, handle, held={"private_key": pem(KEY)}, client_id="nw", times=2)
    assert platform.asked.count("/oauth/token/") == 2 * len(RESOURCES)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (pem(ec.generate_private_key(ec.SECP256R1())), "login_refused"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "bad_key"),
        (pem(rsa.generate_private_key(65537, 2048)), "bad_key"),
        (Secret("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), "bad_key"),
        (Secret("nonsense"), "bad_key"),
    ],
)
def test_a_key_that_is_not_taken_is_ours_to_mend(authority, key, code):
    run = Run(authority, manager(KEY.public_key()).handle, held={"private_key": key}, client_id="nw")
    assert (run.code, isinstance(run.failure, ProbeMisconfigured)) == (code, True)


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"access_token": 1, "expires_in": 3}', '{"access_token": "x"}', '{"access_token": "x", "expires_in": true}']
)
def test_no_token_is_a_bad_answer(authority, body):  # fmt: skip
    run = Run(authority, fixed({"token": lambda: web.Response(text=body)}), held={"private_key": pem(KEY)}, client_id="nw")
    assert run.code == "bad_response"


# --- how often


def test_it_stops_long_before_the_platforms_limit_and_goes_on_a_minute_later():
    pace = Pace()
    for turn in range(MOST_REQUESTS):
        pace.take(turn / 100)
    with pytest.raises(ProbeMisconfigured) as refused:
        pace.take(59.0)
    assert refused.value.code == "rate_limited"
    pace.take(60.0)
    with pytest.raises(ProbeMisconfigured):
        pace.take(60.005)


def test_too_many_requests_is_no_outage_and_the_platform_is_left_alone(authority):
    platform = manager(rate_limit=2)
    run = Run(authority, platform.handle, times=3)
    assert (run.code, isinstance(run.failure, ProbeMisconfigured)) == ("rate_limited", True)
    assert len(platform.asked) == 3


@pytest.mark.parametrize(
    ("retry_after", "until"), [("30", 130), ("", 160), ("Fri, 14 Jul 2017 02:40:00 GMT", 160), ("999999999999", 160), ("9999999", 400)]
)
def test_the_platform_says_for_how_long_within_reason(retry_after, until):
    pace = Pace()
    pace.refused(100.0, retry_after)
    assert pace.quiet_until == until


# --- hostile managers


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: web.Response(text=""), "bad_response"),
        (lambda: web.Response(text="<html>login</html>"), "bad_response"),
        (lambda: web.Response(text='{"objects": {}}'), "bad_response"),
        (lambda: web.Response(text=nested(100_000)), "bad_response"),
        (lambda: web.Response(body=b"\xff\xfe{"), "bad_response"),
        (lambda: web.Response(body=b'"' + b"x" * MOST_BYTES + b'"'), "too_large"),
        (lambda: web.Response(status=500), "status"),
        (lambda: web.Response(status=302, headers={"Location": "https://127.0.0.1/"}), "status"),
        (lambda: web.Response(status=200, headers={"X": "y" * 9000}), "bad_response"),
    ],
)
def test_a_strange_answer_is_a_fault_of_the_manager(authority, make, code):
    run = Run(authority, fixed({}, make))
    assert (run.code, isinstance(run.failure, ProbeMisconfigured)) == (code, False)


def test_what_was_read_before_a_fault_is_kept(authority):
    run = Run(
        authority,
        fixed({"worker_vm": lambda: web.json_response({"objects": [lab.node("n", 0.0)]}), "alarm": lambda: web.Response(status=500)}),
    )
    assert run.code == "status"
    assert run.values["pexip_node_media_load_ratio", "n"] == 0.12


def test_a_manager_that_never_answers_is_a_timeout(authority):
    async def handle(_request):
        await asyncio.Event().wait()

    assert isinstance(Run(authority, handle, seconds=0.3).failure, TimeoutError)


def test_texts_of_the_platform_are_shown_inert(authority):
    evil = "\x1b[31m<b>\u202e" + "x" * 9000
    platform = manager(worker_vm=[lab.node(evil, 0.0, version=evil)], alarm=[lab.alarm(evil, details=evil)])
    facts = Run(authority, platform.handle).reading.facts
    for text in facts.values():
        assert text.isprintable()
        assert len(text) <= 256


def test_the_password_is_in_nothing_that_is_shown(authority):
    async def handle(request):
        return web.json_response({"objects": [{"name": "n", "sync_status": request.headers["Authorization"]}]}, headers=request.headers)

    run = Run(authority, handle, held={"password": Secret("canary-secret")})
    shown = repr((run.failure, run.reading, run.reported, Pexip(client_id="x"), Identity("u", "")))
    assert "canary" not in shown


@pytest.mark.parametrize(("names", "code"), [("IP:127.0.0.2", "tls_name"), ("IP:127.0.0.1", "")])
def test_the_certificate_must_be_the_managers(authority, names, code):
    async def scenario():
        async with https(manager().handle, authority.server(names=names)) as port:
            probe = Pexip(port=port, user=lab.USER, ca_file=str(authority.file))
            try:
                await probe.run(Target("127.0.0.1", asyncio.get_running_loop().time() + 20, None, PASSWORD), Shared())
            except ProbeFailed as failure:
                return failure.code
            return ""

    assert asyncio.run(scenario()) == code


def test_it_is_asked_by_the_name_of_the_certificate_and_from_the_source(authority):
    peers = []

    async def handle(request):
        peers.append(request.transport.get_extra_info("peername")[0])
        return web.json_response({"objects": []})

    async def scenario(**keys):
        async with https(handle, authority.server(names="DNS:localhost")) as port:
            probe = Pexip(port=port, user=lab.USER, ca_file=str(authority.file), **keys)
            target = Target("127.0.0.1", asyncio.get_running_loop().time() + 20, "127.0.0.88", PASSWORD)
            try:
                return await probe.run(target, Shared())
            except ProbeFailed as failure:
                return failure

    assert asyncio.run(scenario()).code == "tls_name"
    assert not isinstance(asyncio.run(scenario(server_name="localhost")), Exception)
    assert set(peers) == {"127.0.0.88"}


def test_a_manager_of_version_six_addresses_is_asked(authority):
    assert Run(authority, manager().handle, address="::1").failure is None


def test_a_closed_port_is_refused():
    probe = Pexip(port=1, verify=False)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(_run(probe))


async def _run(probe):
    return await probe.run(Target("127.0.0.1", asyncio.get_running_loop().time() + 20, None, PASSWORD), Shared())


# --- readers of objects

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["SYNCED", "1_good", "error", "2020-01-01"])
)
KEYS = st.sampled_from([
    "name", "level", "media_load", "last_updated", "last_reported", "sync_status", "maintenance_mode", "signaling_count", "port_count",
    "port_total", "call_quality", "conference", "source_alias", "participant_alias", "is_streaming", "acknowledged", "version", "details",
])  # fmt: skip
OBJECTS = st.lists(LEAVES | st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, max_size=2)), max_size=6)


@given(OBJECTS)
def test_any_json_is_read_without_a_traceback(objects):
    for node in wire.nodes(objects):
        assert node.name
        assert node.media_load_ratio is None or 0 <= node.media_load_ratio < 1e7
    levels = [one.level for one in wire.alarms(objects)]
    assert levels == sorted(levels, key=wire.LEVELS.index)
    assert all(one.total > 0 <= one.used for one in wire.licences(objects))
    assert all(one.quality in wire.QUALITIES for one in wire.participants(objects))


@given(
    st.from_regex(r"[0-9A-Za-z._-]{1,20}(@[0-9A-Za-z.-]{1,20})?", fullmatch=True),
    st.sampled_from(["", "sip:", "SIP:", "sips:", "h323:", " "]),
)
def test_an_alias_is_compared_without_scheme_and_case(alias, scheme):
    assert wire.bare(scheme + alias) == wire.bare(alias.upper()) == alias.lower()


# --- settings


@pytest.mark.parametrize(
    "keys",
    [
        {"port": 0},
        {"user": "a:b"},
        {"user": "a\nb"},
        {"user": ""},
        {"client_id": "a b"},
        {"rooms": [""]},
        {"rooms": ["sip:"]},
        {"rooms": ["x" * 201]},
        {"server_name": "x" * 70},
        {"password": "x"},
    ],
)
def test_a_wrong_key_is_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Pexip).validate_python(keys)


def test_what_it_needs_depends_on_who_asks():
    assert (Pexip().needs(), Pexip(client_id="x").needs()) == (("password",), ("private_key",))
