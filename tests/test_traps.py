"""Traps and informs, sent by net-snmp's own programs: each is a hint or is counted, and none is believed."""

import asyncio
import dataclasses
import json
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import traps
from netwatch.model import Check, Inventory, Line, Settings, Site
from netwatch.traps._gate import TOTAL_PER_SECOND, Gate
from netwatch.traps._identity import next_identity
from netwatch.traps._notification import Community, Identity, Said, User
from netwatch.traps._receiver import Receiver
from probes import Secret
from probes.icmp import Icmp
from probes.snmp import Auth, Privacy, Snmp
from tests.snmp_daemon import free_udp_port

COMMUNITY, AUTH, PRIVACY = "canary-trap-community", "canary-auth-password", "canary-privacy-password"
SWITCH, ROUTER, SIGNER, STRANGER = "127.9.0.2", "127.9.0.3", "127.9.0.4", "127.9.9.9"
LINK_DOWN, COLD_START = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.1"
ENGINE = "0x80001f8880a1b2c3d4e5f60708"
V2 = ("-v2c", "-c", COMMUNITY)
V3 = ("-v3", "-u", "watcher", "-l", "authPriv", "-a", "SHA-256", "-A", AUTH, "-x", "AES", "-X", PRIVACY)
SIGNED = ("-v3", "-u", "signer", "-l", "authNoPriv", "-a", "SHA-256", "-A", AUTH)
IDENTITY = Identity(bytes.fromhex("80004fb8050011223344556677"), 7)


def check(site, target, address, probe, kind="snmp", **secrets):
    return Check(
        id=f"{site}/{target}/{kind}",
        site=site,
        target=target,
        name=kind,
        kind=kind,
        probe=probe,
        address=address,
        interval_seconds=60,
        timeout_seconds=5,
        retry_seconds=1,
        secrets={name: Secret(value) for name, value in secrets.items()},
    )


def inventory(port, **settings):
    line = Line(id="main", address="127.9.0.1", carrier="vnpt", role="primary")
    checks = (
        check("na-tau", "main", "127.9.0.1", Icmp(), "icmp"),
        check("na-tau", "switch", SWITCH, Snmp(profile="switch"), community=COMMUNITY),
        check("na-tau", "switch", SWITCH, Icmp(), "icmp"),
        check("na-tau", "router", ROUTER, Snmp(profile="router", version="3", user="watcher", auth=Auth(), privacy=Privacy()), **secrets()),
        check("na-tau", "ups", SIGNER, Snmp(profile="ups", version="3", user="signer", auth=Auth()), auth=AUTH),
    )
    return Inventory(
        sites={"na-tau": Site(id="na-tau", name="Nà Tấu", lines={"main": line})},
        checks={one.id: one for one in checks},
        settings=Settings(**{"trap_listen": "127.0.0.1", "trap_port": port, **settings}),
    )


def secrets():
    return {"auth": AUTH, "privacy": PRIVACY}


class Heard:
    """A listener, and what it hinted at; `wait` returns when so many datagrams were seen."""

    def __init__(self, tmp_path, **settings):
        self.port = free_udp_port()
        self.now = inventory(self.port, **settings)
        self.hints = []
        self.traps = traps.Traps(lambda: self.now, lambda check, source: self.hints.append((check, source)), tmp_path, wall=lambda: 1e9)

    async def wait(self, ready):
        async with asyncio.timeout(20):
            while not ready():  # noqa: ASYNC110  # what is waited for has no event
                await asyncio.sleep(0.01)

    async def send(self, source, credentials, oid=COLD_START, *objects, program="snmptrap", port=None, engine=ENGINE):
        arguments = [program, f"--clientaddr={source}", "-r0", "-t2", *credentials]
        if credentials[0] == "-v3" and program == "snmptrap":
            arguments += ["-e", engine]
        arguments += [f"127.0.0.1:{port or self.port}", *(("", oid) if credentials[0] != "-v1" else oid), *objects]
        sent = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        told = await sent.communicate()
        return sent.returncode, told[1].decode()

    def outcomes(self):
        return [one.outcome for one in self.traps.since(0)]

    def counted(self, outcome):
        family = next(iter(self.traps.families()))
        return next(value for labels, value in family.series if labels["outcome"] == outcome)


