"""SNMPv3 against net-snmp's own agent, and against somebody between us and it."""

import asyncio

import pytest

from netwatch.lab import ber
from probes import ProbeFailed, ProbeMisconfigured, Secret, Shared, Target
from probes.snmp import Auth, Privacy, Snmp
from tests.snmp_agent import UP_TIME, told
from tests.snmp_daemon import (
    AUTH,
    PRIVACY,
    SECRETS,
    forget,
    free_udp_port,
    in_the_middle,
    made_up,
    poll_v3,
    probe_v3,
    report,
    response,
    snmpd,
    users,
)

USM = "1.3.6.1.6.3.15.1.1"
DIGESTS = {"sha1": "SHA", "sha224": "SHA-224", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
CIPHERS = {"aes128": "AES", "aes192": "AES-192", "aes256": "AES-256"}
ENCRYPTED_FLAG = b"\x04\x01\x07"  # msgFlags authPriv and reportable


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    at = free_udp_port()
    combined = [(digest, cipher) for digest in DIGESTS for cipher in CIPHERS]
    lines = [f'createUser {digest}-{cipher} {DIGESTS[digest]} "{AUTH}" {CIPHERS[cipher]} "{PRIVACY}"' for digest, cipher in combined]
    lines += [f"rouser {digest}-{cipher} priv" for digest, cipher in combined]
    with snmpd(tmp_path_factory.mktemp("snmpd"), at, *users(), *lines):
        yield at


def refused(snmp, *, shared=None, **secrets):
    async def scenario():
        with pytest.raises(ProbeMisconfigured) as failed:
            await poll_v3(snmp, shared, **secrets)
        assert "canary" not in f"{failed.value!r} {failed.value} {failed.value.reading}"
        return failed.value.code

    return asyncio.run(scenario())


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("digest", DIGESTS)
def test_every_pair_of_protocols_is_understood_by_netsnmp(agent, digest, cipher):
    reading = asyncio.run(poll_v3(probe_v3(agent, f"{digest}-{cipher}", digest, cipher, timeout_seconds=2.0)))
    assert reading.facts["sysName"] == "máy-chủ"
    assert told(reading, "uptime_seconds")[""] >= 0
    assert reading.detail == ""


def test_signed_requests_are_answered_where_the_agent_does_not_ask_for_more(agent):
    assert asyncio.run(poll_v3(probe_v3(agent, "signer", cipher=None))).facts["sysName"] == "máy-chủ"


@pytest.mark.parametrize(
    ("code", "settings", "secrets"),
    [
        ("unknown_user", {"user": "nobody"}, {}),
        ("wrong_auth_key", {}, {"auth": "canary-of-another"}),
        ("wrong_auth_key", {"digest": "sha512"}, {}),
        ("wrong_privacy_key", {}, {"privacy": "canary-of-another"}),
        ("wrong_privacy_key", {"cipher": "aes256"}, {}),
        ("wrong_auth_key", {}, {"auth": "canary-of-another", "privacy": "canary-of-another"}),
        ("unsupported_security_level", {"user": "signer"}, {}),
        ("denied", {"cipher": None}, {}),
    ],
)
def test_each_way_of_being_turned_away_has_its_code_and_is_our_fault(agent, code, settings, secrets):
    assert refused(probe_v3(agent, **settings), **secrets) == code


def test_a_wrong_privacy_key_is_told_from_silence_even_after_it_was_right(tmp_path):
    async def scenario():
        at, snmp, shared = free_udp_port(), None, Shared()
        snmp = probe_v3(at)
        with snmpd(tmp_path, at, *users()):
            await poll_v3(snmp, shared)
        forget(tmp_path, "usmUser")
        with snmpd(tmp_path, at, *users(privacy="canary-of-tomorrow")):
            for _ in range(2):
                with pytest.raises(ProbeMisconfigured, match="wrong_privacy_key"):
                    await poll_v3(snmp, shared)
        with pytest.raises(ProbeFailed) as closed:
            await poll_v3(snmp, shared)
        assert (closed.value.code, type(closed.value)) == ("refused", ProbeFailed)
        await shared.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("known", [True, False])
def test_silence_is_the_devices_fault_whatever_was_known_of_it(agent, known):
    async def scenario():
        silent = False
        async with in_the_middle(agent, lambda _request, answer: [] if silent else [answer]) as middle:
            snmp, shared = probe_v3(middle.port, timeout_seconds=0.2), Shared()
            if known:
                await poll_v3(snmp, shared)
            silent = True
            with pytest.raises(ProbeFailed) as failed:
                await poll_v3(snmp, shared)
            assert (failed.value.code, type(failed.value)) == ("timeout", ProbeFailed)
            await shared.aclose()

    asyncio.run(scenario())


def test_a_device_that_falls_silent_in_the_middle_of_a_poll_has_no_wrong_key(agent):
    async def scenario():
        left = 3
        quick = {"timeout_seconds": 0.2, "retries": 0}

        def cut(_request, answer):
            nonlocal left
            left -= 1
            return [answer] if left >= 0 else []

        async with in_the_middle(agent, cut) as middle:
            snmp, shared = probe_v3(middle.port, **quick), Shared()
            left = 10**6
            await poll_v3(snmp, shared)
            left = 1  # it says its time, and then nothing
            with pytest.raises(ProbeFailed) as failed:
                await poll_v3(snmp, shared)
            assert (failed.value.code, type(failed.value)) == ("timeout", ProbeFailed)
            await shared.aclose()

    asyncio.run(scenario())


def test_a_known_engine_is_asked_without_discovery_and_its_keys_are_made_once(agent):
    async def scenario():
        async with in_the_middle(agent, lambda _request, answer: [answer]) as middle:
            snmp, shared = probe_v3(middle.port), Shared()
            await poll_v3(snmp, shared)
            middle.requests.clear()
            reading = await poll_v3(snmp, shared)
            assert reading.detail == ""
            # It says its time to the first; the second is the same with that time.
            assert len(middle.requests) == 2
            assert all(ENCRYPTED_FLAG in request and b"watcher" in request for request in middle.requests)
            await shared.aclose()

    asyncio.run(scenario())


def test_a_restart_and_another_engine_id_mend_themselves_and_are_told(tmp_path):
    async def scenario():
        at, shared = free_udp_port(), Shared()
        snmp = probe_v3(at)
        with snmpd(tmp_path, at, *users()):
            assert (await poll_v3(snmp, shared)).detail == ""
        with snmpd(tmp_path, at, *users()):
            again = await poll_v3(snmp, shared)
            assert again.detail == "engine_restarted"
            assert told(again, "device_reboots") == {"": 0.0}
            assert (await poll_v3(snmp, shared)).detail == ""
        forget(tmp_path, "usmUser", "oldEngineID", "engineBoots")
        with snmpd(tmp_path, at, *users()):
            assert (await poll_v3(snmp, shared)).detail == "engine_changed"
            assert (await poll_v3(snmp, shared)).detail == ""
        await shared.aclose()

    asyncio.run(scenario())


def test_an_agent_that_is_silent_about_an_engine_it_is_not_any_more_is_found_again(tmp_path):
    async def scenario():
        at, shared = free_udp_port(), Shared()

        def without_reports(request, answer):
            """Only discovery, which names no user, is answered by a Report."""
            return [answer] if b"watcher" not in request or b"\x2b\x06\x01\x06\x03\x0f\x01\x01\x04" not in answer else []

        async with in_the_middle(at, without_reports) as middle:
            snmp = probe_v3(middle.port)
            with snmpd(tmp_path, at, *users()):
                await poll_v3(snmp, shared)
            forget(tmp_path, "usmUser", "oldEngineID", "engineBoots")
            with snmpd(tmp_path, at, *users()):
                assert (await poll_v3(snmp, shared)).detail == "engine_changed"
        await shared.aclose()

    asyncio.run(scenario())


def forge(request, _answer):
    """A plain answer to everything but discovery, from somebody without a key."""
    return [made_up(request, response(UP_TIME, ber.ticks(5)))]


def sign_by_another(request, _answer):
    return [made_up(request, response(UP_TIME, ber.ticks(5)), flags=1, password="canary-of-another")]


def sign_in_the_clear(request, _answer):
    return [made_up(request, response(UP_TIME, ber.ticks(5)), flags=1, password=AUTH)]


def spoil(_request, answer):
    return [answer[:-1] + bytes((answer[-1] ^ 1,))]


@pytest.mark.parametrize("change", [forge, sign_by_another, sign_in_the_clear, spoil])
def test_an_answer_that_is_not_the_engines_own_is_not_believed(agent, change):
    async def scenario():
        def between(request, answer):
            # Until the time is settled it is left alone, so that only answers are tampered with.
            return change(request, answer) if ENCRYPTED_FLAG in request and b"\x04\x01\x03" in answer else [answer]

        async with in_the_middle(agent, between) as middle:
            with pytest.raises(ProbeMisconfigured, match="not_authentic"):
                await poll_v3(probe_v3(middle.port))

    asyncio.run(scenario())


def test_an_old_answer_does_not_carry_a_forged_one_in(agent):
    async def scenario():
        old = []

        def between(request, answer):
            if ENCRYPTED_FLAG not in request or b"\x04\x01\x03" not in answer:
                return [answer]
            old.append(answer)
            # Signed by the engine, but to another question; the library would take the next datagram at once.
            return [answer] if len(old) == 1 else [old[0], made_up(request, response(UP_TIME, ber.ticks(5))), old[0]]

        async with in_the_middle(agent, between) as middle:
            with pytest.raises(ProbeMisconfigured, match="not_authentic"):
                await poll_v3(probe_v3(middle.port))

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6])
def test_a_report_that_anybody_could_make_does_not_drown_the_true_answer(agent, number):
    async def scenario():
        def between(request, answer):
            return [made_up(request, report(f"{USM}.{number}.0")), answer] if b"watcher" in request else [answer]

        async with in_the_middle(agent, between) as middle:
            assert (await poll_v3(probe_v3(middle.port))).facts["sysName"] == "máy-chủ"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("oid", "code"),
    [
        (f"{USM}.1.0", "unsupported_security_level"),
        (f"{USM}.3.0", "unknown_user"),
        (f"{USM}.4.0", "unknown_engine"),
        (f"{USM}.5.0", "wrong_auth_key"),
        (f"{USM}.6.0", "wrong_privacy_key"),
        ("1.3.6.1.6.3.12.1.5.0", "unknown_context"),
        ("1.3.6.1.6.3.11.2.1.3.0", "not_accepted"),
    ],
)
def test_each_report_has_a_code_and_one_second_try(agent, oid, code):
    async def scenario():
        def between(request, answer):
            return [made_up(request, report(oid))] if b"watcher" in request else [answer]

        async with in_the_middle(agent, between) as middle:
            with pytest.raises(ProbeMisconfigured) as failed:
                await poll_v3(probe_v3(middle.port))
            assert failed.value.code == code
            assert sum(b"watcher" in request for request in middle.requests) == 2
            assert failed.value.reading.detail == (oid if code == "not_accepted" else "")

    asyncio.run(scenario())


