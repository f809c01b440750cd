"""`netwatch silence` and `netwatch maintenance`: not to be told of something for a while, and planned work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._common import Format, Socket, agree
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from netwatch.cli._daemon import Daemon, Document

__all__ = ["maintenance", "silence"]

MOST_NAMES = 12
WINDOW = ("id", "name", "state", "matcher", "starts", "ends", "who", "note")

CODES = "Exit codes: 0 done · 1 not agreed to · 64 usage · 66 nothing is like that · 69 the daemon does not answer"
silence = typer.Typer(
    no_args_is_help=True, help=f"Silences: what nobody is to be told of for a while; it is still watched and shown.\n\n{CODES}"
)
maintenance = typer.Typer(
    no_args_is_help=True, help=f"Maintenance: planned work. Nobody is told, and it does not count in the SLA.\n\n{CODES}"
)

What = Annotated[str, typer.Argument(metavar="MATCHER", help="na-tau, na-tau/ups, site=na-*, ring=tuan-giao, role=printer …")]
For = Annotated[str, typer.Option("--for", help="How long: 90m, 4h, 1d12h.")]
Until = Annotated[str, typer.Option("--until", help="Until when: 16:30, 'mai 07:00', 2026-11-25T08:00.")]
From = Annotated[str, typer.Option("--from", help="From when: 22:00, 'mai 22:00'; now when left out.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; whoever comes next must know.")]
Who = Annotated[str, typer.Option("--who", help="Who you are, for the record; else NETWATCH_WHO, else your account.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it covers.")]
Output = Annotated[str, typer.Option("-o", "--output", help="table or json.")]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="As the list shows it.")]


@silence.command("add")
def silence_add(
    what: What,
    length: For = "",
    until: Until = "",
    reason: Reason = "",
    who: Who = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "table",
    socket: Socket = None,
) -> None:
    """Nobody is told of it until then; shows first what that covers.

    Examples: netwatch silence add na-tau --for 4h -m "Dông, chập chờn" · netwatch silence add role=printer --until "mai 07:00" -m "Thay mực"

    Exit codes: 0 done · 1 not agreed to · 64 usage · 66 nothing is like that · 69 the daemon does not answer
    """
    _add("silence", what, ("", length, until), reason, who, yes, dry_run, output, socket)


@maintenance.command("add")
def maintenance_add(
    what: What,
    length: For = "",
    begins: From = "",
    until: Until = "",
    reason: Reason = "",
    who: Who = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "table",
    socket: Socket = None,
) -> None:
    """Plans work: from when, for how long, why; shows first what it covers.

    Example: netwatch maintenance add na-tau --from 22:00 --for 2h -m "Thay router"

    Exit codes: 0 done · 1 not agreed to · 64 usage · 66 nothing is like that · 69 the daemon does not answer
    """
    _add("maintenance", what, (begins, length, until), reason, who, yes, dry_run, output, socket)


@silence.command("list")
def silence_list(output: Format = "table", socket: Socket = None) -> None:
    """Silences in force.

    Example: netwatch silence list

    Exit codes: 0 done · 69 the daemon does not answer
    """
    _list("silence", output, socket)


@maintenance.command("list")
def maintenance_list(output: Format = "table", socket: Socket = None) -> None:
    """Work under way or to come; of what the inventory plans, the next time.

    Example: netwatch maintenance list -o json

    Exit codes: 0 done · 69 the daemon does not answer
    """
    _list("maintenance", output, socket)


@silence.command("end")
def silence_end(number: Number, who: Who = "", output: Output = "table", socket: Socket = None) -> None:
    """Ends a silence now: what is wrong is told of again.

    Example: netwatch silence end 3

    Exit codes: 0 done · 64 usage · 66 no such silence · 69 the daemon does not answer
    """
    _end("silence", number, who, output, socket)


@maintenance.command("end")
def maintenance_end(number: Number, who: Who = "", output: Output = "table", socket: Socket = None) -> None:
    """Ends a maintenance now. What the inventory plans is ended there.

    Example: netwatch maintenance end 4

    Exit codes: 0 done · 64 usage · 66 no such maintenance · 69 the daemon does not answer
    """
    _end("maintenance", number, who, output, socket)


def _add(
    kind: str, what: str, span: tuple[str, str, str], reason: str, who: str, yes: bool, dry_run: bool, output: str, socket: Socket
) -> None:
    import urllib.parse

    from netwatch.cli import _acting
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import clock

    shape = _acting.shape_of(output)
    if not reason.strip() and not dry_run:
        fail(Exit.USAGE, text("acts.error_no_reason", why=""))
    reached = daemon(socket, Exit.UNAVAILABLE)
    status, covered = reached.get(f"/api/v1/windows/preview?matcher={urllib.parse.quote(what, safe='')}")
    if status >= 400:
        _acting.refuse(covered)
    starts, ends = _span(span, covered["wall"])
    if dry_run and shape == "json":
        _output.print_json(covered)
        return
    _show(covered)
    if dry_run:
        return
    if not covered["sites"] and not covered["targets"]:
        fail(Exit.NO_INPUT, text("acts.error_covers_nothing", why=covered["matcher"]))
    if not yes:
        agree()
    body = _acting.body_of(who, kind=kind, matcher=covered["matcher"], note=reason, starts=starts, until=ends)
    made = _acting.post(reached, "/api/v1/windows", body)
    now = covered["wall"]
    fields = {"id": made["id"], "starts": clock(made["starts"], now), "ends": clock(made["ends"], now)}
    _acting.told(shape, made, text(f"acts.did_{kind}", matcher=made["matcher"], **fields))


def _span(span: tuple[str, str, str], now: str) -> tuple[float | None, float]:
    """From when (None: from now) and until when."""
    from netwatch.cli import _acting
    from netwatch.cli._plugin import seconds_of
    from netwatch.cli._until import NoMoment, length_seconds

    begins, length, until = span
    if bool(length) == bool(until):
        fail(Exit.USAGE, text("acts.for_or_until"))
    starts = _acting.moment_until(begins, now)
    if not length:
        return starts, _acting.moment_until(until, now) or 0.0
    try:
        return starts, (seconds_of(now) if starts is None else starts) + length_seconds(length)
    except NoMoment:
        fail(Exit.USAGE, text("acts.bad_time", given=length[:60]))


def _show(covered: Document) -> None:
    """What it covers, on stderr: it is not the answer."""

    def say(key: str, names: list[str]) -> None:
        listed = ", ".join(names[:MOST_NAMES]) + (" …" if len(names) > MOST_NAMES else "")
        print(text(key, count=len(names), names=listed) if names else text(f"{key}_none"), file=sys.stderr)

    say("acts.covers_sites", [one["name"] for one in covered["sites"]])
    if covered["targets"]:
        say("acts.covers_targets", covered["targets"])
    say("acts.covers_incidents", [f"#{one['id']} {one['title']}" for one in covered["incidents"]])


def _list(kind: str, output: str, socket: Socket) -> None:
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import clock

    shape = _records.shape(output)
    now, found = _windows(daemon(socket, Exit.UNAVAILABLE), kind)
    if shape == "table" and not found:
        print(text(f"acts.no_{kind}"))
        return
    rows = [
        (
            str(one["id"] or one["name"]),
            text(f"acts.state_{one['state']}"),
            one["matcher"],
            clock(one["starts"], now),
            clock(one["ends"], now),
            one["who"] or text("acts.by_inventory"),
            one["note"],
        )
        for one in found
    ]
    names = tuple(name for name in WINDOW if name != "name") if shape == "table" else WINDOW
    headings = {key: text(f"acts.window_{key}") if shape == "table" else key for key in names}
    _records.print_records(shape, "netwatch/v1/windows", found, headings, table=rows)


def _windows(reached: Daemon, kind: str) -> tuple[str, list[Document]]:
    status, document = reached.get("/api/v1/windows")
    if status != 200:
        fail(Exit.UNAVAILABLE, text("acts.refused", why=str(document.get("text", status))[:200]))
    return document["wall"], [one for one in document["windows"] if one["kind"] == kind]


def _end(kind: str, number: str, who: str, output: str, socket: Socket) -> None:
    from netwatch.cli import _acting
    from netwatch.cli._daemon import daemon

    shape = _acting.shape_of(output)
    reached = daemon(socket, Exit.UNAVAILABLE)
    known = [str(one["id"]) for one in _windows(reached, kind)[1] if one["id"]]
    if number.removeprefix("#") not in known:
        fail(Exit.NO_INPUT, text("acts.error_no_such_window", why=number[:30]))
    document = _acting.post(reached, f"/api/v1/windows/{number.removeprefix('#')}/end", _acting.body_of(who))
    _acting.told(shape, document, text("acts.did_end", id=document["id"], matcher=document["matcher"]))
