"""`netwatch line test`: tests a line now, through the daemon, so that it disturbs nobody and the ledger keeps what is found."""

from __future__ import annotations

import sys
import urllib.parse
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output
from netwatch.cli._common import Socket, agree, complete_site
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netwatch.cli._daemon import Daemon, Document

__all__ = ["run_test"]

ANSWER_SECONDS = 240.0
HEADINGS = ("line", "direction", "verdict", "reason", "value", "between", "cost", "took")


def run_test(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site's id or name.", autocompletion=complete_site)],
    line: Annotated[str, typer.Option("--line", help="Only this line.")] = "",
    direction: Annotated[str, typer.Option("--direction", help="Only down (towards the site) or up.")] = "",
    full: Annotated[
        bool, typer.Option("--full", help="For ten seconds over several streams, with the figures of RFC 6349. Many bytes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --full: do not ask whether it may take so many bytes.")] = False,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
    socket: Socket = None,
) -> None:
    """Tests the lines of a site now and waits for the verdicts. Not held to the daily window, but never during a meeting.

    Examples: netwatch line test na-tau · netwatch line test na-tau --line main --direction down -o json ·
    netwatch line test na-tau --full

    Exit codes: 0 proved · 1 refuted, undecided or not run · 64 usage · 66 no such site, or no test of it · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._common import find
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output, ("table", "json"))
    if direction not in {"", "down", "up"}:
        fail(Exit.USAGE, text("line_test.direction", given=direction[:40]))
    reached = daemon(socket, Exit.UNAVAILABLE)
    found = find(reached, site).site
    checks = [
        check["id"]
        for target in found["targets"]
        for check in target["checks"]
        if check["name"].startswith("capacity-")
        and line in {"", target["id"]}
        and direction in {"", check["name"].removeprefix("capacity-")}
    ]
    if not checks:
        fail(Exit.NO_INPUT, text("line_test.not_tested", site=found["name"]))
    if full:
        checks = _agreed(reached, checks, yes=yes)
    outcomes = {check: _tested(reached, check, full=full) for check in checks}
    if shape == "json":
        _output.print_json({"schema": "netwatch/v1/line-tests", "tests": list(outcomes.values())})
    else:
        _output.print_table([text(f"line.{name}") for name in HEADINGS], [_row(check, told) for check, told in outcomes.items()])
        for check, told in outcomes.items():
            _print_full(check, told.get("full"))
    if any(told.get("verdict") != "proved" for told in outcomes.values()):
        raise typer.Exit(Exit.FAILED)


def _agreed(reached: Daemon, checks: Sequence[str], *, yes: bool) -> list[str]:
    """Those that can be tested at length, once it is agreed what that takes."""
    costs = {}
    for check in checks:
        status, document = reached.get(f"/api/v1/checks/{urllib.parse.quote(check)}/test")
        if status < 400:
            costs[check] = document
    if not costs:
        fail(Exit.NO_INPUT, text("line_test.full_dials_in"))
    most, seconds = (sum(float(one[name]) for one in costs.values()) for name in ("bytes_at_most", "seconds"))
    key = "line_test.full_cost" if len(costs) > 1 else "line_test.full_cost_one"
    print(text(key, count=len(costs), megabytes=round(most / 1e6), seconds=round(seconds)), file=sys.stderr)
    if not yes:
        agree()
    return list(costs)


def _print_full(check: str, figures: Mapping[str, Any] | None) -> None:
    if figures:
        _, line, name = check.split("/")
        direction = text(f"line.direction_{name.removeprefix('capacity-')}")
        print(f"\n{line} · {direction}")
        for heading, value in _figures(figures):
            print(f"  {heading}: {value}")


def _figures(figures: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    from netwatch.web.line import full_figures

    return full_figures(figures, _output.words())


def _tested(reached: Daemon, check: str, *, full: bool) -> Document:
    more = "?full=1" if full else ""
    status, document = reached.post(f"/api/v1/checks/{urllib.parse.quote(check)}/test{more}", ANSWER_SECONDS)
    if status >= 400:
        fail(Exit.FAILED, str(document.get("text", status))[:200])
    return document


def _row(check: str, told: Mapping[str, Any]) -> list[str]:
    from netwatch.cli._line_list import found_cells

    _, line, name = check.split("/")
    shown = [line, text(f"line.direction_{name.removeprefix('capacity-')}")]
    if "verdict" not in told:
        return [*shown, text("line_test.not_run"), _why_not(told), "", "", "", ""]
    return [*shown, *found_cells(told, _output.words())]


def _why_not(told: Mapping[str, Any]) -> str:
    for prefix, key in (("line_test.denied", "denied"), ("line_test.failed", "failed")):
        word = told.get(key)
        if word:
            named = f"{prefix}_{word}"
            return (
                text(named, detail=str(told.get("detail") or "")[:120])
                if _output.words().has(named)
                else str(told.get("detail") or word)[:120]
            )
    return text("line_test.denied_timeout")
