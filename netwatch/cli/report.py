"""`netwatch report`: what is handed in, from the history file; no daemon is asked."""

from __future__ import annotations

import datetime as dt
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output
from netwatch.cli._common import Format, loaded
from netwatch.cli._output import Exit, fail, text, words
from netwatch.cli.db import StateOption, clear_endings, database_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netwatch.model import Inventory, Site
    from netwatch.sla import Account, Excluded, Reach

__all__ = ["app"]

MOST = 1_000_000
LONGEST_WINDOW_SECONDS = 366 * 86_400.0  # of work that somebody asked for, and how long before
COLUMNS = (
    "site", "name", "line", "availability", "up_seconds", "down_seconds", "maintenance_seconds", "isolated_seconds", "unwatched_seconds",
)  # fmt: skip
SHOWN = ("site", "availability", "down_seconds", "maintenance_seconds", "isolated_seconds", "unwatched_seconds")

app = typer.Typer(
    no_args_is_help=True,
    help="Reports from the history: availability by site and line.\n\n"
    "Exit codes: 0 done · 64 no such month or site · 66 no inventory or history · 77 no permission · 78 the inventory is not sound",
)


@app.callback()
def group() -> None:
    """Keeps `sla` a command of its own: there will be more."""


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a year. `until` is now while it is not over."""

    name: str
    reach: Reach
    complete: bool


@app.command()
def sla(
    month: Annotated[str, typer.Option("--month", help="Such as 2026-10; else the last one that is over.")] = "",
    year: Annotated[str, typer.Option("--year", help="Such as 2026, instead of a month.")] = "",
    site: Annotated[str, typer.Option("--site", help="Only this site: its id.")] = "",
    file: Annotated[
        Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory: its sites, lines and planned work.")
    ] = Path("inventory.yaml"),
    state: StateOption = None,
    output: Format = "table",
) -> None:
    """How long each site and line was up and down; maintenance and the time we could not see are left out, and listed.

    Examples: netwatch report sla --month 2026-10 · netwatch report sla --month 2026-10 -o csv > sla.csv · netwatch report sla --year 2026

    Exit codes: 0 done · 64 no such month or site · 66 no inventory or history · 77 no permission · 78 the inventory is not sound
    """
    from zoneinfo import ZoneInfo

    from netwatch.cli import _records

    shape = _records.shape(output)
    inventory = loaded(file)
    if site and site not in inventory.sites:
        fail(Exit.USAGE, text("duty.no_site", site=site))
    sites = {site: inventory.sites[site]} if site else _communes_first(inventory)
    period = _period(month, year, ZoneInfo(inventory.settings.timezone), time.time())
    excluded, accounts = _asked(database_path(state), inventory, sites, period.reach)
    records = [_record(sites[slug], line, found) for (slug, line), found in accounts.items()]
    if shape == "table":
        _say(inventory, sites, period, records, excluded)
        return
    more = _more(inventory, sites, period, excluded) if shape == "json" else {}
    _records.print_records(shape, "netwatch/v1/report-sla", records, {key: key for key in COLUMNS}, **more)


def _more(inventory: Inventory, sites: Mapping[str, Site], period: Period, excluded: Sequence[Excluded]) -> dict[str, Any]:
    """What a document says besides its figures."""
    zone = period.reach.zone
    return {
        "period": period.name,
        "since": _written(period.reach.since, zone),
        "until": _written(period.reach.until, zone),
        "complete": period.complete,
        "method": _method(inventory),
        "excluded": [_excluded(one, zone, sites) for one in excluded],
    }


def _communes_first(inventory: Inventory) -> dict[str, Site]:
    return dict(sorted(inventory.sites.items(), key=lambda one: one[1].kind != "commune"))


def _period(month: str, year: str, zone: dt.tzinfo, now: float) -> Period:
    """By local days. Raises Failed."""
    from netwatch.sla import Reach

    today = dt.datetime.fromtimestamp(now, zone)
    last = today.replace(day=1) - dt.timedelta(days=1)
    given = month or year or f"{last:%Y-%m}"
    if (month and year) or not re.fullmatch(r"[0-9]{4}" if year else r"[0-9]{4}-(0[1-9]|1[0-2])", given, re.ASCII):
        fail(Exit.USAGE, text("report.bad_period", given=f"{month} {year}".strip()))
    number, which = int(given[:4]), int(given[5:] or 1)
    months = 12 if year else 1
    ends = (number + (which - 1 + months) // 12, (which - 1 + months) % 12 + 1)
    try:
        since, until = (dt.datetime(*one, 1, tzinfo=zone).timestamp() for one in ((number, which), ends))
    except (ValueError, OverflowError):
        fail(Exit.USAGE, text("report.bad_period", given=given))
    if since >= now:
        fail(Exit.USAGE, text("report.to_come", given=given))
    return Period(given, Reach(since, min(until, now), zone), complete=until <= now)


def _asked(
    path: Path, inventory: Inventory, sites: Mapping[str, Site], reach: Reach
) -> tuple[Sequence[Excluded], Mapping[tuple[str, str], Account]]:
    """What does not count, and the account of each site ("") and line."""
    import asyncio

    from netwatch import sla as accounts
    from netwatch.core import UPLINK_KEY
    from netwatch.history import HistoryFailed, beside

    async def answers() -> tuple[Sequence[Excluded], Mapping[tuple[str, str], Account]]:
        async with beside(path) as history:
            acts = await history.humans(since_wall=reach.since - 2 * LONGEST_WINDOW_SECONDS, limit=MOST)
            incidents = await history.incidents(since_wall=reach.since, key=UPLINK_KEY, limit=MOST)
            excluded = accounts.exclusions(acts, incidents, inventory.maintenance, reach)
            blind = accounts.isolated_spans(excluded)
            checks = {f"{slug}/{line}": (slug, line, known) for (slug, line), known in _checks(inventory, sites).items()}
            works = {key: accounts.work_spans(sites[slug], excluded, line) for key, (slug, line, _) in checks.items()}
            asked = {key: known for key, (_, _, known) in checks.items()}
            spans = {key: [*blind, *found] for key, found in works.items()}
            counted = await history.availability(asked, reach.since, reach.until, excluded=spans)
        return excluded, {
            (slug, line): accounts.account(counted[key], works[key], blind, reach.since, reach.until)
            for key, (slug, line, _) in checks.items()
        }

    with clear_endings():
        try:
            return asyncio.run(answers())
        except HistoryFailed as failure:
            fail(Exit.FAILED, text("report.history_failed", detail=failure))


def _checks(inventory: Inventory, sites: Mapping[str, Site]) -> dict[tuple[str, str], list[str]]:
    """The checks that say whether a site, and each of its lines, is up."""
    found: dict[tuple[str, str], list[str]] = {}
    for slug, site in sites.items():
        of_lines = {line: check for line in site.lines if (check := inventory.primary_check(slug, line)) is not None}
        found[slug, ""] = list(of_lines.values())
        found |= {(slug, line): [check] for line, check in of_lines.items()}
    return found


def _record(site: Site, line: str, found: Account) -> dict[str, Any]:
    """The site itself is the line ""."""
    seconds = {f"{name}_seconds": round(getattr(found, name), 3) for name in ("up", "down", "maintenance", "isolated", "unwatched")}
    ratio = found.ratio
    return {
        "site": site.id,
        "name": site.name,
        "kind": site.kind,
        "line": line,
        "availability": None if ratio is None else round(ratio, 9),
        **seconds,
    }


def _say(inventory: Inventory, sites: Mapping[str, Site], period: Period, records: Sequence[Any], excluded: Sequence[Excluded]) -> None:
    from netwatch.lang import writing

    zone = period.reach.zone

    def when(wall: float) -> str:
        return writing.stamp(wall, words(), zone)

    print(text("report.sla_title", period=period.name, since=when(period.reach.since), until=when(period.reach.until)))
    if not period.complete:
        print(text("report.not_over"))
    communes = [one for one in records if one["kind"] == "commune" and not one["line"]]
    up, down = (sum(one[key] for one in communes) for key in ("up_seconds", "down_seconds"))
    if len(communes) > 1:
        print(text("report.sla_all", count=len(communes), ratio=_percent(up / (up + down) if up + down else None)))
    print()
    _output.print_table([text(f"report.{key}") for key in SHOWN], _rows(records, sites))
    print()
    print(text("report.excluded" if excluded else "report.nothing_excluded"))
    for one in excluded:
        span = {"since": when(one.since), "until": when(one.until), "lasted": writing.age(one.until - one.since, words())}
        what = text("report.work", matcher=one.matcher) if one.matcher else text("report.isolated")
        who = one.who or (text("report.planned") if one.matcher else "")
        print("  " + " · ".join(filter(None, (text("report.span", **span), what, who, writing.clean(one.note)))))
    print()
    print(_method(inventory))


def _rows(records: Sequence[Mapping[str, Any]], sites: Mapping[str, Site]) -> Iterator[tuple[str, ...]]:
    """A line of its own only where a site has several."""
    from netwatch.lang import writing

    for one in records:
        site = sites[one["site"]]
        if one["line"] and len(site.lines) < 2:
            continue
        name = site.name if not one["line"] else f"  {one['line']} {site.lines[one['line']].carrier}".rstrip()
        spans = (writing.age(one[key], words()) if one[key] >= 1 else "–" for key in SHOWN[2:])
        yield (name, _percent(one["availability"]), *spans)


def _percent(ratio: float | None) -> str:
    """Three decimals, cut: what is not whole is never shown as 100."""
    from netwatch.lang import writing

    return "–" if ratio is None else f"{writing.number(int(ratio * 100_000 + 1e-6) / 1_000, 3, words())}%"


def _method(inventory: Inventory) -> str:
    """How it was worked out, as this inventory asks its lines."""
    from netwatch.lang import writing

    known = [inventory.primary_check(slug, line) for slug, site in inventory.sites.items() for line in site.lines]
    checks = [inventory.checks[check] for check in known if check is not None]
    asked = {name: sorted({getattr(check, name) for check in checks}) for name in ("interval_seconds", "hard_after_seconds")}
    told = {name: "–".join(writing.seconds(one, words()) for one in dict.fromkeys(found[:1] + found[-1:])) for name, found in asked.items()}
    return text("report.method", interval=told["interval_seconds"], hard=told["hard_after_seconds"])


def _excluded(one: Excluded, zone: dt.tzinfo, sites: Mapping[str, Site]) -> dict[str, Any]:
    from netwatch.matcher import parse

    concerned = [site.id for site in sites.values() if parse(one.matcher).covers(site)] if one.matcher else []
    return {
        "kind": "maintenance" if one.matcher else "isolated",
        "since": _written(one.since, zone),
        "until": _written(one.until, zone),
        "matcher": one.matcher,
        "sites": concerned if one.matcher else list(sites),
        "who": one.who,
        "note": one.note,
    }


def _written(wall: float, zone: dt.tzinfo) -> str:
    from netwatch.lang import writing

    return writing.rfc3339(wall, zone)