def listening(tmp_path, scenario, **settings):
    async def run():
        heard = Heard(tmp_path, **settings)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(heard.traps.run())
            await heard.wait(lambda: heard.traps.listening)
            try:
                return await scenario(heard)
            finally:
                task.cancel()

    return asyncio.run(run())


@pytest.mark.parametrize("program", ["snmptrap", "snmpinform"])
@pytest.mark.parametrize(
    ("source", "credentials", "version"), [(SWITCH, V2, "2c"), (ROUTER, V3, "3"), (SIGNER, SIGNED, "3")], ids=["v2c", "private", "signed"]
)
def test_whatever_comes_with_the_devices_own_credentials_has_it_asked_and_an_inform_is_answered(
    tmp_path, program, source, credentials, version
):
    async def scenario(heard):
        code, complaint = await heard.send(source, credentials, COLD_START, "1.3.6.1.2.1.1.5.0", "s", "máy-1", program=program)
        assert (code, complaint) == (0, "")
        await heard.wait(lambda: heard.traps.since(0))
        return heard

    heard = listening(tmp_path, scenario)
    (one,) = heard.traps.since(0)
    assert (one.outcome, one.source, one.version, one.name) == ("hint", source, version, "coldStart")
    assert ("1.3.6.1.2.1.1.5.0", "máy-1") in one.objects or any(oid == "1.3.6.1.2.1.1.5.0" for oid, _ in one.objects)
    assert heard.hints == [(id_, source) for id_ in one.asked]
    assert one.asked[0].startswith(f"na-tau/{one.target}/")
    assert all(heard.now.checks[id_].address == source for id_ in one.asked)


def test_version_1_is_understood_as_version_2_would_say_it(tmp_path):
    async def scenario(heard):
        code, complaint = await heard.send(SWITCH, ("-v1", "-c", COMMUNITY), ("1.3.6.1.4.1.318", "127.0.0.1", "6", "5", ""))
        assert (code, complaint) == (0, "")
        await heard.wait(lambda: heard.traps.since(0))
        return heard.traps.since(0)

    (one,) = listening(tmp_path, scenario)
    assert (one.outcome, one.version, one.name) == ("hint", "1", "1.3.6.1.4.1.318.0.5")  # RFC 3584 section 3.1
    assert COMMUNITY not in json.dumps(one.document())


def test_a_port_that_went_down_has_the_lines_of_the_site_asked_too(tmp_path):
    async def scenario(heard):
        await heard.send(SWITCH, V2, LINK_DOWN)
        await heard.wait(lambda: heard.traps.since(0))
        return heard.traps.since(0)

    (one,) = listening(tmp_path, scenario)
    assert one.asked == ("na-tau/switch/snmp", "na-tau/switch/icmp", "na-tau/main/icmp")


