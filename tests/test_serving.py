"""The control socket: whose it is, and that nothing is left of it."""

import asyncio
import contextlib
import socket

import pytest

from netwatch.model import Settings
from netwatch.web.serving import ControlRefused, serve
from tests.page_server import FakeDaemon
from tests.province import calm_province


def serving(path, while_it_listens=lambda: None):
    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            await serve(stack, FakeDaemon(calm_province()), Settings(), listener=None, control_path=path)
            while_it_listens()

    asyncio.run(scenario())


def stale(path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))


def knock(path):
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.connect(str(path))


def test_the_socket_is_there_for_its_group_while_the_daemon_listens_and_gone_afterwards(tmp_path):
    path = tmp_path / "run" / "api.sock"
    modes = []
    serving(path, lambda: modes.append(path.stat().st_mode & 0o777))
    assert modes == [0o660]
    assert not path.exists()


def test_what_a_killed_daemon_left_is_replaced(tmp_path):
    path = tmp_path / "api.sock"
    stale(path)
    serving(path, lambda: knock(path))
    assert not path.exists()


def test_the_socket_of_a_daemon_that_lives_is_left_to_it(tmp_path):
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ControlRefused) as refused:
            serving(path)
        assert refused.value.taken
        knock(path)


def test_what_another_has_put_there_since_is_not_taken_away(tmp_path):
    path = tmp_path / "api.sock"

    def replace():
        path.rename(tmp_path / "old.sock")
        stale(path)

    serving(path, replace)
    assert path.is_socket()


def test_a_file_that_is_no_socket_is_never_deleted(tmp_path):
    path = tmp_path / "precious"
    path.write_text("x", "utf-8")
    with pytest.raises(ControlRefused) as refused:
        serving(path)
    assert not refused.value.taken
    assert path.read_text("utf-8") == "x"


@pytest.mark.parametrize("path", ["{tmp}/file/api.sock", "{tmp}/" + "x" * 200])
def test_a_place_that_cannot_be_is_refused_in_words(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(ControlRefused) as refused:
        serving(tmp_path / path.format(tmp=tmp_path))
    assert refused.value.why
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
