"""`netwatch devices`: the register of equipment, one device of it, and what an agent has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli._common import Format, Site, Socket, Target, find
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netwatch.cli._daemon import Daemon, Document

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="The register of equipment: what stands where, what it is, when it was last seen.\n\n"
    "Exit codes: 0 done · 1 failed · 64 wrong use · 66 no such site, device or file · 69 the daemon does not answer · 77 turned away · "
    "78 bad inventory",
)

COLUMNS = ("site", "device", "role", "label", "address", "model", "serial", "firmware", "last_seen", "warranty_until")
FIELDS = (
    *COLUMNS[:5],
    "profile",
    *COLUMNS[5:8],
    "sysName",
    "sysLocation",
    "sysDescr",
    "sysObjectID",
    "first_seen",
    *COLUMNS[8:],
    "watched",
)
DAY_SECONDS = 86_400.0
LONG_UNSEEN_DAYS = 30


@app.command("list")
def list_devices(
    site: Site = "",
    role: Annotated[str, typer.Option("--role", help="Only this role: router, printer, ups …")] = "",
    unseen: Annotated[int, typer.Option("--unseen", min=0, help="Only what was not seen for so many days, or never.")] = 0,
    out_of_warranty: Annotated[bool, typer.Option("--out-of-warranty", help="Only what is no longer under warranty.")] = False,
    output: Format = "table",
    socket: Socket = None,
) -> None:
    """Every device of the inventory, and those that were in it once: model, serial number, firmware, when last seen.

    Examples: netwatch devices list -o csv > devices.csv · netwatch devices list --unseen 30 · netwatch devices list --site na-tau

    Exit codes: 0 done · 64 wrong use · 66 no such site · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output)
    reached = daemon(socket, Exit.UNAVAILABLE)
    slug = find(reached, site).site["id"] if site else ""
    document = _register(reached)
    today = str(document["wall"])[:10]
    rows = [
        one
        for one in document["devices"]
        if slug in {"", one["site"]}
        and role in {"", one["role"]}
        and (not unseen or days_unseen(one, str(document["wall"])) >= unseen)
        and (not out_of_warranty or "" < one["warranty_until"] < today)
    ]
    headings = {name: text(f"devices.{name}") if shape == "table" else name for name in (COLUMNS if shape == "table" else FIELDS)}
    table = [[_cell(one, name, str(document["wall"])) for name in COLUMNS] for one in rows]
    _records.print_records(shape, "netwatch/v1/devices", rows, headings, table=table)


@app.command("show")
def show(
    path: Target, output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table", socket: Socket = None
) -> None:
    """All that is known of one device: what it is, since when, what has changed, and what it measures now.

    Example: netwatch devices show na-tau/router

    Exit codes: 0 done · 64 wrong use · 66 no such device · 69 the daemon does not answer
    """
    from netwatch.cli import _output, _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output, ("table", "json"))
    reached = daemon(socket, Exit.UNAVAILABLE)
    found = find(reached, path)
    if found.target is None:
        fail(Exit.USAGE, text("devices.name_one", path=path[:60]))
    device = str(found.target["id"]).rpartition("/")[2]
    document = _register(reached)
    row = next((one for one in document["devices"] if (one["site"], one["device"]) == (found.site["id"], device)), None)
    if row is None:
        fail(Exit.NO_INPUT, text("devices.is_a_line", path=path[:60]))
    if shape == "json":
        _output.print_json({"schema": "netwatch/v1/device", **row, "target": found.target})
        return
    _print(row, found.target, str(document["wall"]))


@app.command("walk")
def walk(
    path: Annotated[str, typer.Argument(metavar="SITE/DEVICE", help="A device of the inventory.")],
    oid: Annotated[str, typer.Argument(help="Where to begin: a numeric OID.")] = "1.3.6.1.2.1.1",
    most: Annotated[int, typer.Option("--most", min=1, max=100_000, help="Rows at most.")] = 1_000,
    file: Annotated[Path, typer.Option("-f", "--file", help="The inventory, for the address and the secrets.")] = Path("inventory.yaml"),
    output: Annotated[str, typer.Option("-o", "--output", help="table, json, jsonl or csv.")] = "table",
) -> None:
    """What an agent has below an OID, as it says it; control characters are taken out.

    Examples: netwatch devices walk na-tau/switch · netwatch devices walk na-tau/ups 1.3.6.1.2.1.33 -o csv

    Exit codes: 0 done · 1 failed · 64 wrong use · 66 no such device or file · 77 turned away · 78 bad inventory
    """
    from netwatch.cli import _records, _walk

    shape = _records.shape(output)
    rows, flaw = _walk.walked(file, path, oid, most)
    if shape == "table":
        for one in rows:
            print(f"{one['oid']} = {one['value']}")
    else:
        _records.print_records(shape, "netwatch/v1/walk", rows, {"oid": "oid", "value": "value"})
    if flaw:
        print(f"netwatch: {text('devices.flaw', flaw=flaw)}", file=sys.stderr)


def days_unseen(row: Mapping[str, Any], wall: str) -> float:
    """How long it was not seen; what never was counts as for ever."""
    import datetime as dt
    import math

    if not row["last_seen"]:
        return math.inf
    return (dt.datetime.fromisoformat(wall) - dt.datetime.fromisoformat(str(row["last_seen"]))).total_seconds() / DAY_SECONDS


def _register(reached: Daemon) -> Document:
    status, document = reached.get("/api/v1/devices")
    if status != 200 or "devices" not in document:
        fail(Exit.UNAVAILABLE, text("devices.not_told"))
    return document


def _cell(row: Mapping[str, Any], name: str, wall: str) -> str:
    value = str(row[name] or "")
    if name == "last_seen":
        if not row["watched"]:
            return text("devices.gone", day=value[:10])
        days = days_unseen(row, wall)
        return value[:16].replace("T", " ") if days < LONG_UNSEEN_DAYS else text("devices.long_unseen", day=value[:10]) if value else "–"
    if name == "warranty_until" and "" < value < wall[:10]:
        return text("devices.warranty_over", day=value)
    return value


def _print(row: Mapping[str, Any], target: Mapping[str, Any], wall: str) -> None:
    from netwatch.cli._output import print_table
    from netwatch.cli._plugin import say

    say(f"{row['site_name']} · {row['label'] or row['device']}")
    names = [name for name in FIELDS[2:-1] if row[name]]
    print_table(("", ""), [[text(f"devices.{name}"), _cell(row, name, wall)] for name in names])
    for change in row["changes"]:
        said = text("devices.changed", fact=text(f"devices.{change['fact']}"), old=change["old"], new=change["new"])
        say(f"{change['wall'][:16].replace('T', ' ')}  {said}")
    samples: Sequence[Mapping[str, Any]] = [one for check in target["checks"] for one in check["samples"]]
    if samples:
        print_table((text("devices.measured"), "", ""), [[str(one["title"]), str(one["instance"]), str(one["text"])] for one in samples])
