"""Where the daemon keeps its state and listens, the same for the daemon and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["SYSTEM_SOCKET", "socket_path", "state_directory"]

SYSTEM_SOCKET = Path("/run/netwatch/api.sock")


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


def socket_path(environment: Mapping[str, str], system_socket: Path = SYSTEM_SOCKET) -> Path:
    """The daemon's unix socket: in $RUNTIME_DIRECTORY, else the system daemon's if it is there, else in the state directory."""
    given = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given) / "api.sock"
    if system_socket.exists():
        return system_socket
    return state_directory(environment) / "api.sock"
