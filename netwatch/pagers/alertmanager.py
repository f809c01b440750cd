"""Alertmanager, API v2: told the whole truth every minute, because it forgets at a restart.

What identifies an alert there is its full label set, so nothing that changes (a count, a time, a value) is a label.
An open incident ends five minutes from now: if netwatch dies, Alertmanager takes it for resolved, which a dead-man rule must catch.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import aiohttp
import pydantic

from netwatch.model import Incident, PageText
from netwatch.pagers import Busy, StatePager, Url
from netwatch.pagers._http import post

__all__ = ["Alertmanager", "alerts", "labels"]

log = logging.getLogger(__name__)

OPEN_SECONDS = 300.0  # four times the resend interval, as Prometheus does it, and room for a slow post: never under four minutes
LARGEST_BATCH = 256
BAD_ALERT = frozenset({400, 422})  # 400: a label it does not like, the rest is stored; 422: a field it cannot read, nothing is
LONGEST_ANNOTATION = 4_096
NAMES = {
    "site": "NetwatchSiteDown",
    "line": "NetwatchLineDown",
    "device": "NetwatchDeviceDown",
    "check": "NetwatchCheckFailed",
    "uplink": "NetwatchBlind",
    "netwatch": "NetwatchTrouble",
}
SHARED_CAUSE_NAME = "NetwatchSharedCause"

Alert: TypeAlias = dict[str, Any]
Labels: TypeAlias = dict[str, str]


def _at_least_one(value: object) -> tuple[object, ...]:
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not given:
        raise ValueError("at least one address is needed")
    return given


@dataclass(kw_only=True, eq=False)
class Alertmanager(StatePager):
    """`urls` are all members of the cluster (never one address in front of them): each is told by itself."""

    urls: Annotated[tuple[Url, ...], pydantic.BeforeValidator(_at_least_one)]
    _told: dict[int, Labels] = field(init=False, repr=False, default_factory=dict)

    def destinations(self) -> tuple[StatePager, ...]:
        return tuple(Alertmanager(urls=(url,)) for url in self.urls)

    async def sync(
        self,
        open_incidents: Sequence[tuple[Incident, PageText]],
        closed: Sequence[tuple[Incident, PageText]],
        http: aiohttp.ClientSession,
        wall: float,
    ) -> None:
        written = alerts(open_incidents, closed, self._told, wall)
        for start in range(0, len(written), LARGEST_BATCH):
            await self._post(written[start : start + LARGEST_BATCH], http)
        self._told = {incident.id: labels(incident) for incident, _ in open_incidents}

    async def _post(self, batch: Sequence[Alert], http: aiohttp.ClientSession) -> None:
        """Sends a batch; one that is refused is halved until the bad alert is found, so that the others get through."""
        (receiver,) = self.urls  # one of destinations()
        url = receiver.reveal().rstrip("/") + "/api/v2/alerts"
        answer = await post(http, url, json.dumps(batch).encode(), read=False)
        if answer.accepted:
            return
        if answer.status not in BAD_ALERT:  # 5xx, a proxy's 4xx, a redirect
            raise Busy(f"HTTP {answer.status}", answer.retry_after_seconds)
        if len(batch) == 1:
            log.error("Alertmanager refuses an alert", extra={"alert": batch[0]["labels"]})
            return
        middle = len(batch) // 2
        await self._post(batch[:middle], http)
        await self._post(batch[middle:], http)


def alerts(
    open_incidents: Sequence[tuple[Incident, PageText]],
    closed: Sequence[tuple[Incident, PageText]],
    told: Mapping[int, Labels],
    wall: float,
) -> list[Alert]:
    """What to post. `told` are the labels each open incident had the last time: when they change, the old alert is ended.

    Of several with the same labels (one cause, closed and open again) only the newest is posted: it is one alert there.
    """
    chosen: dict[tuple[tuple[str, str], ...], Alert] = {}
    for named, alert in _newest_first(open_incidents, closed, told, wall):
        chosen.setdefault(tuple(sorted(named.items())), alert)
    return list(chosen.values())


def _newest_first(
    open_incidents: Sequence[tuple[Incident, PageText]],
    closed: Sequence[tuple[Incident, PageText]],
    told: Mapping[int, Labels],
    wall: float,
) -> Iterator[tuple[Labels, Alert]]:
    for incident, text in open_incidents:
        yield labels(incident), _alert(incident, labels(incident), text, wall + OPEN_SECONDS)
    for incident, text in sorted(closed, key=lambda pair: -(pair[0].closed or 0.0)):
        yield labels(incident), _alert(incident, labels(incident), text, min(incident.closed or wall, wall))
    for incident, text in (*open_incidents, *closed):
        old = told.get(incident.id)
        if old is not None and old != labels(incident):
            yield old, _alert(incident, old, text, wall)


def labels(incident: Incident) -> Labels:
    """Who the alert is: the same from open to close, but for a severity that grows."""
    named = {
        "alertname": NAMES.get(incident.cause.type, SHARED_CAUSE_NAME),
        "site": incident.sites[0] if len(incident.sites) == 1 else "",
        "cause_type": incident.cause.type,
        "cause": incident.cause.name,
        "severity": incident.severity,
    }
    return {name: value for name, value in named.items() if value}


def _alert(incident: Incident, named: Labels, text: PageText, ends: float) -> Alert:
    alert = {
        "labels": named,
        "annotations": {"summary": text.title, "description": text.body[:LONGEST_ANNOTATION]},
        "startsAt": _rfc3339(min(incident.opened, ends)),
        "endsAt": _rfc3339(ends),
    }
    return {**alert, "generatorURL": text.url} if text.url else alert


def _rfc3339(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="milliseconds")
