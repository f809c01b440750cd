"""Options and look-ups that commands share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit, Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netwatch.cli._daemon import Daemon
    from netwatch.cli._lookup import Found
    from netwatch.model import Inventory

__all__ = ["Filled", "Format", "Site", "Socket", "Target", "agree", "complete_site", "find", "loaded", "moment_since"]


def complete_site(incomplete: str) -> list[tuple[str, str]]:
    """For the shell: the sites of the running daemon, none when there is no daemon."""
    from netwatch.cli._daemon import Daemon, usual_socket
    from netwatch.cli._lookup import slug_like

    try:
        sites = Daemon(usual_socket(), Exit.UNAVAILABLE).summary()["sites"]
    except Failed:
        return []
    return [(one["id"], one["name"]) for one in sites if one["id"].startswith(slug_like(incomplete))]


Socket = Annotated[Path | None, typer.Option("--socket", help="The daemon's unix socket; else $NETWATCH_SOCKET, else where one answers.")]
Format = Annotated[str, typer.Option("-o", "--output", help="table, json, jsonl or csv.")]
Site = Annotated[str, typer.Option("--site", help="Only this site: its id or name.", autocompletion=complete_site)]
Target = Annotated[str, typer.Argument(metavar="SITE[/TARGET]", help="A site, or a line or device of it.", autocompletion=complete_site)]


class Filled(dict[str, str]):
    """An environment in which what is not set has a value all the same: for who reads an inventory and needs none of its secrets."""

    def get(self, name: str, default: object = None) -> str:
        del default
        return self[name]

    def __missing__(self, name: str) -> str:
        return "unset"


def loaded(file: Path, environment: Mapping[str, str] | None = None) -> Inventory:
    """The inventory; what is wrong with it ends the command, a line for each error."""
    from netwatch import inventory

    try:
        return inventory.load(file, environment=os.environ if environment is None else environment)
    except inventory.InventoryRefused as refused:
        _output.fail(Exit.NO_INPUT if refused.unreadable else Exit.BAD_CONFIG, "\n".join(refused.lines(_output.language())))


def agree() -> None:
    """Asks on a terminal; elsewhere nobody could answer. Raises Failed when it is not agreed."""
    if not sys.stdin.isatty():
        _output.fail(Exit.USAGE, _output.text("acts.needs_yes"))
    print(_output.text("acts.agree"), end=" ", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() not in {"c", "có", "co", "y", "yes"}:
        _output.fail(Exit.FAILED, _output.text("acts.not_agreed"))


def find(reached: Daemon, path: str) -> Found:
    """As `_lookup.find`, for commands that are no monitoring plugins: what is not there is 66."""
    from netwatch.cli import _lookup

    try:
        return _lookup.find(reached, path)
    except Failed as failure:
        raise Failed(Exit.NO_INPUT if failure.code == Exit.UNKNOWN else failure.code, str(failure)) from failure


def moment_since(text: str, wall: str) -> float:
    """What is meant by `--since`, by the daemon's own clock and zone."""
    import datetime as dt

    from netwatch.cli._since import NoMoment, since

    try:
        return since(text, dt.datetime.fromisoformat(wall))
    except NoMoment:
        _output.fail(Exit.USAGE, _output.text("tools.bad_since", given=text[:60]))
