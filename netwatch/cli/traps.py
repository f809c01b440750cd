"""`netwatch traps`: what devices have sent, and what was made of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli._common import Format, Site, Socket, find
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netwatch.cli._daemon import Daemon, Document

__all__ = ["traps"]

FOLLOW_SECONDS = 1.0
FIELDS = ("wall", "source", "site", "target", "version", "name", "outcome", "asked", "objects")
SHOWN = 3


def traps(
    site: Site = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come from now; Ctrl-C ends it.")] = False,
    output: Format = "table",
    socket: Socket = None,
) -> None:
    """SNMP traps and informs that came lately, the oldest first; each has only had the device asked at once.

    Examples: netwatch traps --follow · netwatch traps --site na-tau -o csv

    Exit codes: 0 done · 64 wrong use · 66 no such site · 69 the daemon does not answer, or nobody listens for traps · 130 Ctrl-C
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output)
    if follow and shape == "json":
        fail(Exit.USAGE, text("tools.follow_json"))
    reached = daemon(socket, Exit.UNAVAILABLE)
    slug = find(reached, site).site["id"] if site else ""
    document = _heard(reached, 0)
    if not document["listening_at"]:
        fail(Exit.UNAVAILABLE, text("traps.nobody_listens"))
    _say(_of(document, slug), shape, begins=True)
    number = _last(document, 0)
    while follow:
        import time

        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        document = _heard(reached, number)
        _say(_of(document, slug), shape, begins=False)
        number = _last(document, number)


def _heard(reached: Daemon, after: int) -> Document:
    status, document = reached.get(f"/api/v1/traps?after={after}")
    if status != 200 or "traps" not in document:
        fail(Exit.UNAVAILABLE, text("traps.not_told", why=str(document.get("text", status))[:200]))
    return document


def _of(document: Document, site: str) -> list[Document]:
    return [one for one in document["traps"] if not site or one["site"] == site]


def _last(document: Document, number: int) -> int:
    """A daemon that began anew counts from one again."""
    numbers = [int(one["number"]) for one in document["traps"]]
    return max(numbers, default=number)


def _say(found: Sequence[Document], shape: str, *, begins: bool) -> None:
    from netwatch.cli import _records

    if shape != "table" and (begins or shape == "jsonl"):
        flat = [_flat(one) if shape == "csv" else one for one in found]
        _records.print_records(shape, "netwatch/v1/traps", flat, {key: key for key in FIELDS})
        return
    for one in found:
        if shape == "csv":
            print(_records.csv_line(_flat(one)[key] for key in FIELDS))
        else:
            _line(one)


def _flat(one: Document) -> Document:
    objects = " ".join(f"{each['oid']}={each['value']}" for each in one["objects"])
    return {**one, "asked": " ".join(one["asked"]), "objects": objects}


def _line(one: Document) -> None:
    from netwatch.cli._plugin import say

    place = f"{one['site']}/{one['target']}" if one["site"] else one["source"]
    words = [f"{one['wall'][11:19]}  {place}"]
    if one["name"]:
        words.append(f"{one['name']} (v{one['version']})")
    words.append(text(f"traps.{one['outcome']}", count=len(one["asked"]), source=one["source"]))
    values = ", ".join(f"{each['oid']}={each['value']}" for each in one["objects"][1 : SHOWN + 1])
    say(" · ".join([*words, values] if values else words))
