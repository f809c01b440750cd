"""What is written, as SQL and rows; pure. Every statement may be run twice: a retry at most counts an attempt twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwatch.history._codec import incident_text, page_text, storable
from netwatch.history._writer import Statement
from netwatch.model import Incident, Page, Transition

__all__ = ["alive", "incidents", "memories", "pages", "postponed", "refused", "sent", "site_of", "transitions", "trim", "unpaged"]

TRIM_STEP_MS = 2 * 3_600_000


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


def alive(wall: float) -> Statement:
    return "INSERT OR REPLACE INTO meta (key, value) VALUES ('last_wall', ?)", [(wall,)]


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


def postponed(row_id: int, next_attempt_wall: float, error: str) -> Statement:
    return (
        "UPDATE outbox SET attempts = attempts + 1, next_attempt = ?, error = ? WHERE id = ? AND ended IS NULL",
        [(next_attempt_wall, storable(error), row_id)],
    )


def trim(series: Sequence[int], before_ms: int) -> Statement:
    """Deletes the oldest samples of these series, at most two hours of each: a clock that leaps ahead cannot empty the file."""
    return (
        "DELETE FROM sample WHERE series = ?1 AND at_ms < min(?2, (SELECT min(at_ms) FROM sample WHERE series = ?1) + ?3)",
        [(number, before_ms, TRIM_STEP_MS) for number in series],
    )
