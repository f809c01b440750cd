"""`netwatch conference`: who is ready for the next meeting, which meetings there are, and how two places would hear each other."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output, conference_meetings
from netwatch.cli._common import Format, Socket, find
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from netwatch.cli._daemon import Daemon, Document

__all__ = ["app"]

LEVEL_CODES = {"go": Exit.OK, "risk": Exit.WARNING, "no_go": Exit.CRITICAL}
CHECK_SHAPES = ("table", "json", "jsonl", "csv", "nagios")
PLACE = ("site", "name", "level", "code", "reason", "do", "ring")
PAIR = ("one", "other", "rtt_seconds", "jitter_seconds", "loss_ratio", "video_hd")
MEETING = ("name", "starts", "ends", "rate_bits_per_second", "sites")
MOST_NAMED = 5

Before = Annotated[str, typer.Option("--before", help="How far ahead to look for a meeting: 60m, 8h, 7d.")]
Sites = Annotated[str, typer.Option("--sites", help="Ids or names by commas, or all.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Who is ready for the next video meeting, and why not.\n\n"
    "Exit codes: of `check` those of monitoring plugins, 0 all ready · 1 at risk · 2 not ready · 3 unknown; of others 0 done · 64 usage · "
    "66 no such site · 69 the daemon does not answer",
)


app.command("add")(conference_meetings.add)
app.command("import")(conference_meetings.import_)


@app.command()
def check(
    sites: Sites = "all",
    before: Before = "60m",
    meeting: Annotated[str, typer.Option("--meeting", help="This meeting, whenever it is next.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Also list the places that are ready.")] = False,
    output: Annotated[str, typer.Option("-o", "--output", help="table, json, jsonl, csv or nagios.")] = "table",
    socket: Socket = None,
) -> None:
    """READY, AT RISK or NOT READY for each place of the next meeting: why, what to do, and whom to ring.

    Examples: netwatch conference check · netwatch conference check --before 12h · netwatch conference check --sites na-tau,muong-nhe

    Exit codes: 0 all ready · 1 at risk · 2 not ready · 3 unknown or the daemon does not answer · 64 wrong use
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output, CHECK_SHAPES)
    reached = daemon(socket, Exit.UNKNOWN)
    query = {"before": str(_minutes(before)), "meeting": meeting, "sites": _slugs(reached, sites)}
    document = _told(reached, "/api/v1/conference", query, Exit.UNKNOWN)
    if shape == "nagios":
        _say_plugin(document)
    elif shape == "json":
        _output.print_json(document)
    elif shape == "table":
        _say_table(document, every=every)
    else:
        _records.print_records(shape, "netwatch/v1/conference", [_flat(one) for one in document["places"]], {key: key for key in PLACE})
    raise typer.Exit(_code(document))


@app.command()
def meetings(before: Before = "30d", output: Format = "table", socket: Socket = None) -> None:
    """Meetings that are on or to come, and their places.

    Examples: netwatch conference meetings · netwatch conference meetings --before 7d -o json

    Exit codes: 0 done · 64 wrong use · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon
    from netwatch.cli._report import clock

    shape = _records.shape(output)
    document = _told(daemon(socket, Exit.UNAVAILABLE), "/api/v1/conference/meetings", {"before": str(_minutes(before))})
    found = document["meetings"]
    if shape != "table":
        flat = [{**one, "sites": " ".join(one["sites"])} for one in found] if shape == "csv" else found
        _records.print_records(shape, "netwatch/v1/meetings", flat, {key: key for key in MEETING})
        return
    for one in found:
        at = f"{clock(one['starts'], document['wall'])}–{clock(one['ends'], one['starts'])}"
        print(text("conference.window_at", name=one["name"], at=at, places=len(one["sites"])))
    if not found:
        print(text("conference.no_meetings", within=before))


@app.command()
def matrix(sites: Sites = "all", output: Format = "table", socket: Socket = None) -> None:
    """How every two communes would hear each other by way of the bridge: a prediction from the way of each to it.

    Examples: netwatch conference matrix --sites na-tau,muong-nhe · netwatch conference matrix -o csv

    Exit codes: 0 done · 64 wrong use · 66 no such site · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output)
    reached = daemon(socket, Exit.UNAVAILABLE)
    asked = frozenset(filter(None, _slugs(reached, sites).split(",")))
    document = _told(reached, "/api/v1/conference/matrix", {})
    found = [one for one in document["pairs"] if not asked or {one["one"], one["other"]} <= asked]
    rows = [
        (
            one["one"],
            one["other"],
            _figure(one["rtt_seconds"], 1000, "ms"),
            _figure(one["jitter_seconds"], 1000, "ms"),
            _figure(one["loss_ratio"], 100, "%"),
            text(f"quality.video_{one['video_hd']}"),
        )
        for one in sorted(found, key=lambda one: (one["video_hd"] == "ok", -(one["rtt_seconds"] or 0)))
    ]
    headings = {key: text(f"conference.matrix_{key}") if shape == "table" else key for key in PAIR}
    _records.print_records(shape, "netwatch/v1/prediction", found, headings, table=rows)
    if shape == "table":
        print(text("conference.matrix_note"))


