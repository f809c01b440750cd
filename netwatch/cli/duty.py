"""`netwatch duty`: who is on duty, by the roster of the inventory; no daemon is asked."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli._common import Format, loaded
from netwatch.cli._output import Exit, Failed, fail, text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from netwatch._duties import Roster
    from netwatch.model import Inventory

__all__ = ["app"]

DAY_SECONDS = 86_400.0
MOST_DAYS = 400

File = Annotated[Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory file.")]
At = Annotated[str, typer.Option("--at", help="A local time, '2026-12-01 22:00' or a day; else now.")]
Site = Annotated[str, typer.Option("--site", help="Who would be told of this site: its id.")]
Days = Annotated[int, typer.Option("--days", min=1, max=MOST_DAYS, help="How many days from then.")]

app = typer.Typer(
    no_args_is_help=True,
    help="The duty roster: who is on duty, who would be told, and where the roster has holes.\n\n"
    "Exit codes: 0 done · 1 gaps or overlaps · 64 no such time or site · 66 no inventory, or none with a roster · 78 it is not sound",
)


@app.command()
def who(at: At = "", site: Site = "", file: File = Path("inventory.yaml"), output: Format = "table") -> None:
    """Who is on duty, and with --site who is told of trouble there, step by step.

    Examples: netwatch duty who · netwatch duty who --at '2026-12-01 22:00' --site na-tau

    Exit codes: 0 done · 64 no such time or site · 66 no inventory, or none with a roster · 78 it is not sound
    """
    from netwatch.cli import _records

    shape = _records.shape(output)
    inventory, roster, zone = _loaded(file)
    wall = _moment(at, zone)
    records = _of_site(inventory, roster, site, wall) if site else _of_shifts(roster, wall, zone, shape)
    if not records and shape == "table":
        print(text("duty.nobody"))
        return
    columns = ("step", "name", "phone", "pagers") if site else ("shift", "name", "phone", "backup", "wakes")
    headings = {key: text(f"duty.{key}") for key in columns} if shape == "table" else {key: key for key in columns}
    more = {"always": list(roster.always), "escalates": "critical"} if site else {}
    _records.print_records(shape, "netwatch/v1/duty-who", records, headings, at=dt.datetime.fromtimestamp(wall, zone).isoformat(), **more)
    if site and shape == "table":
        print(text("duty.escalates"))
        if roster.always:
            print(text("duty.always", pagers=", ".join(roster.always)))


@app.command()
def calendar(days: Days = 14, at: At = "", file: File = Path("inventory.yaml"), output: Format = "table") -> None:
    """Who is on duty from when to when.

    Examples: netwatch duty calendar · netwatch duty calendar --at 2027-02-01 --days 14 -o csv

    Exit codes: 0 done · 64 no such time · 66 no inventory, or none with a roster · 78 it is not sound
    """
    from netwatch import roster as rosters
    from netwatch.cli import _records

    shape = _records.shape(output)
    _inventory, roster, zone = _loaded(file)
    wall = _moment(at, zone)
    names = {person.id: person.name for person in roster.people}
    records = [
        {
            "from": _local(span.begins, zone, shape),
            "until": _local(span.ends, zone, shape),
            "shift": ", ".join(turn.shift for turn in span.turns),
            "people": ", ".join(names.get(one, one) for one in span.people) or text("duty.nobody_short"),
            "backup": ", ".join(names.get(one, one) for turn in span.turns for one in turn.backup),
        }
        for span in rosters.spans(roster, wall, wall + days * DAY_SECONDS, zone)
    ]
    columns = ("from", "until", "shift", "people", "backup")
    headings = {key: text(f"duty.{key}") for key in columns} if shape == "table" else {key: key for key in columns}
    _records.print_records(shape, "netwatch/v1/duty-calendar", records, headings)


@app.command()
def check(days: Days = 60, at: At = "", file: File = Path("inventory.yaml"), output: Format = "table") -> None:
    """Times when nobody is on duty, and shifts that overlap.

    Examples: netwatch duty check · netwatch duty check --days 365 -o json

    Exit codes: 0 neither · 1 gaps or overlaps · 64 no such time · 66 no inventory, or none with a roster · 78 it is not sound
    """
    from netwatch import roster as rosters
    from netwatch.cli import _records

    shape = _records.shape(output)
    _inventory, roster, zone = _loaded(file)
    wall = _moment(at, zone)
    problems = rosters.check(roster, wall, wall + days * DAY_SECONDS, zone)
    records = [
        {
            "kind": problem.kind,
            "from": _local(problem.begins, zone, shape),
            "until": _local(problem.ends, zone, shape),
            "shifts": ", ".join(problem.shifts),
        }
        for problem in problems
    ]
    if shape == "table":
        for record in records:
            print(text(f"duty.{record['kind']}", begins=record["from"], ends=record["until"], shifts=record["shifts"]))
        print(text("duty.problems", count=len(records), days=days) if records else text("duty.sound", days=days))
    else:
        columns = ("kind", "from", "until", "shifts")
        _records.print_records(shape, "netwatch/v1/duty-check", records, {key: key for key in columns})
    if records:
        raise typer.Exit(Exit.FAILED)


def _loaded(file: Path) -> tuple[Inventory, Roster, ZoneInfo]:
    from zoneinfo import ZoneInfo

    found = loaded(file)
    if found.duty is None:
        fail(Exit.NO_INPUT, text("duty.none", file=str(file)))
    return found, found.duty, ZoneInfo(found.settings.timezone)


def _moment(given: str, zone: ZoneInfo) -> float:
    if not given:
        return time.time()
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            found = dt.datetime.strptime(given, form).replace(tzinfo=zone)
        except ValueError:
            continue
        if 2000 <= found.year <= 2100:
            return found.timestamp()
    raise Failed(Exit.USAGE, text("duty.bad_time", given=given[:60]))


def _local(wall: float, zone: ZoneInfo, shape: str) -> str:
    moment = dt.datetime.fromtimestamp(wall, zone)
    if shape != "table":
        return moment.isoformat(timespec="seconds")
    return f"{text(f'duty.weekday_{moment.weekday()}')} {moment:%Y-%m-%d %H:%M}"


def _of_shifts(roster: Roster, wall: float, zone: ZoneInfo, shape: str) -> list[dict[str, Any]]:
    from netwatch import roster as rosters

    people = {person.id: person for person in roster.people}
    return [
        {
            "shift": turn.shift,
            "person": one,
            "name": people[one].name,
            "phone": people[one].phone,
            "pagers": list(people[one].pagers),
            "backup": ", ".join(people[other].name for other in turn.backup),
            "wakes": text(f"duty.wakes_{turn.wakes}") if shape == "table" else turn.wakes,
        }
        for turn in rosters.turns(roster, wall, zone)
        for one in turn.people
    ]


def _of_site(inventory: Inventory, roster: Roster, site: str, wall: float) -> list[dict[str, Any]]:
    from netwatch import route

    if site not in inventory.sites:
        fail(Exit.USAGE, text("duty.no_site", site=site[:60]))
    people = {person.id: person for person in roster.people}
    told: list[str] = []
    records = []
    for step, after in enumerate((0.0, *route.repeat_seconds(inventory))):
        named = route.names_for(inventory, (site,), "", wall + after, step)
        for name in _fresh(named, told):
            person = people.get(name)
            pagers = person.pagers if person else (name,)
            records.append(
                {
                    "step": text("duty.at_once") if not step else text("duty.after", minutes=round(after / 60)),
                    "person": name,
                    "name": person.name if person else name,
                    "phone": person.phone if person else "",
                    "pagers": ", ".join(pagers),
                }
            )
    return records


def _fresh(names: Iterable[str], told: list[str]) -> list[str]:
    found = [name for name in names if name not in told]
    told += found
    return found
