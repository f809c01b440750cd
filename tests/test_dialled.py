"""Reflectors that dial in: who is let in, who is sent away, and a test over a connection that the far end opened."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.reflector import Dialler, Reflector
from netwatch.reflector import _dial as dial_module
from netwatch.reflector._dial import pause_seconds
from probes import ProbeFailed, ProbeMisconfigured, Secret, Shared, Target
from probes import _dialled as dialled_module
from probes._capacity import plan
from probes._capacity_udp import UdpTest
from probes._control import DIALLER, Gone, Turned, answer, calling, dial
from probes._dialled import DialIn, Switchboard
from probes._wire.capacity import Challenge, Dial, Framer, GoOn, Method, Refusal, Request, proof
from probes.bandwidth import Bandwidth
from tests.capacity_peer import TOKEN

ROOT = Path(__file__).parent.parent
NAME = b"na-tau"
NEVER = threading.Event()


@pytest.fixture
def board():
    made = Switchboard("127.0.0.1", 0)
    yield made
    made.close()


@contextlib.contextmanager
def dialling(port, name=NAME, token=TOKEN):
    """A real reflector that dials in, at once when it was sent away."""
    dialler = Dialler(Reflector(token), "127.0.0.1", port, name, token, chance=lambda: 0.0)
    dialler._pause = lambda _seconds: time.sleep(0.01)
    thread = threading.Thread(target=dialler.run)
    thread.start()
    try:
        yield dialler
    finally:
        dialler.close()
        thread.join()


@contextlib.contextmanager
def calling_in(board, name=NAME, token=TOKEN):
    with socket.create_connection(("127.0.0.1", board.port), 5) as connection:
        yield dial(connection, name, token)


def until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


def answering(control):
    """Answers the hub's question whether it is there, in a thread."""

    def run():
        control.receive(GoOn)
        control.send(GoOn())

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def soon():
    return time.monotonic() + 20


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_line_is_proved_over_a_connection_that_the_far_end_opened(board, direction):
    with dialling(board.port):
        for _ in range(2):  # it dials again after a test
            outcome = UdpTest(plan(direction, 5e6), TOKEN).run_dialled(board, NAME, soon())
            assert (outcome.verdict, outcome.facts["dialled_in"]) == ("proved", "yes")


