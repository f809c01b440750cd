from pathlib import Path

from netwatch.paths import socket_path, state_directory

NOWHERE = Path("/nonexistent/api.sock")


def test_systemd_says_where_the_state_is():
    assert state_directory({"STATE_DIRECTORY": "/var/lib/netwatch", "XDG_STATE_HOME": "/x"}) == Path("/var/lib/netwatch")
    assert state_directory({"STATE_DIRECTORY": "/var/lib/netwatch:/var/lib/other"}) == Path("/var/lib/netwatch")


def test_an_ordinary_user_has_the_state_in_the_xdg_directory():
    assert state_directory({"XDG_STATE_HOME": "/data/state", "HOME": "/home/lo"}) == Path("/data/state/netwatch")
    assert state_directory({"HOME": "/home/lo"}) == Path("/home/lo/.local/state/netwatch")


def test_a_relative_xdg_directory_is_ignored():
    assert state_directory({"XDG_STATE_HOME": "state", "HOME": "/home/lo"}) == Path("/home/lo/.local/state/netwatch")


def test_socket_is_in_the_runtime_directory_then_the_system_one_then_the_state_directory(tmp_path):
    system = tmp_path / "api.sock"
    assert socket_path({"HOME": "/home/lo"}, system) == Path("/home/lo/.local/state/netwatch/api.sock")
    system.touch()
    assert socket_path({"HOME": "/home/lo"}, system) == system
    assert socket_path({"RUNTIME_DIRECTORY": "/run/other"}, system) == Path("/run/other/api.sock")
    assert socket_path({"STATE_DIRECTORY": "/var/lib/netwatch"}, NOWHERE) == Path("/var/lib/netwatch/api.sock")