def _minutes(written: str) -> int:
    from netwatch.cli._until import NoMoment, length_seconds

    try:
        return max(1, round(length_seconds(written) / 60))
    except (NoMoment, ValueError):
        fail(Exit.USAGE, text("conference.bad_length", text=written[:40]))


def _slugs(reached: Daemon, sites: str) -> str:
    if sites == "all":
        return ""
    return ",".join(find(reached, name.strip()).site["id"] for name in sites.split(",") if name.strip())


def _told(reached: Daemon, path: str, query: dict[str, str], code: Exit = Exit.UNAVAILABLE) -> Document:
    status, document = reached.get(f"{path}?{urllib.parse.urlencode({key: value for key, value in query.items() if value})}")
    if status != 200:
        fail(Exit.USAGE if status == 400 else code, text("conference.not_told", why=str(document.get("text", status))[:300]))
    return document


def _code(document: Document) -> int:
    codes = [LEVEL_CODES[one["level"]] for one in document["places"]]
    return int(max(codes, default=Exit.UNKNOWN))


def _about(document: Document) -> str:
    from netwatch.cli._report import clock

    meeting, levels = document["meeting"], document["levels"]
    at = clock(meeting["starts"], document["wall"])
    if not meeting["planned"]:
        return text("conference.ad_hoc", at=at, ready=levels["go"], places=sum(levels.values()))
    return text("conference.about", name=meeting["name"], at=at, ready=levels["go"], places=sum(levels.values()))


def _say_plugin(document: Document) -> None:
    from netwatch.cli._plugin import PLUGIN_WORDS, plugin_safe

    named = [f"{one['name']}: {one['reasons'][0]['text']}" for one in document["places"] if one["reasons"]][:MOST_NAMED]
    levels = document["levels"]
    figures = " ".join(f"{level}={count}" for level, count in levels.items())
    print(f"CONFERENCE {PLUGIN_WORDS[_code(document)]} - {plugin_safe('; '.join((_about(document), *named)))} | {figures}")


def _say_table(document: Document, *, every: bool) -> None:
    print(_about(document))
    shown = [one for one in document["places"] if every or one["level"] != "go"]
    for one in shown:
        print()
        level = text(f"conference.level_{one['level']}")
        print(f"{level}  {one['name']}")
        for reason in one["reasons"]:
            print(f"  {reason['text']}")
        for reason in one["reasons"][:1]:
            print(f"    → {reason['do']}")
            if reason["ring"]:
                print(f"    ☎ {reason['ring']}")
    if not shown:
        print(text("conference.table_ready"))


def _flat(one: Document) -> Document:
    first = one["reasons"][0] if one["reasons"] else {}
    found = {key: one[key] for key in ("site", "name", "level")}
    return {
        **found,
        "code": first.get("code", ""),
        "reason": first.get("text", ""),
        "do": first.get("do", ""),
        "ring": first.get("ring", ""),
    }


def _figure(value: float | None, times: float, unit: str) -> str:
    if value is None:
        return "–"
    written = f"{value * times:.1f} {unit}"
    return written.replace(".", ",") if _output.language() == "vi" else written
