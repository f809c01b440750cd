"""`netwatch conference add` and `import`: meetings written into a file of the inventory, which a reload puts in force."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli._common import loaded
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netwatch.model import Inventory

__all__ = ["add", "import_"]

FILE = "meetings.yaml"
HEAD = "# Written by netwatch conference add and import; a line may be changed or taken out by hand.\n"
MOMENT = "%Y-%m-%d %H:%M"
LONGEST_NAME = 80
USUAL_DAYS = 60

InventoryFile = Annotated[
    Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory: a file, or a folder of files.")
]
Match = Annotated[str, typer.Option("--match", help="Which places: district=tuan-giao, site=na-tau …; else every commune.")]
Rate = Annotated[str, typer.Option("--rate", help="What one caller takes each way: '4 Mbps'.")]


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the meeting is called.")],
    begins: Annotated[str, typer.Option("--from", help="When: '2026-11-25 07:30', 'mai 07:30', '07:30'.")],
    until: Annotated[str, typer.Option("--until", help="The end, or how long: '10:30', '3h'.")],
    match: Match = "",
    rate: Rate = "",
    inventory: InventoryFile = Path("inventory.yaml"),
) -> None:
    """Plans a meeting. `netwatch reload` puts it in force.

    Examples: netwatch conference add 'Họp chuyên đề' --from 'mai 14:00' --until 2h --match district=tuan-giao

    Exit codes: 0 done · 64 wrong use · 66 no such inventory · 73 cannot be written · 78 the inventory is not sound
    """
    known = loaded(inventory)
    starts = _moment(begins, dt.datetime.now(_zone(known)))
    ends = _moment(until, starts)
    if ends <= starts:
        fail(Exit.USAGE, text("conference.bad_order", begins=f"{starts:{MOMENT}}", until=f"{ends:{MOMENT}}"))
    entry = _entry(name, starts, ends, match, rate)
    file = _file_of(inventory)
    if not _append(inventory, file, [entry]):
        fail(Exit.USAGE, text("conference.known_name", name=name, file=file))
    print(text("conference.add_written", name=name, file=file))


def import_(
    calendar: Annotated[Path, typer.Argument(metavar="FILE.ics", help="A calendar (RFC 5545).")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How far ahead.")] = USUAL_DAYS,
    match: Match = "",
    rate: Rate = "",
    inventory: InventoryFile = Path("inventory.yaml"),
) -> None:
    """Takes the meetings of the next days out of a calendar; those that are known are left as they are.

    Examples: netwatch conference import lich-hop.ics · netwatch conference import lich-hop.ics --days 14 --match district=tuan-giao

    Exit codes: 0 done · 64 wrong use · 65 no calendar · 66 no such file · 69 the extra `calendar` is not installed · 73 cannot be written
    """
    from netwatch.calendars import BadCalendar, held_in

    known = loaded(inventory)
    now = dt.datetime.now(_zone(known))
    try:
        found = held_in(calendar, now, now + dt.timedelta(days=days), _zone(known))
    except BadCalendar as error:
        fail(Exit.BAD_DATA, text("conference.bad_calendar", file=calendar, why=error))
    except ImportError:
        fail(Exit.UNAVAILABLE, text("conference.no_extra"))
    except OSError as error:
        fail(Exit.NO_INPUT, text("conference.cannot_write", file=calendar, why=error.strerror))
    file = _file_of(inventory)
    count = _append(inventory, file, [_entry(one.name, one.begins, one.until, match, rate) for one in found])
    if not count:
        print(text("conference.import_none", file=calendar, days=days))
        return
    print(text("conference.import_written", count=count, file=file))


def _zone(inventory: Inventory) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(inventory.settings.timezone)


def _moment(written: str, now: dt.datetime) -> dt.datetime:
    from netwatch.cli._until import NoMoment, until

    try:
        return dt.datetime.fromtimestamp(until(written, now), now.tzinfo)
    except NoMoment:
        fail(Exit.USAGE, text("conference.bad_moment", text=written[:40]))


def _entry(name: str, begins: dt.datetime, until: dt.datetime, match: str, rate: str) -> dict[str, str]:
    if not name.isprintable() or not 0 < len(name.strip()) <= LONGEST_NAME:
        fail(Exit.USAGE, text("conference.bad_name"))
    more = {key: value for key, value in (("match", match), ("rate", rate)) if value}
    return {"name": name.strip(), "from": f"{begins:{MOMENT}}", "until": f"{until:{MOMENT}}", **more}


def _file_of(inventory: Path) -> Path:
    folder = inventory if inventory.is_dir() else inventory.with_suffix(".d")
    return folder / FILE


def _append(inventory: Path, file: Path, entries: Sequence[dict[str, str]]) -> int:
    """How many were new. What is written has been read as part of the whole inventory first: a wrong match or rate changes nothing."""
    import yaml

    from netwatch.whole_file import write_whole

    try:
        before = file.read_text("utf-8") if file.exists() else ""
        known = (yaml.safe_load(before) or {}).get("meetings", [])
        new = [one for one in entries if not any(_same(one, other) for other in known)]
        if not new:
            return 0
        file.parent.mkdir(exist_ok=True)
        body = yaml.safe_dump({"version": 1, "meetings": [*known, *new]}, allow_unicode=True, sort_keys=False)
        write_whole(file, f"{HEAD}{body}".encode())
    except (OSError, yaml.YAMLError, AttributeError) as error:
        fail(Exit.CANNOT_CREATE, text("conference.cannot_write", file=file, why=error))
    try:
        loaded(inventory)
    except BaseException:
        write_whole(file, before.encode()) if before else file.unlink()
        raise
    return len(new)


def _same(one: dict[str, str], other: Any) -> bool:
    return isinstance(other, dict) and (one["name"], one["from"]) == (other.get("name"), other.get("from"))