WRONG = {
    "another community": (SWITCH, ("-v2c", "-c", "public"), "not_authentic"),
    "another device's community": (ROUTER, V2, "not_authentic"),
    "another user": (ROUTER, ("-v3", "-u", "mallory", *V3[3:]), "not_authentic"),
    "a wrong password": (ROUTER, (*V3[:8], "another-password", *V3[9:]), "not_authentic"),
    "a wrong key of privacy": (ROUTER, (*V3[:-1], "another-password"), "not_authentic"),
    "no encryption": (ROUTER, ("-v3", "-u", "watcher", "-l", "authNoPriv", *V3[5:9]), "not_authentic"),
    "no signature": (ROUTER, ("-v3", "-u", "watcher", "-l", "noAuthNoPriv"), "not_authentic"),
    "an address that nobody knows": (STRANGER, V2, "unknown_source"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_come_as_the_device_is_polled_is_counted_and_has_nothing_asked(tmp_path, what):
    source, credentials, outcome = WRONG[what]

    async def scenario(heard):
        await heard.send(ROUTER, V3)  # the engine and its keys are known by now
        await heard.wait(lambda: heard.traps.since(0))
        heard.hints.clear()
        await heard.send(source, credentials)
        await heard.wait(lambda: len(heard.traps.since(0)) == 2)
        return heard

    heard = listening(tmp_path, scenario)
    assert heard.outcomes() == ["hint", outcome]
    assert heard.hints == []
    assert heard.counted(outcome) == 1
    assert not heard.traps.since(1)[0].name


def test_a_storm_from_one_device_is_bounded_counted_and_takes_nothing_from_the_others(tmp_path):
    async def scenario(heard):
        await heard.send(SWITCH, V2)
        await heard.wait(lambda: heard.traps.since(0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as storm, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
            storm.bind((SWITCH, 0))
            forger.bind((STRANGER, 0))
            for _ in range(200):
                storm.sendto(b"\x30\x03\x02\x01\x01", ("127.0.0.1", heard.port))
                forger.sendto(b"\x30\x03\x02\x01\x01", ("127.0.0.1", heard.port))
        await heard.send(ROUTER, V3)
        await heard.wait(lambda: heard.traps.since(0)[-1].source == ROUTER)
        return heard

    heard = listening(tmp_path, scenario)
    assert heard.traps.since(0)[-1].outcome == "hint"
    assert heard.counted("malformed") <= 15
    assert heard.counted("unknown_source") <= 15
    assert heard.counted("rate_limited") >= 370


def test_the_place_to_listen_follows_the_inventory_and_a_port_that_is_taken_is_no_end(tmp_path):
    async def scenario(heard):
        first = heard.port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            heard.now = inventory(taken.getsockname()[1])
            heard.traps.adopt()
            await heard.wait(lambda: not heard.traps.listening)
            heard.now = inventory(first)
            heard.traps.adopt()
            await heard.wait(lambda: heard.traps.listening)
        await heard.send(SWITCH, V2)
        await heard.wait(lambda: heard.traps.since(0))
        heard.now = inventory(first, trap_listen="")
        heard.traps.adopt()
        await heard.wait(lambda: not heard.traps.listening)
        assert list(heard.traps.families()) == []
        return heard.outcomes()

    assert listening(tmp_path, scenario) == ["hint"]


def test_a_device_that_is_new_in_the_inventory_is_known_at_once(tmp_path):
    async def scenario(heard):
        await heard.send(STRANGER, V2)
        await heard.wait(lambda: heard.traps.since(0))
        fresh = check("na-tau", "ap", STRANGER, Snmp(profile="wifi-ap"), community=COMMUNITY)
        heard.now = dataclasses.replace(heard.now, checks={**heard.now.checks, fresh.id: fresh})
        heard.traps.adopt()
        await heard.wait(lambda: not heard.traps._changed.is_set())
        await heard.send(STRANGER, V2)
        await heard.wait(lambda: len(heard.traps.since(0)) == 2)
        return heard.outcomes()

    assert listening(tmp_path, scenario) == ["unknown_source", "hint"]


def test_who_we_are_outlives_a_restart_and_the_boots_grow(tmp_path):
    first, second = next_identity(tmp_path), next_identity(tmp_path)
    assert (first.boots, second) == (1, Identity(first.engine_id, 2))
    for damage in ("", "{}", '{"engine_id": "zz", "boots": 1}', json.dumps({"engine_id": first.engine_id.hex(), "boots": 2**31})):
        (tmp_path / "traps.json").write_text(damage)
        new = next_identity(tmp_path)
        assert (new.boots, new.engine_id != first.engine_id) == (1, True)
    with pytest.raises(OSError, match="No such file"):
        next_identity(tmp_path / "gone")


@pytest.fixture(scope="module")
def real():
    """Datagrams as net-snmp sends them: versions 1, 2c and 3."""
    found = []
    for arguments in (
        ("-v1", "-c", COMMUNITY, "@", "1.3.6.1.4.1.318", "127.0.0.1", "6", "5", ""),
        (*V2, "@", "", LINK_DOWN, "1.3.6.1.2.1.2.2.1.8.3", "i", "2"),
        (*V3, "-e", ENGINE, "@", "", LINK_DOWN),
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.settimeout(10)
            at = f"127.0.0.1:{listener.getsockname()[1]}"
            subprocess.run(["snmptrap", *(at if one == "@" else one for one in arguments)], check=True, timeout=20)
            found.append(listener.recv(65_535))
    return found


@pytest.fixture(scope="module")
def receiver():
    made = Receiver(IDENTITY, lambda _answer, _address: None)
    yield made
    made.close()


CREDENTIALS = (Community(Secret(COMMUNITY)), User("watcher", "sha256", Secret(AUTH), "aes128", Secret(PRIVACY)))


def test_what_is_cut_off_anywhere_is_never_taken_and_never_stops_us(real, receiver):
    assert [type(receiver.take(one, (SWITCH, 1), CREDENTIALS)) for one in real] == [Said] * 3
    for datagram in real:
        for length in range(len(datagram)):
            assert receiver.take(datagram[:length], (SWITCH, 1), CREDENTIALS) in {"malformed", "not_authentic", None}


@given(st.data())
def test_any_bytes_are_a_notification_or_a_refusal(real, receiver, data):
    datagram = bytearray(data.draw(st.sampled_from(real)))
    for _ in range(data.draw(st.integers(1, 4))):
        datagram[data.draw(st.integers(0, len(datagram) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(receiver.take(bytes(datagram), (SWITCH, 1), CREDENTIALS), Said | str | None)


@given(st.binary(max_size=200))
def test_noise_is_malformed_or_nobodys(receiver, noise):
    assert receiver.take(noise, (SWITCH, 1), CREDENTIALS) in {"malformed", "not_authentic", None}


def test_a_changed_byte_of_a_signed_trap_is_not_taken(real, receiver):
    datagram = real[2]
    for at in range(len(datagram)):
        changed = bytes((*datagram[:at], datagram[at] ^ 1, *datagram[at + 1 :]))
        said = receiver.take(changed, (SWITCH, 1), CREDENTIALS)
        assert not isinstance(said, Said), at


def test_engines_that_a_forger_makes_up_do_not_pile_up(receiver, real):
    datagram, engine = real[2], bytes.fromhex(ENGINE[2:])
    before = len(receiver._users)
    for number in range(50):
        receiver.take(datagram.replace(engine, bytes((*engine[:-1], number + 100))), ("127.9.0.77", 1), CREDENTIALS)
    assert len(receiver._users) - before <= 4


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["a", "b", "c", "stranger"])), max_size=300), st.integers(1, 600))
def test_nobody_gets_more_than_the_rate_and_strangers_together_no_more_than_one(steps, per_minute):
    gate, now, taken = Gate(per_minute), 0.0, []
    for number, (pause, who) in enumerate(steps):
        now += pause
        source = f"s{number}" if who == "stranger" else who
        if gate.admits(source, known=who != "stranger", now=now):
            taken.append((now, who))
    burst = max(10.0, per_minute / 6)
    for who in ("a", "b", "c", "stranger"):
        assert sum(one == who for _, one in taken) <= burst + now * per_minute / 60 + 1e-6
    assert sum(one != "stranger" for _, one in taken) <= TOTAL_PER_SECOND * (1 + now) + 1e-6
    assert len(gate._buckets) <= 5


def test_long_ones_cost_what_they_take_to_decode_and_very_long_ones_are_not_decoded(tmp_path):
    gate = Gate(60)
    assert [gate.admits("a", known=True, now=0.0, size=1_500) for _ in range(5)] == [True, True, True, False, False]

    async def scenario(heard):
        objects = [part for number in range(120) for part in (f"1.3.6.1.2.1.1.5.{number}", "s", "x" * 30)]
        await heard.send(SWITCH, V2, COLD_START, *objects)
        await heard.wait(lambda: heard.traps.since(0))
        return heard.outcomes()

    assert listening(tmp_path, scenario) == ["malformed"]


def test_a_quiet_device_is_heard_whatever_the_others_send():
    gate = Gate(600)
    for number in range(1_000):
        gate.admits(f"loud-{number % 50}", known=True, now=number / 100_000)
    assert not gate.admits("quiet", known=True, now=0.01)  # all of it together has a limit too …
    assert gate.admits("quiet", known=True, now=0.1)  # … which passes
    gate.forget_all_but(frozenset({"quiet"}))
    assert len(gate._buckets) == 2
