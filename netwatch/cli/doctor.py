"""`netwatch doctor`: what this machine lacks, one line each, with the command that mends it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch import paths
from netwatch.cli import _output
from netwatch.cli._common import Socket
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from netwatch.doctor import Finding

__all__ = ["doctor"]

SYSTEM_INVENTORY = Path("/etc/netwatch/inventory.yaml")
SYSTEM_UNIT = Path("/etc/systemd/system/netwatch.service")
MARKS = {"ok": "✓", "mend": "✗", "warning": "!", "info": "·"}
PLAIN_MARKS = {"ok": "ok", "mend": "FAIL", "warning": "warn", "info": "info"}
COLORS = {"ok": 32, "mend": 31, "warning": 33, "info": 2}
TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit Linux
TIME_ERROR = 5
CLOCK_STATES = range(TIME_ERROR + 1)


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


def doctor(
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="Else ./inventory.yaml, else /etc/netwatch/inventory.yaml."),
    ] = None,
    state: Annotated[Path | None, typer.Option("--state", help="The state directory; else $STATE_DIRECTORY, else the user's.")] = None,
    socket: Socket = None,
    output: Annotated[Form, typer.Option("-o", "--output", help="table or json.")] = Form.TABLE,
) -> None:
    """Says what this machine lacks, and the command that mends it. Run it as the user netwatch runs as.

    Examples: netwatch doctor · sudo -u netwatch netwatch doctor --inventory /etc/netwatch/inventory.yaml

    Exit codes: 0 all fine · 1 something must be mended
    """
    from netwatch.cli._daemon import usual_socket

    place, home = inventory or default_inventory(Path.cwd()), state or paths.state_directory(os.environ)
    found = tuple(examine(place, home, socket or usual_socket()))
    fine = all(finding.verdict != "mend" for finding in found)
    if output is Form.JSON:
        _output.print_json({"schema": "netwatch/v1/doctor", "ok": fine, "findings": [document(finding) for finding in found]})
    else:
        marks, color = MARKS if _output.unicode_ok() else PLAIN_MARKS, _output.wants_color()
        for finding in found:
            print("\n".join(lines(finding, marks, color=color)))
        print(text("doctor.fine") if fine else text("doctor.not_fine", mark=marks["mend"]))
    raise typer.Exit(Exit.OK if fine else Exit.FAILED)


def ledger_finding(state: Path) -> Finding:
    from netwatch import doctor as checks
    from netwatch import ledger

    path = ledger.path_in(state)
    newest, mode = None, None
    with contextlib.suppress(OSError):
        newest = ledger.head(path)
        mode = stat.S_IMODE((path.parent / ledger.KEY_NAME).stat().st_mode)
    return checks.ledger(path.parent, ledger.state_of(path), records=newest.number if newest else 0, key_mode=mode)


def default_inventory(here: Path, system: Path = SYSTEM_INVENTORY) -> Path:
    return system if system.exists() and not (here / "inventory.yaml").exists() else here / "inventory.yaml"


def document(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "verdict": finding.verdict.value,
        "text": text(f"doctor.{finding.text}", **finding.fields),
        "command": finding.command,
    }


def lines(finding: Finding, marks: Mapping[str, str], *, color: bool) -> Iterator[str]:
    mark = marks[finding.verdict]
    if color:
        mark = f"\x1b[{COLORS[finding.verdict]}m{mark}\x1b[0m"
    yield f"{mark} {text(f'doctor.{finding.text}', **finding.fields)}"
    if finding.command:
        yield f"    {finding.command}"


def examine(inventory: Path, state: Path, control: Path) -> Iterator[Finding]:
    """Looks at the machine and leaves nothing behind."""
    import resource

    from netwatch import doctor as checks

    yield checks.python(sys.version_info[:3])
    yield checks.ping(refusal(open_ping), refusal(lambda: open_ping(raw=True)))
    yield checks.clock(synchronised=clock_synchronised())
    yield checks.state(state, refusal(lambda: try_writing(state)))
    yield checks.disk(state, shutil.disk_usage(nearest(state)).free)
    yield ledger_finding(state)
    yield checks.sqlite()
    yield checks.descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE))
    yield checks.inventory(inventory, refusal(lambda: read_some(inventory)))
    yield checks.daemon(control, refusal(lambda: knock(control)), as_service=SYSTEM_UNIT.exists())
    yield checks.lab(refusal(lambda: os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))))
    yield checks.namespaces(allowed=namespaces_allowed())


def refusal(attempt: Callable[[], None]) -> OSError | None:
    try:
        attempt()
    except OSError as error:
        return error
    return None


def open_ping(*, raw: bool = False) -> None:
    import socket

    socket.socket(socket.AF_INET, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()


def clock_synchronised() -> bool | None:
    """What the kernel knows of its clock: adjtimex(2), asked only; or systemd-timesyncd's word for it."""
    if Path("/run/systemd/timesync/synchronized").exists():
        return True
    import ctypes

    answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    return answer != TIME_ERROR if answer in CLOCK_STATES else None


def read_some(path: Path) -> None:
    """Raises OSError unless a file, or a folder of files, can be read."""
    if path.is_dir():
        next(path.iterdir(), None)
    else:
        path.open("rb").close()


def try_writing(directory: Path) -> None:
    """Raises OSError unless files can be made in the directory, or the directory itself where it is yet to be made."""
    import tempfile

    with tempfile.TemporaryFile(dir=nearest(directory)):
        pass


def nearest(directory: Path) -> Path:
    """The directory, or its first parent that exists."""
    return next(place for place in (directory, *directory.absolute().parents) if place.exists())


def knock(control: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2.0)
        client.connect(str(control))


def namespaces_allowed() -> bool:
    """Tried in a process of its own, which then ends."""
    import subprocess

    trial = "from netwatch.lab.namespaces import enter_private_network; enter_private_network()"
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=10, check=False).returncode == 0
    return False
