"""`netwatch watch`: the problems as they come and go."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._common import Socket
from netwatch.cli._output import Exit, Failed, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group

    from netwatch.cli._daemon import Daemon, Document

__all__ = ["watch"]


class Only(StrEnum):
    ALL = "all"
    PROBLEMS = "problems"


def watch(
    only: Annotated[
        Only, typer.Option("--only", help="problems leaves out the sites that are well and what waits for the morning.")
    ] = Only.ALL,
    every: Annotated[float, typer.Option("--every", min=0.2, max=3600, help="Seconds between two looks.")] = 2.0,
    socket: Socket = None,
) -> None:
    """A live table of the province; without a terminal, a line for each thing that changes. Ctrl-C ends it.

    Examples: netwatch watch --only problems · netwatch watch --every 10 | tee -a watch.log

    Exit codes: 69 the daemon does not answer at the start · 130 Ctrl-C
    """
    from netwatch.cli._daemon import daemon

    reached = daemon(socket, Exit.UNAVAILABLE)
    first = reached.summary()
    if sys.stdout.isatty():
        _live(reached, first, only, every)
    else:
        _lines(reached, first, only, every)


def _live(reached: Daemon, summary: Document, only: Only, every: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not _output.wants_color(), highlight=False)
    with Live(_screen(summary, only, console.height, ""), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            summary, trouble = _look(reached, summary)
            live.update(_screen(summary, only, console.height, trouble), refresh=True)


def _look(reached: Daemon, last: Document) -> tuple[Document, str]:
    """What is so now, or what was so with why it may no longer be: a daemon that restarts is no reason to stop looking."""
    try:
        return reached.summary(), ""
    except Failed as failure:
        return last, str(failure)


def _screen(summary: Document, only: Only, height: int, trouble: str) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    rows = _rows(summary, only)
    for row in rows[: max(1, height - 4)]:
        table.add_row(*(Text.from_ansi(cell) for cell in row))
    more = len(rows) - max(1, height - 4)
    foot = trouble or (text("tools.watch_more", count=more) if more > 0 else text("tools.watch_end"))
    return Group(Text(summary["text"], style="bold"), Text(""), table, Text(foot, style="red" if trouble else "dim"))


def _rows(summary: Document, only: Only) -> list[Sequence[str]]:
    from netwatch.cli._report import icon, mark, problem_rows
    from netwatch.lang import writing

    rows = problem_rows(summary, every=only is Only.ALL)
    if only is Only.PROBLEMS:
        return rows or [(text("cli.no_problems"),)]
    for one in summary["sites"]:
        if mark(one) == "ok":
            rtt = writing.seconds(one["rtt_seconds"], _output.words()) if one["rtt_seconds"] is not None else ""
            rows.append((f"{icon('ok')} {one['name']}", rtt, ""))
    return rows


def _lines(reached: Daemon, summary: Document, only: Only, every: float) -> None:
    from netwatch.cli._plugin import say
    from netwatch.cli._report import clock

    shown: dict[str, str] = {}
    trouble = ""
    say(summary["text"])
    while True:
        now = clock(summary["wall"], summary["wall"])
        rows = _changing(summary, only)
        for key, said in rows.items():
            if shown.get(key) != said:
                say(f"{now}  {said}")
        for key in _over(shown, rows, summary):
            say(f"{now}  {text('tools.watch_over', what=shown[key])}")
        shown = rows
        sys.stdout.flush()
        time.sleep(every)
        summary, why = _look(reached, summary)
        if why and why != trouble:
            print(f"netwatch: {why}", file=sys.stderr, flush=True)
        trouble = why


def _over(shown: dict[str, str], rows: dict[str, str], summary: Document) -> list[str]:
    """What has ended: a site that an incident now speaks of is as bad as it was."""
    bad = {f"site {one['id']}" for one in summary["sites"] if one["state"] not in {"ok", "maintenance"}}
    return [key for key in shown if key not in rows and key not in bad]


def _changing(summary: Document, only: Only) -> dict[str, str]:
    """What may change, by what it is about; without the age, which always does."""
    from netwatch.cli._report import icon

    found = {}
    for one in summary["incidents"]:
        if only is Only.ALL or one["severity"] != "info":
            found[f"incident {one['id']}"] = f"{icon('crit' if one['severity'] == 'critical' else 'warn')} {one['title']}"
    spoken_of = {slug for one in summary["incidents"] for slug in one["sites"]}
    for one in summary["sites"]:
        if one["state"] not in {"ok", "maintenance"} and one["id"] not in spoken_of:
            said = one["text"] or text(f"state.{one['state']}")
            found[f"site {one['id']}"] = f"{icon(one['state'])} {one['name']}: {said}"
    return found
