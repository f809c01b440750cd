from pathlib import Path

from netwatch.paths import SYSTEM_SOCKET, listen_path, socket_paths, state_directory

HOME = {"HOME": "/home/lo"}


def test_systemd_says_where_the_state_is():
    assert state_directory({"STATE_DIRECTORY": "/var/lib/netwatch", "XDG_STATE_HOME": "/x"}) == Path("/var/lib/netwatch")
    assert state_directory({"STATE_DIRECTORY": "/var/lib/netwatch:/var/lib/other"}) == Path("/var/lib/netwatch")


def test_an_ordinary_user_has_the_state_in_the_xdg_directory():
    assert state_directory({"XDG_STATE_HOME": "/data/state", "HOME": "/home/lo"}) == Path("/data/state/netwatch")
    assert state_directory({"HOME": "/home/lo"}) == Path("/home/lo/.local/state/netwatch")


def test_a_relative_xdg_directory_is_ignored():
    assert state_directory({"XDG_STATE_HOME": "state", "HOME": "/home/lo"}) == Path("/home/lo/.local/state/netwatch")


def test_a_daemon_listens_where_it_is_told_then_in_its_state_then_in_the_runtime_directory():
    runtime = {"RUNTIME_DIRECTORY": "/run/other:/run/more"}
    assert listen_path(HOME) == Path("/home/lo/.local/state/netwatch/api.sock")
    assert listen_path({"STATE_DIRECTORY": "/var/lib/netwatch"}) == Path("/var/lib/netwatch/api.sock")
    assert listen_path(HOME | runtime) == Path("/run/other/api.sock")
    assert listen_path(HOME | runtime, Path("/tmp/state")) == Path("/tmp/state/api.sock")
    assert listen_path(HOME | runtime | {"NETWATCH_SOCKET": "/x/y.sock"}, Path("/tmp/state")) == Path("/x/y.sock")


def test_a_daemon_is_looked_for_where_the_environment_says_or_else_as_a_service_before_ones_own():
    assert socket_paths(HOME) == (SYSTEM_SOCKET, Path("/home/lo/.local/state/netwatch/api.sock"))
    assert socket_paths(HOME | {"RUNTIME_DIRECTORY": "/run/other"}) == (Path("/run/other/api.sock"),)
    assert socket_paths(HOME | {"NETWATCH_SOCKET": "/x/y.sock"}) == (Path("/x/y.sock"),)
