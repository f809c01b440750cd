"""What is written, as SQL and rows; pure. Every statement may be run twice: a retry at most counts an attempt twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netwatch.history._codec import human_text, incident_text, page_text, storable
from netwatch.history._hours import HOUR_MS
from netwatch.history._writer import Statement
from netwatch.model import Human, Incident, Page, Transition

__all__ = [
    "alive",
    "first_incident",
    "forget_humans",
    "forget_incidents",
    "forget_pages",
    "forget_transitions",
    "humans",
    "incidents",
    "memories",
    "merged",
    "moved",
    "pages",
    "postponed",
    "refused",
    "rename_sites",
    "sent",
    "site_of",
    "threads",
    "transitions",
    "trim",
    "trim_changes",
    "trim_rows",
    "unpaged",
    "without_overwritten",
    "world",
]

TRIM_HOURS = 2
WORLD = "INSERT OR REPLACE INTO world (number, document) VALUES (1, ?)"


def site_of(check_id: str) -> str:
    """The first part of `site/target/name`."""
    return check_id.partition("/")[0]


def transitions(first_id: int, found: Sequence[Transition]) -> Statement:
    columns = "id, site, check_id, rule, instance, old, new, hard, wall, since, code, detail"
    return (
        f"INSERT OR REPLACE INTO transition ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # columns of this file
        [
            (
                number,
                storable(site_of(change.subject.check)),
                storable(change.subject.check),
                storable(change.subject.rule),
                storable(change.subject.instance),
                change.old.value,
                change.new.value,
                int(change.hard),
                change.wall,
                change.since,
                storable(change.code),
                storable(change.detail),
            )
            for number, change in enumerate(found, first_id)
        ],
    )


def incidents(found: Sequence[Incident]) -> tuple[Statement, Statement]:
    return (
        (
            "INSERT OR REPLACE INTO incident (id, key, opened, closed, document) VALUES (?, ?, ?, ?, ?)",
            [(one.id, storable(one.key), one.opened, one.closed, incident_text(one)) for one in found],
        ),
        (
            "INSERT OR IGNORE INTO incident_site (site, incident) VALUES (?, ?)",
            [(storable(site), one.id) for one in found for site in one.sites],
        ),
    )


def pages(first_id: int, found: Sequence[Page], wall: float) -> Statement:
    return (
        "INSERT OR IGNORE INTO outbox (id, incident, pager, document, created, next_attempt) VALUES (?, ?, ?, ?, ?, ?)",
        [(number, page.incident.id, storable(page.pager), page_text(page), wall, wall) for number, page in enumerate(found, first_id)],
    )


def unpaged(first_id: int, count: int) -> Statement:
    """A commit may be on the disk although it was reported as failed (the write went well, the sync did not)."""
    return "DELETE FROM outbox WHERE id = ?", [(number,) for number in range(first_id, first_id + count)]


def memories(found: Mapping[str, str]) -> tuple[Statement, Statement]:
    """An empty text forgets the check."""
    return (
        (
            "INSERT OR REPLACE INTO memory (check_id, document) VALUES (?, ?)",
            [(storable(check_id), storable(text)) for check_id, text in found.items() if text],
        ),
        ("DELETE FROM memory WHERE check_id = ?", [(storable(check_id),) for check_id, text in found.items() if not text]),
    )


def world(text: str | None) -> tuple[Statement, ...]:
    """None leaves what is stored."""
    return () if text is None else ((WORLD, [(storable(text),)]),)


def without_overwritten(waiting: Iterable[Statement]) -> list[Statement]:
    """What waits for the disk needs the newest state of the world only: it is large, and comes with every commit."""
    told = list(waiting)
    worlds = [place for place, (sql, _) in enumerate(told) if sql == WORLD]
    return [statement for place, statement in enumerate(told) if place not in worlds[:-1]]


def humans(first_id: int, found: Sequence[Human]) -> Statement:
    return (
        "INSERT OR REPLACE INTO human (id, wall, incident, document) VALUES (?, ?, ?, ?)",
        [(number, human.wall, human.incident, human_text(human)) for number, human in enumerate(found, first_id)],
    )


def alive(began: float, wall: float) -> tuple[Statement, Statement]:
    """`began` is the process's first wall time: it names the row of `life`."""
    return (
        ("INSERT OR REPLACE INTO meta (key, value) VALUES ('last_wall', ?)", [(wall,)]),
        ("INSERT OR REPLACE INTO life (began, ended) VALUES (?, ?)", [(began, wall)]),
    )


