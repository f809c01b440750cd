"""`netwatch notify`: whether pages get out, and what still waits to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._common import Format, Socket
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from netwatch.cli._daemon import Document

__all__ = ["app"]

PAGER = ("name", "kind", "fallback", "stands_by", "out_of_band", "trial", "waiting", "sent", "retried", "refused", "handed_over")
PAGE = ("id", "incident", "kind", "wall", "owed", "taken", "attempts", "error")
TRIAL_SECONDS = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help="Pagers: whether they take pages, and what waits for them.\n\n"
    "Exit codes: 0 done · 1 not taken · 66 no such pager · 69 the daemon does not answer",
)


@app.command("list")
def list_(output: Format = "table", socket: Socket = None) -> None:
    """The pagers in force, who stands in for whom, and how each fares.

    Examples: netwatch notify list · netwatch notify list -o json

    Exit codes: 0 done · 69 the daemon does not answer
    """
    from netwatch.cli import _records

    shape = _records.shape(output)
    found = _document("/api/v1/pagers", socket, "pagers")["pagers"]
    if shape == "table" and not found:
        print(text("delivery.no_pagers"))
        return
    rows = [
        (
            one["name"],
            one["kind"],
            _role(one),
            _state(one["trial"]),
            str(one["waiting"]),
            " · ".join(f"{one[key]}" for key in ("sent", "retried", "refused")),
        )
        for one in found
    ]
    names = ("name", "kind", "role", "trial_state", "waiting", "attempts") if shape == "table" else PAGER
    headings = {key: text(f"delivery.head_{key}") if shape == "table" else key for key in names}
    _records.print_records(shape, "netwatch/v1/pagers", found, headings, table=rows)


@app.command()
def outbox(output: Format = "table", socket: Socket = None) -> None:
    """Pages that have not ended: who still has to take each, and what the last attempt met with.

    Examples: netwatch notify outbox · netwatch notify outbox -o jsonl

    Exit codes: 0 nothing waits, or done · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._report import clock

    shape = _records.shape(output)
    document = _document("/api/v1/outbox", socket, "pages")
    found, now = document["pages"], document["wall"]
    if shape == "table" and not found:
        print(text("delivery.nothing_waits"))
        return
    rows = [
        (
            clock(one["wall"], now),
            one["id"],
            text(f"delivery.kind_{one['kind']}"),
            ", ".join(one["owed"]),
            str(one["attempts"]),
            one["error"],
        )
        for one in found
    ]
    names = ("wall", "id", "page_kind", "owed", "attempts_made", "error") if shape == "table" else PAGE
    headings = {key: text(f"delivery.head_{key}") if shape == "table" else key for key in names}
    flat = found if shape != "csv" else [{**one, "owed": " ".join(one["owed"]), "taken": " ".join(one["taken"])} for one in found]
    _records.print_records(shape, "netwatch/v1/outbox", flat, headings, table=rows, complete=len(found) == document["count"])


@app.command("test")
def try_(
    pager: Annotated[str, typer.Argument(metavar="PAGER", help="Its name in the inventory.")],
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
    socket: Socket = None,
) -> None:
    """Sends a page that says it is a trial, through the running daemon, and tells whether the pager took it.

    Examples: netwatch notify test noc · netwatch notify test sms -o json

    Exit codes: 0 taken · 1 not taken · 66 no such pager · 69 the daemon does not answer
    """
    import urllib.parse

    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon
    from netwatch.cli._plugin import say

    shape = _records.shape(output, ("table", "json"))
    reached = daemon(socket, Exit.UNAVAILABLE)
    status, document = reached.post(f"/api/v1/pagers/{urllib.parse.quote(pager, safe='')}/try", TRIAL_SECONDS)
    if status == 404:
        known = ", ".join(one["name"] for one in _document("/api/v1/pagers", socket, "pagers")["pagers"]) or "-"
        fail(Exit.NO_INPUT, text("delivery.no_pager", name=pager[:60], known=known))
    if status != 200 or "ok" not in document:
        fail(Exit.UNAVAILABLE, text("delivery.no_answer", why=str(document.get("text", status))[:200]))
    if shape == "json":
        _output.print_json(document)
    elif document["ok"]:
        say(text("delivery.taken", name=pager))
    if not document["ok"]:
        fail(Exit.FAILED, text("delivery.not_taken", name=pager, why=document["error"]))


def _document(path: str, socket: Socket, key: str) -> Document:
    from netwatch.cli._daemon import daemon

    status, document = daemon(socket, Exit.UNAVAILABLE).get(path)
    if status != 200 or key not in document:
        fail(Exit.UNAVAILABLE, text("delivery.no_answer", why=str(document.get("text", status))[:200]))
    return document


def _role(one: Document) -> str:
    """Who is told when, in words."""
    parts = [text("delivery.stands_by") if one["stands_by"] else text("delivery.told")]
    if one["fallback"]:
        parts.append(text("delivery.then", name=one["fallback"]))
    if one["out_of_band"]:
        parts.append(text("delivery.out_of_band"))
    return "; ".join(parts)


def _state(trial: bool | None) -> str:
    return text("delivery.untried" if trial is None else "delivery.fine" if trial else "delivery.failing")
