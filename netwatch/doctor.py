"""Is this machine fit for netwatch? Each check is given the facts and says what is so and what command mends it."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from netwatch.history import has_wal_reset_bug
from netwatch.ledger import KEY_NAME, LedgerState

__all__ = [
    "Finding",
    "Verdict",
    "clock",
    "daemon",
    "descriptors",
    "disk",
    "inventory",
    "lab",
    "ledger",
    "namespaces",
    "ping",
    "python",
    "sqlite",
    "state",
]

OLDEST_PYTHON = (3, 11)
FEWEST_DESCRIPTORS = 4096
MEBIBYTE = 1 << 20
LEAST_FREE_BYTES = 512 * MEBIBYTE
# The history of 45 sites stays below 2 GiB, plus a backup of it beside it.
WANTED_FREE_BYTES = 4096 * MEBIBYTE
PING_EVERYBODY = "echo 'net.ipv4.ping_group_range = 0 2147483647' | sudo tee /etc/sysctl.d/60-netwatch.conf && sudo sysctl --system"


class Verdict(StrEnum):
    OK = "ok"
    MEND = "mend"  # netwatch cannot do its work like this
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` is a key of the texts' area `doctor`, filled in with `fields`; `command` mends it, as it stands, in a shell."""

    name: str
    verdict: Verdict
    text: str
    command: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


def ping(refused: OSError | None, raw_refused: OSError | None) -> Finding:
    """What opening ICMP sockets raised: a datagram one (icmp(7), ping_group_range), and a raw one, which stands in for it."""
    if refused is None:
        return Finding("ping", Verdict.OK, "ping_ok")
    if raw_refused is None:
        return Finding("ping", Verdict.INFO, "ping_raw", PING_EVERYBODY)
    return Finding("ping", Verdict.MEND, "ping_refused", PING_EVERYBODY, {"error": refused.strerror})


def clock(*, synchronised: bool | None) -> Finding:
    """None when the kernel does not say."""
    if synchronised is None:
        return Finding("clock", Verdict.WARNING, "clock_unknown", "timedatectl timesync-status")
    if synchronised:
        return Finding("clock", Verdict.OK, "clock_ok")
    return Finding("clock", Verdict.WARNING, "clock_free", "sudo apt-get install -y chrony && sudo systemctl enable --now chrony")


def state(directory: Path, refused: OSError | None) -> Finding:
    """`refused` is what making a file in it, or in its first parent that exists, raised."""
    if refused is None:
        return Finding("state", Verdict.OK, "state_ok", fields={"path": directory})
    place = shlex.quote(str(directory))
    command = f'sudo install -d -m 0700 -o "$(id -un)" {place}'
    return Finding("state", Verdict.MEND, "state_refused", command, {"path": directory, "error": refused.strerror})


