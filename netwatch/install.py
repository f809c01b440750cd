"""Puts files where other programs look for them; what stands there already is kept, or kept as a `.bak`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from netwatch import shipped

__all__ = ["Item", "Verdict", "copies", "grafana", "put", "systemd", "verdict"]

OURS = {
    "netwatch.service": "etc/systemd/system/netwatch.service",
    "netwatch.sysusers": "etc/sysusers.d/netwatch.conf",
    "netwatch.tmpfiles": "etc/tmpfiles.d/netwatch.conf",
    "netwatch.sysctl": "etc/sysctl.d/60-netwatch.conf",
}
INVENTORY = "etc/netwatch/inventory.yaml"
PROGRAM = "/opt/netwatch/bin/netwatch"  # as the shipped unit has it
DASHBOARDS = "/etc/grafana/netwatch"  # as the shipped provisioning has it


class Verdict(StrEnum):
    """What is to be done with one file."""

    NEW = "new"
    SAME = "same"
    DIFFERS = "differs"
    KEPT = "kept"  # it belongs to whoever edits it


@dataclass(frozen=True, slots=True)
class Item:
    path: Path
    content: bytes
    theirs: bool = False  # written once, then never again


def systemd(prefix: Path, program: Path) -> tuple[Item, ...]:
    """The unit and what it needs, beneath `prefix`."""
    items = []
    for name, where in OURS.items():
        content = (shipped.place("systemd") / name).read_bytes()
        if name == "netwatch.service":
            content = content.replace(PROGRAM.encode(), str(program).encode())
        items.append(Item(prefix / where, content))
    inventory = shipped.inventory_text(community=shipped.SYSTEM_COMMUNITY)
    return (*items, Item(prefix / INVENTORY, inventory.encode(), theirs=True))


def grafana(to: Path) -> tuple[Item, ...]:
    """Dashboards and provisioning, which says where the dashboards are."""
    copied = copies(shipped.place("grafana"), to, leave_out=("prometheus", "alertmanager"))
    return tuple(
        Item(item.path, item.content.replace(DASHBOARDS.encode(), str(to).encode())) if "provisioning" in item.path.parts else item
        for item in copied
    )


def copies(folder: Path, to: Path, *, leave_out: Sequence[str] = ()) -> tuple[Item, ...]:
    """Every file beneath a folder, but for some of its sub-folders."""
    return tuple(
        Item(to / path.relative_to(folder), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in leave_out
    )


def verdict(item: Item) -> Verdict:
    """Raises OSError when what stands there cannot be read."""
    if not item.path.exists():
        return Verdict.NEW
    if item.path.read_bytes() == item.content:
        return Verdict.SAME
    return Verdict.KEPT if item.theirs else Verdict.DIFFERS


def put(item: Item) -> Path | None:
    """Writes a file whole or not at all; what stood there is moved to the path that is returned. Raises OSError."""
    folder = item.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{item.path.name}.", dir=folder)
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(item.content)
            file.flush()
            os.fsync(file.fileno())
        made.chmod(0o644)
        saved = _set_aside(item.path) if item.path.exists() else None
        made.replace(item.path)
    except OSError:
        made.unlink(missing_ok=True)
        raise
    return saved


def _set_aside(path: Path) -> Path:
    saved = next(name for name in _names(path) if not name.exists())
    os.link(path, saved)  # both names for a moment: there is never no file
    return saved


def _names(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.bak")
    number = 2
    while True:
        yield path.with_name(f"{path.name}.bak{number}")
        number += 1
