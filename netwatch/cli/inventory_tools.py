"""`netwatch inventory diff|init|render|schema|texts|import`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from netwatch.cli import _output
from netwatch.cli._common import Socket
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netwatch.inventory import Complaint
    from netwatch.model import Inventory

__all__ = ["diff", "import_sheet", "init", "load", "render", "schema", "texts"]

RUNNING = "running"
COLUMNS = (
    "site",
    "name",
    "target",
    "kind",
    "address",
    "profile",
    "label",
    "check",
    "probe",
    "interval_seconds",
    "timeout_seconds",
    "parents",
)
FileArgument = Annotated[Path, typer.Argument(envvar="NETWATCH_INVENTORY", help="The inventory: a file, or a folder of them.")]
INVENTORY = Path("inventory.yaml")


def diff(
    file: FileArgument = INVENTORY,
    against: Annotated[str, typer.Option("--against", help="'running' for what the daemon has in force, or another file.")] = RUNNING,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
    socket: Socket = None,
) -> None:
    """What would change with this file: + new, - gone, ~ otherwise. Secrets are compared but never shown.

    Examples: netwatch inventory diff · netwatch inventory diff new.yaml --against inventory.yaml

    Exit codes: 0 no difference · 1 differences · 66 a file cannot be read · 69 the daemon does not answer · 78 a file is not sound
    """
    from netwatch import inventory
    from netwatch.cli import _records

    shape = _records.shape(output, ("table", "json"))
    new = inventory.flatten(load(file))
    old = _running(socket) if against == RUNNING else inventory.flatten(load(Path(against)))
    changes = inventory.changes(old, new)
    if shape == "json":
        listed = [{"change": one.sign, "path": one.path, "old": one.old, "new": one.new} for one in changes]
        _output.print_json({"schema": "netwatch/v1/inventory-diff", "changes": listed})
    else:
        for one in changes:
            print(one.line())
        signs = [one.sign for one in changes]
        print(text("tools.changes", added=signs.count("+"), removed=signs.count("-"), changed=signs.count("~")))
    if changes:
        raise typer.Exit(Exit.FAILED)


def init(
    site_net: Annotated[str, typer.Option("--site-net", help="The address plan, such as 10.45.{n}.0/24; else a placeholder.")] = "",
    to: Annotated[Path | None, typer.Option("--to", help="The file to write; it must not exist yet. Else standard output.")] = None,
) -> None:
    """Writes an inventory of the 45 communes, ready to be edited.

    Examples: netwatch inventory init > inventory.yaml · netwatch inventory init --site-net '10.45.{n}.0/24' --to inventory.yaml

    Exit codes: 0 done · 64 no such plan · 73 the file cannot be made
    """
    from netwatch import inventory, shipped

    if site_net and not inventory.is_plan(site_net):
        fail(Exit.USAGE, text("tools.bad_plan", plan=site_net[:60]))
    made = shipped.inventory_text(site_net)
    if to is None:
        sys.stdout.write(made)
        return
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(made)
    except OSError as error:
        fail(Exit.CANNOT_CREATE, text("setup.failed", path=to, why=error.strerror or error))
    print(text("tools.made", path=to))


def render(
    file: FileArgument = INVENTORY,
    site: Annotated[str, typer.Option("--site", help="Only this site.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table, json, jsonl or csv.")] = "table",
) -> None:
    """Every check the file comes to, with its address and timing, all defaults filled in.

    Examples: netwatch inventory render --site na-tau · netwatch inventory render -o csv > checks.csv

    Exit codes: 0 done · 66 the file cannot be read, or no such site · 78 it is not sound
    """
    import dataclasses

    from netwatch import inventory
    from netwatch.cli import _records
    from netwatch.cli._lookup import slug_like

    shape = _records.shape(output)
    rows = [row for row in inventory.check_rows(load(file)) if not site or slug_like(site) in {row.site, slug_like(row.name)}]
    if site and not rows:
        fail(Exit.NO_INPUT, text("cli.no_site", name=site))
    records = [dataclasses.asdict(row) for row in rows]
    shown = [key for key in COLUMNS if shape != "table" or key not in {"name", "timeout_seconds"}]
    _records.print_records(
        shape, "netwatch/v1/inventory-render", records, {key: text(f"tools.column_{key}") if shape == "table" else key for key in shown}
    )


def schema() -> None:
    """The JSON schema (draft 7) of the inventory, for editors that complete and check as one types.

    Examples: netwatch inventory schema > netwatch.schema.json · netwatch inventory schema | jq .definitions.SiteEntry

    Exit codes: 0 done
    """
    import json

    from netwatch import inventory

    print(json.dumps(inventory.json_schema(), ensure_ascii=False, indent=1))


def texts() -> None:
    """The texts of pages in the chosen language; those to be changed go into texts/vi.json or texts/en.json beside the inventory.

    Examples: netwatch inventory texts · netwatch --lang en inventory texts | jq .open_site

    Exit codes: 0 done
    """
    import json

    from netwatch.wording import overrides

    print(json.dumps(overrides.shipped(_output.language()), ensure_ascii=False, indent=1))


def import_sheet(
    sheet: Annotated[Path, typer.Argument(help="A CSV file; its first row names the columns: code or name, n, carrier, line.main …")],
    role: Annotated[str, typer.Option("--role", help="The role of every site that names none.")] = "",
) -> None:
    """Turns a spreadsheet of sites into the sites: part of an inventory, on standard output.

    Columns, also by their Vietnamese names: id code name n role net office contact note priority carrier circuit
    hotline contract ring feeder, tag.NAME, and line.NAME or device.NAME with an address (- for none).

    Examples: netwatch inventory import sites.csv > inventory.d/sites.yaml · netwatch inventory import sites.csv --role commune

    Exit codes: 0 done · 66 the file cannot be read · 78 rows that make no sense, each with its line; nothing is written
    """
    from netwatch import inventory

    try:
        data = sheet.read_bytes()
        words = data.decode("utf-8-sig")
    except OSError as error:
        fail(Exit.NO_INPUT, text("tools.unreadable", path=sheet, why=error.strerror or error))
    except UnicodeDecodeError:
        fail(Exit.BAD_CONFIG, text("tools.not_utf8", path=sheet))
    found = inventory.read_sheet(words, str(sheet), role=role)
    if found.complaints:
        _refuse(found.complaints, Exit.BAD_CONFIG)
    sys.stdout.write(inventory.sites_yaml(found.sites))
    print(text("tools.imported", count=len(found.sites)), file=sys.stderr)


def load(file: Path) -> Inventory:
    """The inventory; what is wrong with it ends the command."""
    from netwatch import inventory

    try:
        return inventory.load(file, environment=os.environ)
    except inventory.InventoryRefused as refused:
        _refuse(refused.errors, Exit.NO_INPUT if refused.unreadable else Exit.BAD_CONFIG)


def _refuse(complaints: Iterable[Complaint], code: int) -> NoReturn:
    listed = tuple(complaints)
    for one in listed:
        print(one.block(_output.language()), file=sys.stderr)
    fail(code, text("tools.refused", count=len(listed)))


def _running(socket: Path | None) -> Mapping[str, str]:
    from netwatch.cli._daemon import daemon

    _status, document = daemon(socket, Exit.UNAVAILABLE).get("/api/v1/inventory")
    entries = document.get("entries")
    if not isinstance(entries, dict):
        fail(Exit.UNAVAILABLE, text("tools.no_inventory"))
    return entries
