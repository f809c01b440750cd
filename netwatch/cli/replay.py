"""`netwatch replay`: recorded history through the decisions of today, or through those of another inventory."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from netwatch.cli import _output
from netwatch.cli._common import loaded
from netwatch.cli._output import Exit, Failed, fail, text
from netwatch.lang import writing

if TYPE_CHECKING:
    from netwatch.model import Inventory
    from netwatch.replay import Doubt, Report, Story, Tape

__all__ = ["replay"]

CHECKS_NAMED = 5
SHAPES = ("table", "json", "jsonl")


def replay(
    since: Annotated[str, typer.Option("--since", help="From when on: 30d, 1d12h, 2026-11-01, 'hôm qua 22:00'.")] = "30d",
    until: Annotated[str, typer.Option("--until", help="Until when, written alike; else now.")] = "",
    rules: Annotated[Path | None, typer.Option("--rules", help="A whole inventory to compare with: the one in force, edited.")] = None,
    site: Annotated[str, typer.Option("--site", help="Count only what concerns this site: its id or name.")] = "",
    inventory: Annotated[Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory in force.")] = Path(
        "inventory.yaml"
    ),
    state: Annotated[Path | None, typer.Option("--state", help="The state directory; else $STATE_DIRECTORY, else the user's.")] = None,
    output: Annotated[str, typer.Option("-o", "--output", help="table; json or jsonl for one JSON object.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False,
) -> None:
    """Plays what is recorded to the decisions again: how often would somebody have been woken, and how often with other rules?

    It only reads, also beside a running daemon, and sends nothing.

    Examples: netwatch replay --since 30d · netwatch replay --since 7d --rules new.yaml · netwatch replay --site na-tau --json

    Exit codes: 0 done · 1 the history is damaged · 64 no such time or site · 66 no history of that time, or no inventory ·
    77 no permission · 78 an inventory is not sound
    """
    from netwatch import replay
    from netwatch.cli import _records

    as_json = _records.shape(output, SHAPES) != "table" or as_json
    inventories = [loaded(file) for file in (inventory, rules) if file is not None]
    zone = ZoneInfo(inventories[0].settings.timezone)
    now = time.time()
    span = (_moment("--since", since, now, zone), _moment("--until", until, now, zone) if until else now)
    if span[0] >= span[1]:
        fail(Exit.USAGE, text("replay.backwards"))
    place = _site(site, inventories) if site else ""
    tape, names = _taped(state, inventories, span)
    reports = [replay.play(tape, one) for one in inventories]
    reports = [one.of_site(place) for one in reports] if place else reports
    doubts = list(replay.doubts(tape, inventories[0], inventories[1], names)) if rules else []
    told = replay.was_told(tape, place)
    if as_json:
        _output.print_json(_document(tape, reports, doubts, told, zone))
    else:
        _print(tape, reports, doubts, told, zone, rules)


def _taped(
    state: Path | None, inventories: Sequence[Inventory], span: tuple[float, float]
) -> tuple[Tape, dict[str, list[tuple[str, str]]]]:
    import asyncio

    from netwatch import history, replay
    from netwatch.cli import db

    path = db.database_path(state)
    with db.clear_endings():
        try:
            return asyncio.run(_read(path, inventories, span))
        except replay.NothingRecorded as nothing:
            zone = ZoneInfo(inventories[0].settings.timezone)
            raise Failed(Exit.NO_INPUT, _nothing(path, nothing.since, nothing.until, zone)) from nothing
        except history.HistoryFailed as failure:
            raise Failed(Exit.FAILED, text("replay.failed", detail=failure)) from failure


async def _read(path: Path, inventories: Sequence[Inventory], span: tuple[float, float]) -> tuple[Tape, dict[str, list[tuple[str, str]]]]:
    from netwatch import history, replay

    names: dict[str, list[tuple[str, str]]] = {}
    async with history.beside(path) as asked:
        tape = await replay.read(asked, inventories, *span)
        for check, metric, instance, _ in (await asked.recorded()).series:
            names.setdefault(check, []).append((metric, instance))
    return tape, names


def _moment(option: str, given: str, now: float, zone: dt.tzinfo) -> float:
    from netwatch.cli._since import NoMoment, since

    try:
        return since(given, dt.datetime.fromtimestamp(now, zone))
    except NoMoment:
        fail(Exit.USAGE, text("replay.bad_time", option=option, given=given[:60]))


def _site(given: str, inventories: Sequence[Inventory]) -> str:
    from netwatch.cli._lookup import nearest, slug_like

    known = {slug_like(name): one.id for found in inventories for one in found.sites.values() for name in (one.id, one.name)}
    if slug_like(given) in known:
        return known[slug_like(given)]
    near = nearest(given, [(one.id, one.name) for one in inventories[0].sites.values()])
    raise Failed(Exit.USAGE, text("replay.no_site", given=given[:60], near=", ".join(near) or "-"))


def _nothing(path: Path, since: float | None, until: float | None, zone: dt.tzinfo) -> str:
    if since is None or until is None:
        return text("replay.empty", path=path)
    words = _output.words()
    return text("replay.not_then", path=path, since=writing.stamp(since, words, zone), until=writing.stamp(until, words, zone))


# --- for machines


def _document(tape: Tape, reports: Sequence[Report], doubts: Sequence[Doubt], told: int, zone: dt.tzinfo) -> dict[str, Any]:
    from netwatch import replay

    document = {
        "schema": "netwatch/v1/replay",
        "since": writing.rfc3339(tape.since, zone),
        "until": writing.rfc3339(tape.until, zone),
        "sources": [
            {"since": writing.rfc3339(since, zone), "until": writing.rfc3339(until, zone), "source": source}
            for source, since, until in _sources(tape)
        ],
        "unwatched_seconds": round(replay.unwatched_seconds(tape), 3),
        "told_then": told,
        **_outcome(tape, reports[0], zone),
    }
    if len(reports) > 1:
        apart = replay.difference(*reports)
        document["rules"] = {
            **_outcome(tape, reports[1], zone),
            "no_longer": [_incident(story, zone) for story in apart.no_longer],
            "new": [_incident(story, zone) for story in apart.new],
            "doubts": [{"kind": doubt.kind, "checks": list(doubt.checks)} for doubt in doubts],
        }
    return document


def _outcome(tape: Tape, report: Report, zone: dt.tzinfo) -> dict[str, Any]:
    from netwatch.cli.simulate import page_document

    return {
        "paged": len(report.stories),
        "short": report.short,
        "digests": report.digests,
        "by_cause": report.by_cause,
        "by_site": report.by_site,
        "incidents": [_incident(story, zone) for story in report.stories],
        "pages": [{**page_document(wall - tape.since, page), "wall": writing.rfc3339(wall, zone)} for wall, page in report.pages],
        "transitions": report.transitions,
    }


def _incident(story: Story, zone: dt.tzinfo) -> dict[str, Any]:
    incident = story.incident
    return {
        "key": incident.key,
        "cause": {"type": incident.cause.type, "name": incident.cause.name},
        "sites": list(incident.sites),
        "told": writing.rfc3339(story.told_wall, zone),
        "opened": writing.rfc3339(incident.opened, zone),
        "closed": None if incident.closed is None else writing.rfc3339(incident.closed, zone),
        "title": _title(story),
    }


def _title(story: Story) -> str:
    from netwatch import wording

    return wording.describe(story.incident, "open", _output.language(), wall=story.told_wall).title


def _sources(tape: Tape) -> Iterator[tuple[str, float, float]]:
    """What each part of the time is played from."""
    turns = max(tape.since, min(tape.runs_since, tape.until))
    for source, since, until in (("changes", tape.since, turns), ("runs", turns, tape.until)):
        if since < until:
            yield source, since, until


# --- for people


def _print(tape: Tape, reports: Sequence[Report], doubts: Sequence[Doubt], told: int, zone: dt.tzinfo, rules: Path | None) -> None:
    from netwatch import replay

    words = _output.words()
    print(text("replay.span", since=writing.stamp(tape.since, words, zone), until=writing.stamp(tape.until, words, zone)))
    print(text("replay.paged", **_counts(reports[0])))
    print(text("replay.told_then", count=told))
    for source, since, until in _sources(tape):
        print(text(f"replay.from_{source}", since=writing.stamp(since, words, zone), until=writing.stamp(until, words, zone)))
    if (away := replay.unwatched_seconds(tape)) >= 1:
        print(text("replay.unwatched", lasted=writing.age(away, words)))
    if rules is None:
        _print_causes(reports[0])
        _print_stories(reports[0].stories, tape.until, zone)
        return
    print()
    print(text("replay.paged_with", file=rules, **_counts(reports[1])))
    apart = replay.difference(*reports)
    for heading, stories in (("no_longer", apart.no_longer), ("new", apart.new)):
        if stories:
            print(text(f"replay.{heading}", count=len(stories)))
            _print_stories(stories, tape.until, zone)
    if not (apart.no_longer or apart.new):
        print(text("replay.alike"))
    for doubt in doubts:
        named = ", ".join(doubt.checks[:CHECKS_NAMED]) + (" …" if len(doubt.checks) > CHECKS_NAMED else "")
        print(text(f"replay.doubt_{doubt.kind}", count=len(doubt.checks), checks=named))


def _counts(report: Report) -> dict[str, int]:
    return {"count": len(report.stories), "short": report.short, "pages": len(report.pages), "digests": report.digests}


def _print_causes(report: Report) -> None:
    if report.stories:
        causes = ", ".join(f"{text(f'replay.cause_{cause}')} {count}" for cause, count in report.by_cause.items())
        print(text("replay.by_cause", causes=causes))


def _print_stories(stories: Sequence[Story], until: float, zone: dt.tzinfo) -> None:
    words = _output.words()
    rows = [
        (
            writing.stamp(story.told_wall, words, zone),
            writing.age((story.incident.closed or until) - story.incident.opened, words)
            if story.incident.closed
            else text("replay.still_open"),
            _title(story),
        )
        for story in stories
    ]
    if rows:
        _output.print_table([text(f"replay.column_{name}") for name in ("told", "lasted", "title")], rows)
