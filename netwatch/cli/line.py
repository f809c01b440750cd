"""`netwatch line`: what is known of each line's contract, by the evidence ledger; only `test` asks a daemon."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output, line_assist, line_quality, line_test
from netwatch.cli._common import Filled, Format, loaded
from netwatch.cli._output import Exit, fail, text, words
from netwatch.cli.db import StateOption

if TYPE_CHECKING:
    from netwatch.ledger import Entry, Report
    from netwatch.model import Inventory

__all__ = ["app"]

SHEET_SHAPES = ("html", "csv", "json", "lines")
VERIFY_SHAPES = ("table", "json")
MOST_FLAWS = 20
STANDING = (
    "site", "name", "line", "direction", "contract_bits_per_second", "verdict", "reason", "at", "proved_at", "below_contract", "number",
)  # fmt: skip
SHOWN = ("site", "line", "direction", "contract", "verdict", "reason", "at", "proved_at")
RECORD = ("number", "at", "line", "direction", "verdict", "reason", "value", "between", "cost", "took", "how")

File = Annotated[
    Path | None,
    typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="For lines never tested; else ./inventory.yaml if it is there."),
]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE[/LINE]", help="A site's id or name, and one of its lines.")]

app = typer.Typer(
    no_args_is_help=True,
    help="What is known of each line's contract: verdicts, their evidence, and whether the ledger is as it was written.\n\n"
    "Exit codes: 0 done · 1 the ledger is not sound · 64 usage · 66 nothing there · 77 no permission · 78 the inventory is not sound",
)


app.command("quality")(line_quality.quality)
app.command("assist")(line_assist.assist)
app.command("test")(line_test.run_test)


@app.command("list")
def list_lines(
    site: Annotated[str, typer.Option("--site", help="Only this site: its id or name.")] = "",
    file: File = None,
    state: StateOption = None,
    output: Format = "table",
) -> None:
    """Each line and direction: proved, refuted, inconclusive or without recent evidence, and since when.

    Examples: netwatch line list · netwatch line list --site na-tau · netwatch line list -o csv > lines.csv

    Exit codes: 0 done · 66 no such site · 77 no permission · 78 the inventory is not sound
    """
    from netwatch.cli import _line_list, _records

    shape = _records.shape(output)
    inventory = _inventory(file)
    path = _ledger_path(state)
    only = _site_id(site, inventory, path) if site else ""
    with _readable(path):
        records = _line_list.standings(path, inventory, only, time.time(), _zone(inventory))
    if shape != "table":
        _records.print_records(shape, "netwatch/v1/line-list", records, {key: key for key in STANDING})
        return
    headings = {key: text(f"line.{key}") for key in SHOWN}
    _records.print_records(shape, "", records, headings, table=[_line_list.row(one, words(), _zone(inventory)) for one in records])


@app.command()
def show(
    where: SiteArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many records at most, the newest.")] = 20,
    file: File = None,
    state: StateOption = None,
    output: Format = "table",
) -> None:
    """The records of a site or line, newest first, with what they cost; -o json gives all that was looked at.

    Examples: netwatch line show na-tau · netwatch line show na-tau/line1 --limit 5 -o json

    Exit codes: 0 done · 66 no such site, or no ledger · 77 no permission
    """
    from netwatch import ledger
    from netwatch.cli import _line_list, _records

    shape = _records.shape(output)
    inventory, path = _inventory(file), _ledger_path(state)
    name, _, line = where.partition("/")
    slug = _site_id(name, inventory, path)
    found: list[Entry] = []
    with _readable(path):
        for entry in ledger.of_site(path, slug) if path.exists() else ():
            if _line_list.is_verdict(entry) and line in {"", entry.record["line"]}:
                found.append(entry)
            if len(found) == limit:
                break
    if not found:
        fail(Exit.NO_INPUT, text("line.no_records", site=where))
    if shape == "table":
        rows = [_line_list.record_row(one, words(), _zone(inventory)) for one in found]
        _output.print_table([text(f"line.{key}") for key in RECORD], rows)
        return
    from netwatch import sheet

    records = [{**one.record, "sha256": one.sha256, "seal": one.seal, "signature": one.signature_text} for one in found]
    _records.print_records(shape, "netwatch/v1/line-records", records, {key: key for key in (*sheet.COLUMNS, "sha256", "seal")})


@app.command()
def evidence(
    site: Annotated[str, typer.Argument(help="A site's id or name.")],
    month: Annotated[str, typer.Option("--month", help="Such as 2026-10; else the last one that is over.")] = "",
    file: File = None,
    state: StateOption = None,
    output: Annotated[str, typer.Option("-o", "--output", help="html, csv, json, or lines for openssl and sha256sum.")] = "html",
) -> None:
    """The printable record of a site and month: every verdict, what was not decided and why, the method, the ledger's head.

    Examples: netwatch line evidence na-tau --month 2026-10 > na-tau-2026-10.html · netwatch line evidence na-tau -o json > na-tau.json

    Exit codes: 0 done · 64 no such month · 66 no such site · 77 no permission
    """
    from netwatch import sheet as sheets
    from netwatch.cli import _records
    from netwatch.web import line as pages

    shape = _records.shape(output, SHEET_SHAPES)
    inventory, path, now = _inventory(file), _ledger_path(state), time.time()
    zone = _zone(inventory)
    slug = _site_id(site, inventory, path)
    last = dt.datetime.fromtimestamp(now, zone).replace(day=1) - dt.timedelta(days=1)
    try:
        asked = sheets.month_of(month or f"{last:%Y-%m}", zone)
    except sheets.BadMonth:
        fail(Exit.USAGE, text("line.bad_month", given=month[:60]))
    with _readable(path):
        found = sheets.sheet_of(path, slug, asked, printed=now, site=inventory.sites.get(slug) if inventory else None)
    if shape == "json":
        _output.print_json(sheets.as_json(found, zone, pages.method_texts(words())))
    else:
        written = {"csv": sheets.as_csv, "lines": sheets.as_lines}.get(shape)
        sys.stdout.write(written(found) if written else pages.alone(found, words(), zone) + "\n")


@app.command()
def verify(
    head: Annotated[str, typer.Option("--head", help="The head that a sheet or a daily trial page tells: number:seal, or the seal.")] = "",
    key: Annotated[str, typer.Option("--key", help="The public key as printed, or a PEM file; else the ledger's own.")] = "",
    again: Annotated[bool, typer.Option("--judge-again", help="Also judge each verdict again, from what it was judged by.")] = False,
    state: StateOption = None,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
) -> None:
    """Whether every record is as it was written: none changed, removed or moved, all signed by the key.

    With --head it also tells when the whole ledger was written anew after that head was printed.

    Examples: netwatch line verify · netwatch line verify --head 412:9f86d081… --key key.pub

    Exit codes: 0 sound · 1 not sound · 64 not a head or a key · 66 no ledger · 77 no permission
    """
    from netwatch import ledger
    from netwatch.cli import _line_list, _records

    shape = _records.shape(output, VERIFY_SHAPES)
    path = _ledger_path(state, warn=False)
    try:
        printed = ledger.head_of(head) if head else None
    except ledger.BadHead:
        fail(Exit.USAGE, text("line.bad_head", given=head[:80]))
    if not path.exists():
        fail(Exit.NO_INPUT, text("line.no_ledger", path=path))
    with _readable(path):
        report = ledger.verify(path, public=_public(key) or ledger.key_in(path.parent) or "", head=printed)
        otherwise = _line_list.judged_otherwise(path) if again else {}
    if shape == "json":
        _print_report(report, otherwise)
    else:
        _say_report(report, given=bool(key))
        for number, (then, now) in otherwise.items():
            print(text("line.judged_otherwise", number=number, then=text(f"line.verdict_{then}"), now=text(f"line.verdict_{now}")))
    if not report.sound or otherwise:
        raise typer.Exit(Exit.FAILED)


def _public(given: str) -> str:
    """A key as printed, or of a PEM file of that name."""
    from netwatch import ledger

    if not given:
        return ""
    try:
        name = Path(given)
        return ledger.public_of(name.read_text("ascii") if name.is_file() else given)
    except (OSError, UnicodeError, ledger.BadKey):
        fail(Exit.USAGE, text("line.bad_key", given=given[:80]))


def _print_report(report: Report, otherwise: Iterable[int]) -> None:
    _output.print_json(
        {
            "schema": "netwatch/v1/line-verify",
            "sound": report.sound,
            "records": report.records,
            "head": str(report.head) if report.head else None,
            "public_key": report.public or None,
            "flaws": [{"number": flaw.number, "code": flaw.code} for flaw in report.flaws],
            "judged_otherwise": list(otherwise),
        }
    )


def _say_report(report: Report, *, given: bool) -> None:
    for flaw in report.flaws[:MOST_FLAWS]:
        print(text(f"line.flaw_{flaw.code}", number=flaw.number))
    if len(report.flaws) > MOST_FLAWS:
        print(text("line.more_flaws", count=len(report.flaws) - MOST_FLAWS))
    if report.sound:
        print(text("line.sound", count=report.records, head=report.head or "–"))
    else:
        print(text("line.not_sound", count=len(report.flaws)))
    print(text("line.checked_against", public=report.public or "–"))
    if not given:
        print(text("line.own_key"))


def _ledger_path(state: Path | None, *, warn: bool = True) -> Path:
    """Whoever reads on is told when the end of the ledger is damaged: what is shown may then be too little."""
    from netwatch import ledger, paths

    path = ledger.path_in(state or paths.state_directory(os.environ))
    if warn and ledger.state_of(path) == "damaged":
        print(f"netwatch: {text('line.refused_damaged', path=path)}", file=sys.stderr)
    return path


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = Exit.NO_PERMISSION if isinstance(error, PermissionError) else Exit.FAILED
        fail(code, text("line.unreadable", path=path, detail=error.strerror or error))


def _inventory(file: Path | None) -> Inventory | None:
    """The one that was named, or that lies here; none is needed, so one that nobody named need not be sound. Its secrets are not used."""
    from netwatch.cli.doctor import default_inventory

    if file is not None:
        return loaded(file, Filled(os.environ))
    place = default_inventory(Path.cwd())
    if not place.exists():
        return None
    from netwatch import inventory

    try:
        return inventory.load(place, environment=Filled(os.environ))
    except inventory.InventoryRefused as refused:
        print(text("line.inventory_left_out", path=place, detail=refused.lines(_output.language())[0]), file=sys.stderr)
    return None


def _zone(inventory: Inventory | None) -> dt.tzinfo:
    from zoneinfo import ZoneInfo

    from netwatch.lang import writing

    return ZoneInfo(inventory.settings.timezone) if inventory else writing.VIETNAM


def _site_id(given: str, inventory: Inventory | None, path: Path) -> str:
    """By id or name, of the inventory or of the ledger. Raises Failed."""
    from netwatch import ledger
    from netwatch.cli._lookup import called, slug_like

    wanted = slug_like(given)
    for site in inventory.sites.values() if inventory else ():
        if called(site, wanted):
            return site.id
    with _readable(path):
        known = bool(wanted) and path.exists() and next(ledger.of_site(path, wanted), None) is not None
    if not known:
        fail(Exit.NO_INPUT, text("line.no_site", site=given[:60]))
    return wanted