def test_a_clock_that_cannot_be_followed_is_named_and_not_asked_for_ever(agent):
    async def scenario():
        def between(request, answer):
            late = made_up(request, report(f"{USM}.2.0"), flags=1, password=AUTH) if b"watcher" in request else answer
            return [late]

        async with in_the_middle(agent, between) as middle:
            with pytest.raises(ProbeMisconfigured, match="not_in_time_window"):
                await poll_v3(probe_v3(middle.port))
            assert sum(b"watcher" in request for request in middle.requests) <= 4

    asyncio.run(scenario())


def test_time_from_somebody_else_is_not_taken(agent):
    async def scenario():
        def between(request, answer):
            early = made_up(request, report(f"{USM}.2.0"), flags=1, password="canary-of-another", boots=9)
            return [early, answer] if b"watcher" in request else [answer]

        async with in_the_middle(agent, between) as middle:
            shared = Shared()
            snmp = probe_v3(middle.port)
            assert [(await poll_v3(snmp, shared)).detail for _ in range(3)] == ["", "", ""]
            await shared.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("noise", [b"", b"\x30", b"\x30\x03\x02\x01\x03", b"\x1f" + b"\xff" * 9 + b"\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_garbage_before_the_true_answer_does_not_lose_it(agent, noise):
    async def scenario():
        async with in_the_middle(agent, lambda _request, answer: [noise or b"\0", answer]) as middle:
            assert (await poll_v3(probe_v3(middle.port))).facts["sysName"] == "máy-chủ"

    asyncio.run(scenario())


def test_an_engine_id_that_cannot_be_is_malformed():
    async def scenario():
        def between(request, _answer):
            return [made_up(request, report(f"{USM}.4.0"), engine=b"abc", user=b"")]

        async with in_the_middle(free_udp_port(), between) as middle:
            with pytest.raises(ProbeFailed, match="malformed"):
                await poll_v3(probe_v3(middle.port))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "settings",
    [
        {"version": "3", "user": "x"},
        {"version": "3", "auth": Auth()},
        {"version": "3", "auth": Auth(), "user": "x" * 33},
        {"version": "2c", "user": "x"},
        {"version": "1", "privacy": Privacy()},
        {"auth": Auth()},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings):
    with pytest.raises(ValueError, match="version 3"):
        Snmp(profile="router", **settings)


@pytest.mark.parametrize("missing", ["auth", "privacy"])
@pytest.mark.parametrize("short", [None, "seven77"])
def test_a_missing_or_short_password_is_refused_and_not_repeated(missing, short):
    async def scenario():
        secrets = {name: secret for name, secret in SECRETS.items() if name != missing}
        if short:
            secrets[missing] = Secret(short)
        target = Target(address="127.0.0.1", deadline=asyncio.get_running_loop().time() + 1, secrets=secrets)
        own = Shared()
        with pytest.raises(ValueError, match=missing) as failed:
            await probe_v3(9).run(target, own)
        await own.aclose()
        assert "seven77" not in str(failed.value)

    asyncio.run(scenario())