def first_incident(number: int) -> Statement:
    """Incident numbers of a new or restored file must not repeat those a pager has seen."""
    return "INSERT OR REPLACE INTO meta (key, value) VALUES ('first_incident', ?)", [(number,)]


def rename_sites(former: Mapping[str, str]) -> tuple[Statement, ...]:
    return tuple(statement for old, new in former.items() for statement in _rename_site(old, new))


def _rename_site(old: str, new: str) -> tuple[Statement, ...]:
    """Carries over what is known of a site by its former id. What the new id has of its own already stays as it is.

    Incidents keep their keys and words: pagers know them by those. Only where they are looked for changes.
    """
    first, after = f"{storable(old)}/", f"{storable(old)}0"  # "0" comes after "/"
    prefix = storable(new)
    renamed = "check_id = ?1 || substr(check_id, ?2)"
    of_site = "check_id >= ?3 AND check_id < ?4"
    row = (prefix, len(first), first, after)
    return (
        (f"UPDATE OR IGNORE series SET {renamed} WHERE {of_site}", [row]),  # noqa: S608  # constants
        (f"UPDATE OR IGNORE memory SET {renamed} WHERE {of_site}", [row]),  # noqa: S608  # constants
        (f"UPDATE transition SET site = ?1, {renamed} WHERE site = ?5 AND {of_site}", [(*row, storable(old))]),  # noqa: S608  # constants
        ("UPDATE OR REPLACE incident_site SET site = ? WHERE site = ?", [(prefix, storable(old))]),
    )


def sent(row_id: int, thread: str, wall: float) -> tuple[Statement, ...]:
    ended: Statement = (
        "UPDATE outbox SET ended = ?, ending = 'sent', attempts = attempts + 1, error = '' WHERE id = ? AND ended IS NULL",
        [(wall, row_id)],
    )
    if not thread:
        return (ended,)
    return (
        ended,
        (
            "INSERT OR REPLACE INTO thread (incident, pager, thread) SELECT incident, pager, ? FROM outbox WHERE id = ?",
            [(storable(thread), row_id)],
        ),
    )


def refused(row_id: int, reason: str, wall: float) -> Statement:
    return (
        "UPDATE outbox SET ended = ?, ending = 'refused', attempts = attempts + 1, error = ? WHERE id = ? AND ended IS NULL",
        [(wall, storable(reason), row_id)],
    )


def merged(row_id: int, into: str, wall: float) -> Statement:
    return (
        "UPDATE outbox SET ended = ?, ending = 'sent', error = 'in ' || ? WHERE id = ? AND ended IS NULL",
        [(wall, storable(into), row_id)],
    )


def threads(incident: int, told: Mapping[str, str]) -> Statement:
    return (
        "INSERT OR REPLACE INTO thread (incident, pager, thread) VALUES (?, ?, ?)",
        [(incident, storable(pager), storable(thread)) for pager, thread in told.items()],
    )


def postponed(row_id: int, next_attempt_wall: float, error: str) -> Statement:
    return (
        "UPDATE outbox SET attempts = attempts + 1, next_attempt = ?, error = ? WHERE id = ? AND ended IS NULL",
        [(next_attempt_wall, storable(error), row_id)],
    )


