"""Where the daemon keeps its state and listens, the same for the daemon and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["DEMO_SOCKET", "SOCKET_NAME", "SOCKET_VARIABLE", "SYSTEM_SOCKET", "listen_path", "socket_paths", "state_directory"]

SOCKET_NAME = "api.sock"
SOCKET_VARIABLE = "NETWATCH_SOCKET"
SYSTEM_SOCKET = Path("/run/netwatch/api.sock")
DEMO_SOCKET = Path(".demo/state/api.sock")  # of a demo that runs in this folder


def state_directory(environment: Mapping[str, str]) -> Path:
    """$STATE_DIRECTORY (systemd), else the XDG state directory. Not made here.

    systemd joins several directories with colons: the first is ours.
    """
    given = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    # XDG Base Directory Specification 0.8: a relative path is invalid and must be ignored.
    base = environment.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(environment.get("HOME") or "/") / ".local" / "state"
    return root / "netwatch"


def listen_path(environment: Mapping[str, str], state: Path | None = None) -> Path:
    """Where a daemon opens its unix socket: $NETWATCH_SOCKET, else in the given state directory, $RUNTIME_DIRECTORY or the usual state."""
    if given := environment.get(SOCKET_VARIABLE, ""):
        return Path(given)
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (state or (Path(runtime) if runtime else state_directory(environment))) / SOCKET_NAME


def socket_paths(environment: Mapping[str, str], system_socket: Path = SYSTEM_SOCKET) -> tuple[Path, ...]:
    """Where a daemon may be met, the likeliest place first; what the environment names is the only one."""
    named = environment.get(SOCKET_VARIABLE) or environment.get("RUNTIME_DIRECTORY")
    return (listen_path(environment),) if named else (system_socket, listen_path(environment))