def test_tests_with_two_sites_at_once_do_not_mix_their_datagrams(board):
    outcomes = {}

    def test(name):
        outcomes[name] = UdpTest(plan("up", 5e6), TOKEN).run_dialled(board, name, soon())

    with dialling(board.port, b"na-tau"), dialling(board.port, b"na-son"):
        threads = [threading.Thread(target=test, args=(name,)) for name in (b"na-tau", b"na-son")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {outcome.verdict for outcome in outcomes.values()} == {"proved"}


def test_a_name_that_nobody_expects_is_refused_and_counted(board):
    with pytest.raises(Turned) as turned, calling_in(board):
        pass
    assert turned.value.refusal is Refusal.UNKNOWN
    until(lambda: board.refused == {"unknown": 1})


def test_a_wrong_token_is_refused_and_counted(board):
    board.expect(NAME, TOKEN)
    with pytest.raises(Turned) as turned, calling_in(board, token=b"wrong"):
        pass
    assert turned.value.refusal is Refusal.TOKEN
    until(lambda: board.refused == {"token": 1})
    assert board.take(NAME, TOKEN, time.monotonic(), NEVER) is None


def test_the_token_of_one_site_does_not_open_another(board):
    board.expect(b"na-son", b"another")
    board.expect(NAME, TOKEN)
    with pytest.raises(Turned), calling_in(board, name=b"na-son"):
        pass


def test_a_hub_that_does_not_know_the_token_is_found_out():
    def pretend(accepted):
        control, nonce = calling(accepted)
        said = control.receive(Dial)
        genuine = proof(b"wrong", DIALLER + NAME, said.nonce, nonce)
        answer(control, nonce, Dial(said.name, said.nonce, genuine), b"wrong")

    left, right = socket.socketpair()
    with left, right:
        thread = threading.Thread(target=pretend, args=(right,))
        thread.start()
        with pytest.raises(Turned) as turned:
            dial(left, NAME, TOKEN)
        thread.join()
    assert turned.value.refusal is Refusal.TOKEN


def test_what_was_said_to_the_hub_once_is_worth_nothing_a_second_time(board):
    board.expect(NAME, TOKEN)
    said = []

    class Recording(socket.socket):
        def sendall(self, data):
            said.append(bytes(data))
            super().sendall(data)

    with Recording(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(("127.0.0.1", board.port))
        dial(connection, NAME, TOKEN)
    with socket.create_connection(("127.0.0.1", board.port), 5) as connection:
        connection.sendall(said[0])
        received = b""
        with contextlib.suppress(ConnectionError):
            while portion := connection.recv(4096):
                received += portion
    assert len(received) < 100  # a challenge and a refusal, no welcome
    until(lambda: board.refused.get("token") == 1)


def test_the_newer_of_two_with_one_name_wins_and_the_older_is_told(board):
    board.expect(NAME, TOKEN)
    with calling_in(board) as older:
        until(lambda: NAME in board._ready)
        with calling_in(board) as newer:
            with pytest.raises(Turned) as turned:
                older.receive(GoOn)
            assert turned.value.refusal is Refusal.REPLACED
            thread = answering(newer)
            control, rtt_seconds = board.take(NAME, TOKEN, soon(), NEVER)
            thread.join()
            control.send(GoOn())
            assert isinstance(newer.receive(GoOn), GoOn)
            assert 0 < rtt_seconds < 20
            control.connection.close()
    assert board.refused == {"replaced": 1}


def test_one_that_is_half_open_is_left_for_the_one_that_answers(board, monkeypatch):
    monkeypatch.setattr("probes._control.ANSWER_SECONDS", 0.2)
    board.expect(NAME, TOKEN)
    with calling_in(board):  # never answers
        until(lambda: NAME in board._ready)
        found = []
        thread = threading.Thread(target=lambda: found.append(board.take(NAME, TOKEN, soon(), NEVER)))
        thread.start()
        until(lambda: NAME not in board._ready)
        with calling_in(board) as living:
            answering(living).join()
            thread.join()
            assert found[0] is not None
            found[0][0].connection.close()


def test_who_does_not_answer_whether_he_is_there_is_let_go(board, monkeypatch):
    monkeypatch.setattr(dialled_module, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(dialled_module, "ANSWER_SECONDS", 0.1)
    board.expect(NAME, TOKEN)
    with calling_in(board) as control:
        until(lambda: NAME in board._ready)
        until(lambda: NAME not in board._ready)
        control.receive(GoOn)
        with pytest.raises(Gone):
            control.receive(GoOn)


def test_who_answers_that_he_is_there_stays(board, monkeypatch):
    monkeypatch.setattr(dialled_module, "KEEP_SECONDS", 0.0)
    board.expect(NAME, TOKEN)
    with calling_in(board) as control:
        for _ in range(3):
            control.receive(GoOn)
            control.send(GoOn())
        assert NAME in board._ready


def test_who_says_nothing_is_shown_out(board, monkeypatch):
    monkeypatch.setattr(dialled_module, "STRANGER_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", board.port), 5) as connection:
        received = b""
        while portion := connection.recv(4096):
            received += portion
    (challenge,) = Framer(b"", b"").feed(received)
    assert isinstance(challenge, Challenge)
    assert board.refused == {"silent": 1}


def test_strangers_cannot_take_all_places(board, monkeypatch):
    monkeypatch.setattr(dialled_module, "MOST_STRANGERS", 2)
    with contextlib.ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(socket.create_connection(("127.0.0.1", board.port), 5))
        until(lambda: board.refused == {"full": 1})


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00\x00\x09", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_other_protocols_are_shown_out(board, garbage):
    with socket.create_connection(("127.0.0.1", board.port), 5) as connection:
        connection.sendall(garbage)
        until(lambda: board.refused == {"garbled": 1})


@settings(max_examples=25)  # each opens a port
@given(st.binary(max_size=300))
def test_no_bytes_of_a_stranger_make_a_switchboard_fall(received):
    made = Switchboard("127.0.0.1", 0)
    try:
        made.expect(NAME, TOKEN)
        with socket.create_connection(("127.0.0.1", made.port), 5) as connection:
            connection.sendall(received)
        with calling_in(made):
            until(lambda: NAME in made._ready)
    finally:
        made.close()


def test_a_token_that_has_changed_lets_the_old_connection_go(board):
    board.expect(NAME, TOKEN)
    with calling_in(board) as control:
        until(lambda: NAME in board._ready)
        board.expect(NAME, b"new")
        with pytest.raises(Gone):
            control.receive(GoOn)


def test_a_cancelled_wait_for_a_site_ends(board):
    stop = threading.Event()
    stop.set()
    assert board.take(NAME, TOKEN, soon(), stop) is None


def test_streams_are_refused_where_nothing_can_call_in(board):
    board.expect(NAME, TOKEN)
    with dialling(board.port):
        control, _ = board.take(NAME, TOKEN, soon(), NEVER)
        with control.connection:
            control.send(Request(Method.TCP, 0, 1, 0, 100_000, 1000))
            with pytest.raises(Turned) as turned:
                control.receive(GoOn)
    assert turned.value.refusal is Refusal.REQUEST


def test_a_hub_that_falls_silent_is_called_again(monkeypatch):
    monkeypatch.setattr(dial_module, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(dial_module, "WAKE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with dialling(listener.getsockname()[1]):
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    control, nonce = calling(connection)
                    answer(control, nonce, control.receive(Dial), TOKEN)
                    control.receive(GoOn)
                    with pytest.raises((Gone, ConnectionResetError)):
                        control.receive(GoOn)


def test_a_hub_that_says_what_was_not_asked_for_is_left():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with dialling(listener.getsockname()[1]):
            connection, _ = listener.accept()
            with connection:
                control, nonce = calling(connection)
                answer(control, nonce, control.receive(Dial), TOKEN)
                control.receive(GoOn)
                control.send(Challenge(1, bytes(32)))
                with pytest.raises((Gone, ConnectionResetError)):
                    control.receive(GoOn)


@given(st.integers(0, 10**6), st.sampled_from([None, *Refusal]), st.floats(0, 0.99))
def test_pauses_grow_to_a_minute_and_differ_from_site_to_site(failures, refusal, chance):
    pause = pause_seconds(failures, refusal, chance)
    assert 0.5 <= pause <= (600 if refusal is Refusal.REPLACED else 60)
    assert pause <= pause_seconds(failures + 1, refusal, chance)
    assert pause < pause_seconds(failures, refusal, 1.0)
    if refusal is Refusal.UNKNOWN:
        assert pause <= 15  # a daemon that has just started waits so long for its first test


def test_two_of_one_name_do_not_take_turns():
    assert pause_seconds(0, Refusal.REPLACED, 0.0) >= 300


def reading(address="na-tau", seconds=30.0, port=None):
    async def scenario():
        shared = Shared()
        try:
            loop = asyncio.get_running_loop()
            probe = Bandwidth(contract_bits_per_second=5e6, direction="up", dial_in_port=port or 8622)
            await probe.prepare(shared)
            target = Target(address=address, deadline=loop.time() + seconds, secrets={"token": Secret(TOKEN.decode())})
            with dialling(8622) if seconds > 15 else contextlib.nullcontext():
                return await probe.run(target, shared)
        finally:
            await shared.aclose()

    return asyncio.run(scenario())


def test_the_probe_measures_a_site_by_its_name():
    assert json.loads(reading().facts["bandwidth"])["verdict"] == "proved"


def test_the_probe_says_that_a_site_has_not_dialled_in():
    with pytest.raises(ProbeFailed) as failed:
        reading(seconds=1.0)
    assert failed.value.code == "not_dialled_in"


def test_an_address_that_is_no_name_is_ours_to_mend():
    with pytest.raises(ProbeMisconfigured) as failed:
        reading(address="Nà Tấu", seconds=1.0)
    assert failed.value.code == "dial_in_name"


def test_a_port_that_is_taken_is_told_at_the_start():
    async def scenario():
        shared = Shared()
        probe = Bandwidth(contract_bits_per_second=5e6, direction="up", dial_in_port=8622)
        with socket.create_server(("127.0.0.1", 8622)), pytest.raises(OSError, match="in use"):
            await probe.prepare(shared)
        await shared.aclose()

    asyncio.run(scenario())


def test_a_port_is_opened_once_for_all_sites():
    async def scenario():
        shared = Shared()
        boards = shared.get(DialIn)
        assert boards.board(8622) is boards.board(8622)
        await shared.aclose()

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("one") / "netwatch-reflector.pyz"
    subprocess.run([sys.executable, str(ROOT / "tools" / "reflector.py"), str(file)], check=True, timeout=60)
    return file


def test_the_one_file_is_the_same_bytes_each_time_and_holds_only_the_far_end(one_file, tmp_path):
    again = tmp_path / "again.pyz"
    subprocess.run([sys.executable, str(ROOT / "tools" / "reflector.py"), str(again)], check=True, timeout=60)
    assert again.read_bytes() == one_file.read_bytes()
    with zipfile.ZipFile(one_file) as archive:
        assert not [
            name for name in archive.namelist() if not name.startswith(("netwatch/reflector/", "probes/_", "netwatch/__init__", "__main__"))
        ]


@pytest.mark.needs_private_network
@pytest.mark.parametrize(("rate", "direction", "verdict"), [(30e6, "down", "proved"), (30e6, "up", "proved"), (12e6, "down", "refuted")])
def test_a_site_behind_a_nat_that_lets_nothing_in_is_proved_and_refuted(one_file, rate, direction, verdict):
    command = [sys.executable, "-m", "tests.natted_line", str(one_file), str(rate), direction, "20e6"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["verdict"] == verdict, (told, ended.stderr)
    assert told["inbound"] == {"failed": "TimeoutError"}
