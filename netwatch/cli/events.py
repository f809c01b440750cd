"""`netwatch events` and `netwatch alerts`: what has happened, and what is open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output
from netwatch.cli._common import Format, Site, Socket, find, moment_since
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netwatch.cli._daemon import Daemon, Document

__all__ = ["alerts", "events"]

MOST = 10_000
FOLLOW_SECONDS = 1.0
EVENT = ("wall", "site", "check", "rule", "instance", "old", "new", "hard", "since", "code", "detail")
ALERT = ("id", "key", "severity", "opened", "closed", "sites", "title", "owner")

alerts = typer.Typer(
    no_args_is_help=True,
    help="Incidents: those that are open, and those that ended lately.\n\n"
    "Exit codes: 0 done · 66 no such incident · 69 the daemon does not answer",
)


def events(
    since: Annotated[str, typer.Option("--since", help="8h, 1d12h, 2026-11-24T02:00, 'hôm qua 22:00'.")] = "24h",
    site: Site = "",
    every: Annotated[bool, typer.Option("--all", help="Also that something new was found well: one for every check and rule.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now; Ctrl-C ends it.")] = False,
    output: Format = "table",
    socket: Socket = None,
) -> None:
    """Changes of belief, the oldest first.

    Examples: netwatch events --since 8h --site na-tau · netwatch events --since 'hôm qua 22:00' -o csv

    Exit codes: 0 done · 64 no such time · 66 no such site · 69 the daemon does not answer · 130 Ctrl-C
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import without_first_beliefs

    shape = _records.shape(output)
    if follow and shape == "json":
        fail(Exit.USAGE, text("tools.follow_json"))
    reached = daemon(socket, Exit.UNAVAILABLE)
    slug = find(reached, site).site["id"] if site else ""
    now = _transitions(reached, slug, 0.0, 1)["wall"]
    document = _transitions(reached, slug, moment_since(since, now), MOST)
    listed = document["transitions"] if every else without_first_beliefs(document["transitions"])
    found = listed[::-1]
    if shape == "table":
        _say(found, document["wall"])
    else:
        _records.print_records(shape, "netwatch/v1/events", found, {key: key for key in EVENT}, complete=document["complete"])
    if not document["complete"]:
        print(text("tools.more_events", count=MOST), file=sys.stderr)
    if follow:
        _follow(reached, slug, document, shape, every=every)


def _transitions(reached: Daemon, site: str, since: float, limit: int) -> Document:
    status, document = reached.get(f"/api/v1/transitions?since={since:.3f}&limit={limit}{f'&site={site}' if site else ''}")
    if status != 200 or "transitions" not in document:
        fail(Exit.UNAVAILABLE, text("tools.no_events", why=str(document.get("text", status))[:200]))
    return document


def _follow(reached: Daemon, site: str, document: Document, shape: str, *, every: bool) -> None:
    import json
    import time

    from netwatch.cli import _records
    from netwatch.cli._plugin import seconds_of
    from netwatch.cli._report import without_first_beliefs

    listed = document["transitions"]
    since = seconds_of(listed[0]["wall"] if listed else document["wall"])
    known = {_key(one) for one in listed}
    doubted: set[tuple[str, str, str]] = set()
    without_first_beliefs(listed, doubted)
    while True:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        # Half a minute over: a transition is on the disk some time after it happened.
        document = _transitions(reached, site, since - 30.0, MOST)
        fresh = [one for one in document["transitions"] if _key(one) not in known and seconds_of(one["wall"]) >= since - 30.0]
        known |= {_key(one) for one in fresh}
        since = max([since, *(seconds_of(one["wall"]) for one in fresh)])
        told = (fresh if every else without_first_beliefs(fresh, doubted))[::-1]
        if shape == "table":
            _say(told, document["wall"])
        for one in told if shape != "table" else ():
            print(json.dumps(one, ensure_ascii=False) if shape == "jsonl" else _records.csv_line(one[key] for key in EVENT))


def _key(one: Document) -> tuple[object, ...]:
    return tuple(one[key] for key in EVENT)


def _say(found: Sequence[Document], now: str) -> None:
    from netwatch.cli._plugin import say
    from netwatch.cli._report import clock

    for one in found:
        say(f"{clock(one['wall'], now)}  {one['site_name']} · {one['text']}")


