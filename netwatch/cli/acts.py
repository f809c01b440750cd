"""`netwatch ack, unack, note, audit`: who has an incident, what is known of it, and who did what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli._common import Format, Socket, complete_site, moment_since
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from netwatch.cli._daemon import Document

__all__ = ["ack", "audit", "note", "unack"]

MOST = 10_000
ACT = ("wall", "action", "who", "via", "incident", "window", "matcher", "starts", "until", "note")

Incident = Annotated[str, typer.Argument(metavar="INCIDENT|SITE", help="Its number, or its site.", autocompletion=complete_site)]
Output = Annotated[str, typer.Option("-o", "--output", help="table or json.")]
Who = Annotated[str, typer.Option("--who", help="Who you are, for the record; else NETWATCH_WHO, else your account.")]


def ack(
    incident: Incident,
    eta: Annotated[str, typer.Option("--eta", help="When it will be mended: 45m, 16:30, 'mai 07:00'.")] = "",
    remark: Annotated[str, typer.Option("--note", "-m", help="What is known or being done.")] = "",
    who: Who = "",
    output: Output = "table",
    socket: Socket = None,
) -> None:
    """I have it: no more reminders about this incident until it is over.

    Examples: netwatch ack 12 --eta 45m · netwatch ack na-tau --who "Trực ca A" -m "Đã gọi đội dây máy"

    Exit codes: 0 done · 64 several incidents, or no such time · 66 no such open incident · 69 the daemon does not answer
    """
    _act("acknowledge", incident, who, remark, eta, output, socket)


def unack(incident: Incident, who: Who = "", output: Output = "table", socket: Socket = None) -> None:
    """I do not have it any more: reminders go on.

    Example: netwatch unack 12

    Exit codes: 0 done · 64 several incidents · 66 no such open incident · 69 the daemon does not answer
    """
    _act("unacknowledge", incident, who, "", "", output, socket)


def note(
    incident: Incident,
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What is known of it.")],
    who: Who = "",
    output: Output = "table",
    socket: Socket = None,
) -> None:
    """Writes down what is known of an open incident; the last note is shown with it.

    Example: netwatch note 12 "Mất điện lưới, EVN hẹn 16:30"

    Exit codes: 0 done · 64 several incidents, or no text · 66 no such open incident · 69 the daemon does not answer
    """
    _act("note", incident, who, words, "", output, socket)


def _act(action: str, incident: str, who: str, words: str, eta: str, output: str, socket: Socket) -> None:
    from netwatch.cli import _acting
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import clock

    shape = _acting.shape_of(output)
    reached = daemon(socket, Exit.UNAVAILABLE)
    number = _acting.incident_named(reached, incident, free=action == "acknowledge")
    until = _acting.moment_until(eta, reached.summary()["wall"]) if eta else None
    document = _acting.post(reached, f"/api/v1/incidents/{number}/{action}", _acting.body_of(who, note=words, until=until))
    found = document["incident"] or {}
    expected = (found.get("acknowledgement") or {}).get("until")
    sentence = text(f"acts.did_{action}", id=number, who=document["who"], title=found.get("title", ""))
    if expected:
        sentence += f" · {text('acts.eta', at=clock(expected, found['updated']))}"
    _acting.told(shape, document, sentence)


def audit(
    since: Annotated[str, typer.Option("--since", help="8h, 1d12h, 2026-11-24T02:00, 'hôm qua 22:00'.")] = "7d",
    incident: Annotated[str, typer.Option("--incident", help="Only what was done about this one: its number.")] = "",
    output: Format = "table",
    socket: Socket = None,
) -> None:
    """Who did what, the oldest first: acknowledgements, notes, silences, maintenance.

    Examples: netwatch audit --since 24h · netwatch audit --incident 12 -o csv

    Exit codes: 0 done · 64 no such time · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import clock

    shape = _records.shape(output)
    if incident and not incident.removeprefix("#").isdecimal():
        fail(Exit.USAGE, text("acts.bad_number", given=incident[:60]))
    reached = daemon(socket, Exit.UNAVAILABLE)
    now = reached.summary()["wall"]
    only = f"&incident={incident.removeprefix('#')[:15]}" if incident else ""
    status, document = reached.get(f"/api/v1/audit?since={moment_since(since, now):.3f}&limit={MOST}{only}")
    if status != 200:
        fail(Exit.UNAVAILABLE, text("acts.refused", why=str(document.get("text", status))[:200]))
    found = document["acts"][::-1]
    rows = [
        (clock(one["wall"], now), one["who"], text(f"acts.action_{one['action']}"), _about(one), one["note"], one["via"]) for one in found
    ]
    headings = {key: text(f"acts.audit_{key}") if shape == "table" else key for key in (AUDIT if shape == "table" else ACT)}
    _records.print_records(shape, "netwatch/v1/audit", found, headings, table=rows, complete=document["complete"])
    if not document["complete"]:
        print(text("tools.more_events", count=MOST), file=sys.stderr)


AUDIT = ("wall", "who", "action", "about", "note", "via")


def _about(one: Document) -> str:
    """What it was about, and until when."""
    from netwatch.cli._report import clock

    parts = [f"#{one['incident']}" if one["incident"] else "", one["matcher"], f"({one['window']})" if one["window"] else ""]
    parts.append(text("acts.till", at=clock(one["until"], one["wall"])) if one["until"] else "")
    return " ".join(part for part in parts if part)
