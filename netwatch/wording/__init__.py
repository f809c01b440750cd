"""An incident in words, for somebody woken at three in the morning: where, what, how much, then what to do first. Pure.

Everything comes from the incident itself and its facts, any of which may be missing: a page can always be written.
"""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Mapping
from types import MappingProxyType

from netwatch.lang import LANGUAGES, Catalog, catalog, writing
from netwatch.model import Incident, Page, PageText
from netwatch.wording import _body, _digest, _meeting
from netwatch.wording._sms import LONGEST_SMS, one_segment, plain, without_icon
from netwatch.wording._title import LONGEST_TITLE, title
from netwatch.wording._told import SHARED, Kind, Told

__all__ = ["LONGEST_SMS", "LONGEST_TITLE", "SHARED", "describe", "describe_digest", "headline", "is_morning_digest", "one_segment"]

OWN_WORDS: Mapping[str, str] = MappingProxyType({})


def describe(
    incident: Incident,
    kind: Kind,
    language: str,
    *,
    wall: float,
    zone: dt.tzinfo = writing.VIETNAM,
    page_url: str = "",
    power_hotline: str = "",
    texts: Mapping[str, str] = OWN_WORDS,
) -> PageText:
    """The page about an incident as it is at `wall`. An unknown language is Vietnamese.

    `texts` take the place of the shipped ones of the area `incident`; they must have passed `overrides.fault_of`.
    """
    told = Told(incident, kind, _words(language, texts), wall, zone, page_url.rstrip("/"), power_hotline)
    if _meeting.is_of_a_meeting(incident):
        first = _meeting.title(told)
        return PageText(
            title=first, body="\n".join((first, *_meeting.lines(told), *_read_on(told))), sms=one_segment(first), url=told.page_url
        )
    first = title(told)
    below = [*_body.lines(told), *_read_on(told)]
    return PageText(title=first, body="\n".join((first, *below)), sms=_sms(told, first), url=_url(told))


def headline(incident: Incident, words: Catalog) -> str:
    """What the first page about it is called, without its icon."""
    if _meeting.is_of_a_meeting(incident):
        return without_icon(_meeting.title(Told(incident, "open", words, incident.updated, writing.VIETNAM, "")))
    return without_icon(title(Told(incident, "open", words, incident.updated, writing.VIETNAM, "")))


def is_morning_digest(page: Page) -> bool:
    return bool(page.about) and page.incident.key.startswith(_digest.DIGEST_PREFIX)


def describe_digest(
    page: Page, language: str, *, zone: dt.tzinfo = writing.VIETNAM, page_url: str = "", texts: Mapping[str, str] = OWN_WORDS
) -> PageText:
    """The page about what could wait until the morning."""
    told = Told(page.incident, "open", _words(language, texts), page.wall, zone, page_url.rstrip("/"))
    over = sum(incident.closed is not None for incident in page.about)
    day = writing.clock_or_day(page.incident.opened, page.incident.opened + 86_400.0, told.words, zone)
    first = told.text("digest_title", day=day, open=len(page.about) - over, over=over)[:LONGEST_TITLE]
    sms = one_segment(f"{first}: {_digest.places(told, page.about)}".rstrip(": "))
    return PageText(title=first, body="\n".join((first, *_digest.lines(told, page.about), *_read_on(told))), sms=sms, url=told.page_url)


def _words(language: str, texts: Mapping[str, str]) -> Catalog:
    words = catalog(language if language in LANGUAGES else LANGUAGES[0])
    return words.with_texts({f"incident.{key}": text for key, text in texts.items()}) if texts else words


def _read_on(told: Told) -> tuple[str, ...]:
    return (told.text("read_on", url=_url(told)),) if told.page_url else ()


def _sms(told: Told, first: str) -> str:
    """The title without its icon, the number, then as much of whom to ring and where as one segment holds."""
    said = plain(f"{without_icon(first)} #{told.incident.id}")[:LONGEST_SMS]
    if told.over():
        return said
    for part in (*_body.numbers(told), told.names() if told.incident.cause.type in SHARED else ""):
        longer = f"{said}. {plain(part)}"
        if part and len(longer) <= LONGEST_SMS:
            said = longer
    return said


def _url(told: Told) -> str:
    sites = told.incident.sites
    if not told.page_url or len(sites) != 1 or not sites[0]:
        return told.page_url
    return f"{told.page_url}/sites/{urllib.parse.quote(sites[0], safe='')}"