def disk(directory: Path, free_bytes: int) -> Finding:
    fields = {"path": directory, "free_mebibytes": free_bytes // MEBIBYTE, "wanted_mebibytes": WANTED_FREE_BYTES // MEBIBYTE}
    if free_bytes >= WANTED_FREE_BYTES:
        return Finding("disk", Verdict.OK, "disk_ok", fields=fields)
    verdict = Verdict.WARNING if free_bytes >= LEAST_FREE_BYTES else Verdict.MEND
    return Finding("disk", verdict, "disk_short", "sudo apt-get clean && sudo journalctl --vacuum-size=200M", fields)


def ledger(directory: Path, state: LedgerState, *, records: int, key_mode: int | None) -> Finding:
    """`state` is what writing the next record would meet with; `key_mode` the permissions of the key's file, None without one."""
    place = shlex.quote(str(directory))
    fields = {"path": directory, "records": records}
    if state == "none":
        return Finding("ledger", Verdict.INFO, "ledger_none", fields=fields)
    if state == "key_missing":
        return Finding("ledger", Verdict.MEND, "ledger_key_missing", f"sudo mv {place} {place}-$(date +%F)", fields)
    if state == "damaged":
        return Finding("ledger", Verdict.MEND, "ledger_damaged", "netwatch line verify", fields)
    if state == "unreadable":
        return Finding("ledger", Verdict.MEND, "ledger_unreadable", f'sudo chown -R "$(id -un)" {place}', fields)
    if key_mode is not None and key_mode & 0o077:
        return Finding("ledger", Verdict.MEND, "ledger_key_open", f"chmod 600 {shlex.quote(str(directory / KEY_NAME))}", fields)
    return Finding("ledger", Verdict.OK, "ledger_ok", fields=fields)


def sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """A warning at most: netwatch writes and checkpoints on one connection, so that the bug cannot strike."""
    fields = {"version": ".".join(map(str, version))}
    if has_wal_reset_bug(version):
        return Finding("sqlite", Verdict.WARNING, "sqlite_bug", fields=fields)
    return Finding("sqlite", Verdict.OK, "sqlite_ok", fields=fields)


def descriptors(soft: int, hard: int) -> Finding:
    """The limits of RLIMIT_NOFILE; -1 is no limit."""
    fields = {"limit": soft, "wanted": FEWEST_DESCRIPTORS}
    if soft == -1 or soft >= FEWEST_DESCRIPTORS:
        return Finding("descriptors", Verdict.OK, "descriptors_ok", fields=fields)
    if hard == -1 or hard >= FEWEST_DESCRIPTORS:
        return Finding("descriptors", Verdict.MEND, "descriptors_few", f"ulimit -n {FEWEST_DESCRIPTORS}", fields)
    lasting = 'echo "$(id -un) - nofile 65536" | sudo tee /etc/security/limits.d/60-netwatch.conf'
    return Finding("descriptors", Verdict.MEND, "descriptors_few_for_good", lasting, fields)


def python(version: tuple[int, ...]) -> Finding:
    fields = {"version": ".".join(map(str, version[:3])), "wanted": ".".join(map(str, OLDEST_PYTHON))}
    if version[:2] >= OLDEST_PYTHON:
        return Finding("python", Verdict.OK, "python_ok", fields=fields)
    return Finding("python", Verdict.MEND, "python_old", "sudo apt-get install -y python3.11 python3.11-venv && make venv", fields)


def inventory(path: Path, refused: OSError | None) -> Finding:
    """Only whether it can be read; `netwatch inventory check` judges what it says."""
    name = shlex.quote(str(path))
    if refused is None:
        return Finding("inventory", Verdict.OK, "inventory_ok", fields={"path": path, "command": f"netwatch inventory check {name}"})
    if isinstance(refused, FileNotFoundError):
        command = "netwatch doctor --inventory /etc/netwatch/inventory.yaml"
        return Finding("inventory", Verdict.MEND, "inventory_missing", command, {"path": path})
    command = f'sudo chgrp "$(id -gn)" {name} && sudo chmod g+r {name}'
    return Finding("inventory", Verdict.MEND, "inventory_refused", command, {"path": path, "error": refused.strerror})


def daemon(socket_path: Path, refused: OSError | None, *, as_service: bool) -> Finding:
    """Only told: a machine is fit before the daemon runs. `as_service`: its unit is installed."""
    if refused is None:
        return Finding("daemon", Verdict.OK, "daemon_ok", fields={"path": socket_path})
    command = "sudo systemctl start netwatch" if as_service else "netwatch run --inventory inventory.yaml"
    return Finding("daemon", Verdict.INFO, "daemon_away", command, {"path": socket_path, "error": refused.strerror})


def lab(refused: OSError | None) -> Finding:
    """Whether the lab can have lines of its own: /dev/net/tun. The daemon does not need it."""
    if refused is None:
        return Finding("tun", Verdict.OK, "tun_ok")
    return Finding("tun", Verdict.INFO, "tun_refused", "sudo modprobe tun && sudo chmod 0666 /dev/net/tun", {"error": refused.strerror})


def namespaces(*, allowed: bool) -> Finding:
    if allowed:
        return Finding("namespaces", Verdict.OK, "namespaces_ok")
    return Finding("namespaces", Verdict.INFO, "namespaces_refused", "sudo sysctl -w kernel.unprivileged_userns_clone=1")
