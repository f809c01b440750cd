"""`netwatch simulate`: scenarios on a virtual clock."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit

if TYPE_CHECKING:
    from netwatch.lab.faults import Fault, Scenario
    from netwatch.lab.verdict import Report, Verdict
    from netwatch.model import Page

__all__ = ["page_document", "simulate"]


def simulate(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario files, or names of shipped ones.", metavar="SCENARIO…")],
    inventory: Annotated[
        Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="Else the one that comes along.")
    ] = Path("inventory.yaml"),
    output: Annotated[str, typer.Option("-o", "--output", help="table; json or jsonl for one JSON object a scenario.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as -o jsonl.")] = False,
) -> None:
    """Runs scenarios through the real scheduler's rules and decisions, on a virtual clock: a day in seconds.

    Examples: netwatch simulate demo · netwatch simulate my-outage.yaml --json

    Exit codes: 0 as expected · 1 a page is missing or not expected · 66 no such file · 78 bad scenario or inventory
    """
    from netwatch import inventory as inventories
    from netwatch import shipped
    from netwatch.cli import _records
    from netwatch.lab import scenario_file
    from netwatch.lab.scenario import ScenarioRefused
    from netwatch.lab.simulation import Simulation, narrow
    from netwatch.lab.stage import DEMO_ENVIRONMENT

    as_json = _records.shape(output, ("table", "json", "jsonl")) != "table" or as_json
    try:
        watched = inventories.load(shipped.inventory_path(inventory), environment=DEMO_ENVIRONMENT, pagers={})
    except inventories.InventoryRefused as refused:
        _output.fail(Exit.BAD_CONFIG, "\n".join(refused.lines(_output.language())))
    as_expected = True
    for name in scenarios:
        path = scenario_file.find(name)
        if not path.is_file():
            _output.fail(Exit.NO_INPUT, _output.text("run.no_scenario", name=name, known=", ".join(scenario_file.shipped())))
        try:
            scenario = scenario_file.load(path, watched)
        except ScenarioRefused as refused:
            _output.fail(Exit.BAD_CONFIG, "\n".join(refused.lines(_output.language())))
        report = Simulation(scenario, narrow(watched, scenario)).run()
        as_expected = as_expected and report.as_expected
        if as_json:
            print(json.dumps(_document(report), ensure_ascii=False), flush=True)
        else:
            _print(scenario, report)
        for complaint in _complaints(report):
            print(f"{report.name}: {complaint}", file=sys.stderr)
    if not as_expected:
        raise typer.Exit(Exit.FAILED)


def _title(page: Page) -> str:
    from netwatch import wording

    return wording.describe(page.incident, page.kind, _output.language(), wall=page.wall).title


def page_document(at: float, page: Page) -> dict[str, Any]:
    incident = page.incident
    return {
        "at": round(at, 3),
        "kind": page.kind,
        "key": incident.key,
        "cause": {"type": incident.cause.type, "name": incident.cause.name},
        "sites": list(incident.sites),
        "pager": page.pager,
        "title": _title(page),
    }


def _document(report: Report) -> dict[str, Any]:
    return {"name": report.name, "pages": [page_document(at, page) for at, page in report.pages], "transitions": report.transitions}


def _print(scenario: Scenario, report: Report) -> None:
    """What happened and what was told of it, in order of time."""
    rows = [(fault.at_seconds, _output.text("run.page_fault"), _in_words(fault), "") for fault in scenario.faults]
    rows += [(at, _output.text(f"run.page_{page.kind}"), _title(page), page.incident.key) for at, page in report.pages]
    print(_output.text("run.simulated", name=report.name, pages=len(report.pages), transitions=report.transitions, runs=report.runs))
    shown = [(_clock(at), *rest) for at, *rest in sorted(rows, key=lambda row: row[0])]
    _output.print_table([_output.text(f"run.column_{name}") for name in ("at", "kind", "title", "key")], shown)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}"


def _in_words(fault: Fault) -> str:
    from netwatch.lab.scenario import as_document

    values = as_document(fault)[fault.kind].items()
    said = " ".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in values if key in fault.values)
    return " ".join(part for part in (fault.kind, str(fault.where), said) if part)


def _complaints(report: Report) -> Iterator[str]:
    """What was not as expected."""
    for verdict in report.verdicts:
        if verdict.wrong:
            yield _unmet(verdict)
    for at, page in report.unexpected:
        yield _output.text("run.unexpected", at=f"{at:.1f}", title=_title(page))
    for later in report.not_in_digest:
        yield _output.text("run.not_in_digest", cause=later.cause.name)
    if report.too_many_pages:
        yield _output.text("run.too_many_pages", pages=len(report.pages))


def _unmet(verdict: Verdict) -> str:
    expected = verdict.expected
    cause, before = expected.cause.name or expected.cause.type, f"{expected.open_before_seconds:g}"
    if verdict.story is None:
        return _output.text("run.missing", cause=cause, before=before)
    what = ", ".join(_output.text(f"run.wrong_{word}") for word in verdict.wrong)
    return _output.text("run.wrong", cause=cause, thread=verdict.story.last.key, what=what)