def trim(oldest_allowed: Sequence[tuple[int, int]]) -> Statement:
    """Deletes samples of (series, before this ms), at most two hours of each: a clock that leaps ahead cannot empty the file.

    Whole hours go, so that an hour that is rolled up again is never found in part.
    """
    return (
        "DELETE FROM sample WHERE series = ?1 AND at_ms < min(?2, ((SELECT min(at_ms) FROM sample WHERE series = ?1) / ?3 + ?4) * ?3)",
        [(number, before_ms - before_ms % HOUR_MS, HOUR_MS, TRIM_HOURS) for number, before_ms in oldest_allowed],
    )


def moved(hours: Sequence[tuple[int, int, bytes]]) -> tuple[Statement, Statement]:
    """Samples of (series, hour's beginning in seconds), packed: the row takes the place of the runs."""
    return (
        ("INSERT OR REPLACE INTO sample_hour (series, at, runs) VALUES (?, ?, ?)", hours),
        (
            "DELETE FROM sample WHERE series = ? AND at_ms >= ? AND at_ms < ?",
            [(number, hour * 1000, hour * 1000 + HOUR_MS) for number, hour, _ in hours],
        ),
    )


def trim_rows(table: str, series: Sequence[int], before: float, most_seconds: int) -> Statement:
    """The same for the rows of a table by `at`: a level of roll-ups, hours of samples."""
    return (
        f"DELETE FROM {table} WHERE series = ?1 AND at < min(?2, (SELECT min(at) FROM {table} WHERE series = ?1) + ?3)",  # noqa: S608  # Level.table
        [(number, int(before), most_seconds) for number in series],
    )


def trim_changes(series: Sequence[int], before: float) -> Statement:
    """The newest stays, however old: it still holds."""
    return (
        "DELETE FROM change WHERE series = ?1 AND at_ms < ?2 AND at_ms < (SELECT max(at_ms) FROM change WHERE series = ?1)",
        [(number, round(before * 1000)) for number in series],
    )


def forget_transitions(before: float, most: int) -> tuple[Statement, ...]:
    """The newest of each subject stays, however old: what is believed since then still holds."""
    newer = "SELECT 1 FROM transition AS newer WHERE newer.check_id = old.check_id AND newer.wall >= old.wall AND newer.id > old.id"
    oldest = (
        f"SELECT id FROM transition AS old WHERE wall < ?1 AND EXISTS ({newer}"  # noqa: S608  # constants
        " AND newer.rule = old.rule AND newer.instance = old.instance) ORDER BY wall LIMIT ?2"
    )
    return ((f"DELETE FROM transition WHERE id IN ({oldest})", [(before, most)]),)  # noqa: S608  # constants


def forget_incidents(before: float, most: int) -> tuple[Statement, ...]:
    """Closed ones. The newest stays: numbering goes on from it."""
    oldest = (
        "SELECT id FROM incident WHERE closed < ?1 AND id < (SELECT max(id) FROM incident)"
        " AND id NOT IN (SELECT incident FROM outbox WHERE ended IS NULL) ORDER BY closed LIMIT ?2"
    )
    row = (before, most)
    return (
        (f"DELETE FROM incident_site WHERE incident IN ({oldest})", [row]),  # noqa: S608  # constants
        (f"DELETE FROM thread WHERE incident IN ({oldest})", [row]),  # noqa: S608  # constants
        (f"DELETE FROM incident WHERE id IN ({oldest})", [row]),  # noqa: S608  # constants
    )


def forget_pages(before: float, most: int) -> tuple[Statement, ...]:
    """Ended rows. The newest stays: numbering goes on from it."""
    oldest = "SELECT id FROM outbox WHERE ended < ?1 AND id < (SELECT max(id) FROM outbox) ORDER BY id LIMIT ?2"
    return ((f"DELETE FROM outbox WHERE id IN ({oldest})", [(before, most)]),)  # noqa: S608  # constants


def forget_humans(before: float, most: int) -> tuple[Statement, ...]:
    """The newest stays: numbering goes on from it."""
    oldest = "SELECT id FROM human WHERE wall < ?1 AND id < (SELECT max(id) FROM human) ORDER BY wall LIMIT ?2"
    return ((f"DELETE FROM human WHERE id IN ({oldest})", [(before, most)]),)  # noqa: S608  # constants
