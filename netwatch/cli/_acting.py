"""What the commands that change something share: who asks, what was meant, and what the daemon said to it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from netwatch.cli import _output
from netwatch.cli._daemon import Daemon, Document
from netwatch.cli._output import Exit, Failed, fail, text
from netwatch.lang import writing

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WHO_VARIABLE", "body_of", "incident_named", "moment_until", "post", "refuse", "shape_of", "told"]

WHO_VARIABLE = "NETWATCH_WHO"
USUAL_ERRORS = ("bad_until", "too_long", "no_reason", "no_note", "bad_matcher", "covers_nothing", "no_such_incident", "no_such_window")
NOT_THERE = ("covers_nothing", "no_such_incident", "no_such_window")


def body_of(who: str, **fields: object) -> dict[str, object]:
    """What is sent; what is empty is left out."""
    named = who or os.environ.get(WHO_VARIABLE, "")
    return {name: value for name, value in {"who": named, **fields}.items() if value not in {None, ""}}


def post(reached: Daemon, path: str, body: Mapping[str, object]) -> Document:
    """The answer to what was asked for. Raises Failed."""
    status, document = reached.post(path, body=body)
    if status >= 400:
        refuse(document)
    return document


def refuse(document: Mapping[str, Any]) -> NoReturn:
    code = str(document.get("error", ""))
    why = writing.clean(str(document.get("text", "")), 200)
    message = text(f"acts.error_{code}", why=why) if code in USUAL_ERRORS else text("acts.refused", why=why)
    fail(Exit.NO_INPUT if code in NOT_THERE else Exit.USAGE, message)


def moment_until(given: str, now: str) -> float | None:
    """What is meant by `--until`, by the daemon's own clock and zone; None when nothing was given."""
    from netwatch.cli._until import NoMoment, until

    if not given:
        return None
    try:
        return until(given, dt.datetime.fromisoformat(now))
    except NoMoment:
        fail(Exit.USAGE, text("acts.bad_time", given=given[:60]))


def incident_named(reached: Daemon, named: str, *, free: bool) -> int:
    """By its number, or by the site it is about when that has just one. `free`: those that somebody has do not count then."""
    if named.removeprefix("#").isdecimal():
        return int(named.removeprefix("#")[:15])
    from netwatch.cli._common import find

    site = find(reached, named).site
    found: Sequence[Document] = [one for one in reached.summary()["incidents"] if site["id"] in one["sites"]]
    unowned = [one for one in found if not one["acknowledgement"]]
    wanted = unowned if free and unowned else found
    if not wanted:
        fail(Exit.NO_INPUT, text("acts.no_incident_of", site=site["name"]))
    if len(wanted) > 1:
        listed = "\n".join(f"  #{one['id']}  {one['title']}" for one in wanted)
        raise Failed(Exit.USAGE, f"{text('acts.several', site=site['name'])}\n{listed}")
    return int(wanted[0]["id"])


def shape_of(output: str) -> str:
    from netwatch.cli import _records

    return _records.shape(output, ("table", "json"))


def told(shape: str, document: Document, sentence: str) -> None:
    if shape == "json":
        _output.print_json(document)
    else:
        print(sentence)
