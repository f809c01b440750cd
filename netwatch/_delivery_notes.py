"""Pages that are no incident: many at once, the daily trial of a pager, the time in which nothing was watched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from netwatch.lang import LANGUAGES, Catalog, catalog, writing
from netwatch.model import Cause, Incident, Page, PageText
from netwatch.wording import LONGEST_TITLE, one_segment

__all__ = ["blind_text", "digest_page", "digest_text", "note", "trial_text"]

MOST_LINES = 20
SEVERITIES = ("critical", "warning", "info")


def note(name: str, pager: str, wall: float) -> Page:
    """Something to read that opens nothing: an incident that is over as it begins, so that nobody is woken."""
    incident = Incident(
        id=0,
        key=f"netwatch/note/{name}",
        cause=Cause("netwatch", name),
        sites=(),
        severity="info",
        audience="digest",
        opened=wall,
        updated=wall,
        closed=wall,
        close_reason="recovered",
        sequence=int(wall),
    )
    return Page(incident=incident, kind="recover", wall=wall, pager=pager)


def digest_page(pages: Sequence[Page], pager: str) -> Page:
    """One page for many; made of the same pages it has the same id."""
    incidents = tuple(page.incident for page in pages)
    worst = min((incident.severity for incident in incidents), key=SEVERITIES.index)
    over = all(page.kind == "recover" for page in pages)
    opened = min(incident.opened for incident in incidents)
    wall = max(page.wall for page in pages)
    incident = Incident(
        id=max(incident.id for incident in incidents),
        key="netwatch/digest",
        cause=Cause("netwatch", "digest"),
        sites=tuple(dict.fromkeys(site for one in incidents for site in one.sites)),
        severity=worst,
        opened=opened,
        updated=wall,
        closed=wall if over else None,
        close_reason="recovered" if over else "",
        sequence=sum(one.sequence for one in incidents),
    )
    return Page(incident=incident, kind="recover" if over else "open", wall=wall, pager=pager, about=incidents)


def digest_text(page: Page, language: str, describe: Callable[[Incident], PageText], page_url: str) -> PageText:
    """The most urgent by their titles, the rest counted."""
    words = _words(language)
    urgent = sorted(page.about, key=lambda one: (one.closed is not None, SEVERITIES.index(one.severity), one.opened, one.id))
    over = sum(incident.closed is not None for incident in urgent)
    title = words.text("delivery.digest", count=len(urgent), open=len(urgent) - over, over=over)
    lines = [describe(incident).title for incident in urgent[:MOST_LINES]]
    if len(urgent) > MOST_LINES:
        lines.append(words.text("delivery.and_more", count=len(urgent) - MOST_LINES))
    if page_url:
        lines.append(words.text("incident.read_on", url=page_url))
    names = ", ".join(dict.fromkeys(incident.facts.get("site_name") or incident.cause.name for incident in urgent))
    return PageText(title=title[:LONGEST_TITLE], body="\n".join((title, *lines)), sms=one_segment(f"{title}: {names}"), url=page_url)


def trial_text(name: str, asked: bool, language: str, wall: float, zone: dt.tzinfo, evidence_head: str = "") -> PageText:
    """`asked`: somebody wanted to try it, or else it is the daily trial. It also carries the head of the ledger out of our reach."""
    words = _words(language)
    title = words.text("delivery.trial_asked" if asked else "delivery.trial", name=writing.clean(name, 20))
    body = words.text("delivery.trial_body", name=writing.clean(name, 40), at=writing.stamp(wall, words, zone))
    if evidence_head:
        body = f"{body}\n{words.text('line.canary', head=evidence_head)}"
    return PageText(title=title[:LONGEST_TITLE], body=f"{title}\n{body}", sms=one_segment(title))


def blind_text(since: float, until: float, language: str, zone: dt.tzinfo) -> PageText:
    words = _words(language)
    span = {"since": writing.clock(since, until, words, zone), "until": writing.clock(until, until, words, zone)}
    title = words.text("delivery.blind", **span)
    body = words.text("delivery.blind_body", age=writing.age(until - since, words))
    return PageText(title=title[:LONGEST_TITLE], body=f"{title}\n{body}", sms=one_segment(title))


def _words(language: str) -> Catalog:
    return catalog(language if language in LANGUAGES else LANGUAGES[0])