@alerts.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended lately.")] = False,
    since: Annotated[str, typer.Option("--since", help="Also those that ended since then: 30d, 2026-11-01, 'hôm qua 22:00'.")] = "",
    site: Site = "",
    output: Format = "table",
    socket: Socket = None,
) -> None:
    """Open incidents, the urgent ones first; with --since the ended ones after them, the newest first.

    Examples: netwatch alerts list · netwatch alerts list --since 7d --site na-tau -o csv

    Exit codes: 0 done · 64 no such time · 66 no such site · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import clock, urgent_first

    shape = _records.shape(output)
    reached = daemon(socket, Exit.UNAVAILABLE)
    summary = reached.summary()
    slug = find(reached, site).site["id"] if site else ""
    ended = _ended(reached, slug, moment_since(since, summary["wall"])) if since else summary["closed"] if every else []
    found = [one for one in (*sorted(summary["incidents"], key=urgent_first), *ended) if not slug or slug in one["sites"]]
    if shape == "table" and not found:
        print(text("cli.no_problems"))
        return
    now = summary["wall"]
    rows = [
        (str(one["id"]), text(f"tools.severity_{one['severity']}"), clock(one["opened"], now), one["title"], _end(one, now))
        for one in found
    ]
    names = ("id", "severity", "opened", "title", "end") if shape == "table" else ALERT
    headings = {key: text(f"tools.alert_{key}") if shape == "table" else key for key in names}
    _records.print_records(shape, "netwatch/v1/alerts", [_flat(one, shape) for one in found], headings, table=rows)


def _ended(reached: Daemon, site: str, since: float) -> list[Document]:
    status, document = reached.get(f"/api/v1/incidents?since={since:.3f}&limit={MOST}{f'&site={site}' if site else ''}")
    if status != 200 or "incidents" not in document:
        fail(Exit.UNAVAILABLE, text("tools.no_events", why=str(document.get("text", status))[:200]))
    if not document["complete"]:
        print(text("tools.more_events", count=MOST), file=sys.stderr)
    return [one for one in document["incidents"] if one["closed"]]


@alerts.command()
def show(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its number or its key.")],
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
    socket: Socket = None,
) -> None:
    """One incident: since when, what is behind it, who has it, what is known of it.

    Examples: netwatch alerts show 42 · netwatch alerts show 42 -o json

    Exit codes: 0 done · 66 no such incident · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output, ("table", "json"))
    summary = daemon(socket, Exit.UNAVAILABLE).summary()
    known = [*summary["incidents"], *reversed(summary["closed"])]
    found = next((one for one in known if alert in {str(one["id"]), one["key"]}), None)
    if found is None:
        fail(Exit.NO_INPUT, text("tools.no_alert", alert=alert[:60], known=", ".join(str(one["id"]) for one in known[:20]) or "-"))
    if shape == "json":
        _output.print_json({"schema": "netwatch/v1/alert", "wall": summary["wall"], **found})
        return
    from netwatch.cli._report import say_pairs

    say_pairs(_about(found, summary["wall"]))


def _about(one: Document, now: str) -> Iterator[tuple[str, str]]:
    from netwatch.cli._report import since_text

    yield text("tools.alert_title"), one["title"]
    yield text("tools.alert_severity"), text(f"tools.severity_{one['severity']}")
    yield text("tools.alert_opened"), since_text(one["opened"], now)
    if end := _end(one, now):
        yield text("tools.alert_end"), end
    yield text("tools.alert_sites"), ", ".join(one["sites"])
    yield text("tools.alert_key"), one["key"]
    for member in one["members"][:20]:
        yield text("tools.alert_member"), " / ".join(part for part in (member["check"], member["rule"], member["instance"]) if part)
    for name, value in one["facts"].items():
        if value:
            yield name, value


def _end(one: Document, now: str) -> str:
    """How it ended, or else who has it."""
    from netwatch.cli._report import clock

    if one["closed"]:
        return text("tools.ended", at=clock(one["closed"], now))
    owner = one["acknowledgement"]
    if not owner:
        return ""
    eta = [text("acts.eta", at=clock(owner["until"], now))] if owner["until"] else []
    return " · ".join((text("page.owner", owner=owner["who"]), *eta))


def _flat(one: Document, shape: str) -> dict[str, Any]:
    owner = one["acknowledgement"]["who"] if one["acknowledgement"] else ""
    return {**one, "owner": owner, "sites": " ".join(one["sites"]) if shape == "csv" else one["sites"]}
