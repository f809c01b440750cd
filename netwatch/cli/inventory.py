"""`netwatch inventory`: is the file sound, before anything is loaded? `inventory_tools` has what else can be done with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output, discover, inventory_tools, suggest
from netwatch.cli._output import Exit

if TYPE_CHECKING:  # both bring pydantic along
    from netwatch.inventory import Complaint
    from netwatch.model import Inventory

__all__ = ["app"]

SHAPES = ("table", "json")
app = typer.Typer(
    no_args_is_help=True,
    help="The inventory: is it sound, what would it change, how is one made.\n\n"
    "Exit codes: 0 done · 1 differences · 66 a file cannot be read · 69 the daemon does not answer · 78 a file is not sound",
)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(envvar="NETWATCH_INVENTORY", help="The inventory file.")] = Path("inventory.yaml"),
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
) -> None:
    """Reads an inventory and says all that is wrong with it, at which line and what to write instead.

    Examples: netwatch inventory check · netwatch inventory check /etc/netwatch/inventory.yaml -o json

    Exit codes: 0 sound (there may be warnings) · 66 the file cannot be read · 78 it is not sound
    """
    from netwatch import inventory

    if output not in SHAPES:
        _output.fail(Exit.USAGE, _output.text("cli.bad_output", name=output, near=", ".join(SHAPES)))
    try:
        found, warnings = inventory.examine(file, environment=os.environ)
    except inventory.InventoryRefused as refused:
        code = Exit.NO_INPUT if refused.unreadable else Exit.BAD_CONFIG
        if output == "json":
            _output.print_json(_document(file, None, refused.errors, refused.warnings))
        else:
            _report(refused.errors, refused.warnings)
            print(_output.text("inventory.refused", errors=len(refused.errors), warnings=len(refused.warnings)), file=sys.stderr)
        raise typer.Exit(code) from refused
    if output == "json":
        _output.print_json(_document(file, found, (), warnings))
        return
    _report((), warnings)
    print(_output.text("inventory.accepted", **_counts(found), warnings=len(warnings)))


for command in (inventory_tools.diff, inventory_tools.init, inventory_tools.render, inventory_tools.schema, inventory_tools.texts):
    app.command(command.__name__)(command)
app.command("discover")(discover.discover)
app.command("suggest-parents")(suggest.suggest_parents)
app.command("import")(inventory_tools.import_sheet)


def _report(errors: tuple[Complaint, ...], warnings: tuple[Complaint, ...]) -> None:
    for error in errors:
        print(error.block(_output.language()), file=sys.stderr)
    for warning in warnings:
        print(_output.text("inventory.warning", text=warning.block(_output.language())), file=sys.stderr)


def _counts(found: Inventory) -> dict[str, int]:
    sites = found.sites.values()
    return {
        "communes": sum(site.kind == "commune" for site in sites),
        "hubs": sum(site.kind == "hub" for site in sites),
        "lines": sum(len(site.lines) for site in sites),
        "devices": sum(len(site.devices) for site in sites),
        "checks": len(found.checks),
        "pagers": len(found.pagers),
    }


def _document(file: Path, found: Inventory | None, errors: tuple[Complaint, ...], warnings: tuple[Complaint, ...]) -> dict[str, Any]:
    return {
        "schema": "netwatch/v1/inventory-check",
        "file": str(file),
        "ok": found is not None,
        "demo_plan": found is not None and found.demo_plan,
        "counts": _counts(found) if found is not None else {},
        "errors": [_entry(error) for error in errors],
        "warnings": [_entry(warning) for warning in warnings],
    }


def _entry(complaint: Complaint) -> dict[str, Any]:
    place = complaint.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "path": complaint.path,
        "code": complaint.key,
        "message": complaint.line("en"),
        "hint": complaint.hint,
    }
