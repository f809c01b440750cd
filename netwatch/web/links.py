"""The page behind a one-tap link: opening it shows an incident and a form; only sending the form acts. See netwatch/links.py."""

from __future__ import annotations

import urllib.parse
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from netwatch.history import HistoryFailed
from netwatch.lang import writing
from netwatch.links import Pass, read
from netwatch.model import Human, Incident
from netwatch.snapshot import Snapshot
from netwatch.web.acts import LONGEST_NOTE, LONGEST_WHO
from netwatch.web.backend import BACKEND
from netwatch.web.page import PAGES
from netwatch.web.reader import reader_of, remember
from netwatch.web.words import incident_text

__all__ = ["DOOR", "Door", "add_routes"]

ETA_MINUTES = (15, 30, 60, 120, 240, 480)
STRANGERS_A_MINUTE = 20
MOST_KNOWN = 10_000
ACTS_LOOKED_AT = 500


@dataclass(slots=True)
class Door:
    """Which links have been used since the start, and who came with a link that was never ours."""

    used: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)
    strangers: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def note(self, link: str, who: str, wall: float) -> None:
        self.used[link] = (who, wall)
        while len(self.used) > MOST_KNOWN:
            self.used.popitem(last=False)

    def turns_away(self, address: str, wall: float) -> bool:
        """Whether somebody has come with too many wrong links within a minute. This one counts."""
        came = self.strangers.setdefault(address, deque(maxlen=STRANGERS_A_MINUTE))
        self.strangers.move_to_end(address)
        while len(self.strangers) > MOST_KNOWN:
            self.strangers.popitem(last=False)
        full = len(came) == STRANGERS_A_MINUTE and 0 <= wall - came[0] < 60.0
        came.append(wall)
        return full


DOOR: web.AppKey[Door] = web.AppKey("door", Door)


async def show(request: web.Request) -> web.Response:
    """Changes nothing, whoever fetches it: chat programs open links to preview them."""
    snapshot, token = request.app[BACKEND].snapshot(), request.query.get("k", "")
    incident, known = _opened_by(request, snapshot, token)
    if incident is None or known is None:
        return _turn_away(request, snapshot.wall)
    return _page(request, snapshot, incident, token, await _taken_by(request, incident, known), expired=known.has_ended(snapshot.wall))


async def act(request: web.Request) -> web.Response:
    backend = request.app[BACKEND]
    snapshot = backend.snapshot()
    form = await _form(request)
    token = form.get("k", "")
    incident, known = _opened_by(request, snapshot, token)
    if incident is None or known is None:
        return _turn_away(request, snapshot.wall)
    expired = known.has_ended(snapshot.wall)
    taken = await _taken_by(request, incident, known)
    if expired or taken is not None or incident.closed is not None:
        return _page(request, snapshot, incident, token, taken, expired=expired)
    who = writing.clean(form.get("who", ""), LONGEST_WHO)
    if not who:
        return _page(request, snapshot, incident, token, None, nameless=True)
    minutes = form.get("eta", "")
    until = snapshot.wall + int(minutes) * 60 if minutes in {str(one) for one in ETA_MINUTES} else None
    human = Human(
        at=0.0,
        wall=snapshot.wall,
        action="acknowledge",
        who=who,
        via=_via(known),
        incident=incident.id,
        note=writing.clean(form.get("note", ""), LONGEST_NOTE),
        until=until,
    )
    if backend.act(human) is not None:
        request.app[DOOR].note(known.id, who, snapshot.wall)
    raise web.HTTPSeeOther(f"/a/{incident.id}?k={urllib.parse.quote(token)}")


def _opened_by(request: web.Request, snapshot: Snapshot, token: str) -> tuple[Incident | None, Pass | None]:
    number = int(request.match_info["incident"])
    incident = next((one for one in (*snapshot.incidents, *snapshot.closed) if one.id == number), None)
    return incident, read(request.app[BACKEND].link_key(), token, number, incident.opened) if incident else None


async def _taken_by(request: web.Request, incident: Incident, known: Pass) -> tuple[str, float] | None:
    """Who has the incident, or else who has used this link before; and when."""
    if incident.acknowledgement is not None:
        return incident.acknowledgement.who, incident.acknowledgement.wall
    used = request.app[DOOR].used.get(known.id)
    if used is not None or incident.closed is not None:
        return used
    try:
        acts = await request.app[BACKEND].humans(incident.opened, incident.id, ACTS_LOOKED_AT)
    except HistoryFailed:
        return None
    return next(((one.who, one.wall) for one in acts if one.via == _via(known)), None)


def _via(known: Pass) -> str:
    return f"link {writing.clean(known.pager, 40)} {known.id}"


async def _form(request: web.Request) -> Mapping[str, str]:
    text = (await request.read()).decode("utf-8", "replace")
    try:
        return dict(urllib.parse.parse_qsl(text, max_num_fields=10))
    except ValueError:
        return {}


def _turn_away(request: web.Request, wall: float) -> web.Response:
    if request.app[DOOR].turns_away(request.remote or "", wall):
        return web.Response(status=429, text="too many wrong links; wait a minute\n", headers={"Retry-After": "60"})
    return _html(request, 404, "wrong")


def _page(
    request: web.Request,
    snapshot: Snapshot,
    incident: Incident,
    token: str,
    taken: tuple[str, float] | None,
    *,
    expired: bool = False,
    nameless: bool = False,
) -> web.Response:
    state = "over" if incident.closed is not None else "taken" if taken else "expired" if expired else "open"
    reader = reader_of(request)
    words, sites = reader.words, {view.site.id: view for view in snapshot.sites}

    def clock(wall: float) -> str:
        return writing.clock(wall, snapshot.wall, words, reader.zone)

    eta = incident.acknowledgement.until if incident.acknowledgement else None
    fields = {
        "number": incident.id,
        "token": token,
        "title": incident_text(incident, sites, words),
        "severity": incident.severity,
        "since": clock(incident.opened),
        "lasted": writing.age((incident.closed or snapshot.wall) - incident.opened, words),
        "closed": clock(incident.closed) if incident.closed is not None else "",
        "who": writing.clean(taken[0], LONGEST_WHO) if taken else "",
        "when": clock(taken[1]) if taken else "",
        "eta": clock(eta) if eta is not None else "",
        "note": writing.clean(incident.acknowledgement.note, LONGEST_NOTE) if incident.acknowledgement else "",
        "choices": [(minutes, writing.age(minutes * 60.0, words)) for minutes in ETA_MINUTES],
        "nameless": nameless,
        "slug": incident.sites[0] if len(incident.sites) == 1 and incident.sites[0] in sites else "",
    }
    status = 422 if nameless else 410 if state == "expired" else 200
    return _html(request, status, state, **fields)


def _html(request: web.Request, status: int, state: str, **fields: object) -> web.Response:
    shown = {"token": "", "number": 0, "slug": "", **fields, "state": state, "longest_who": LONGEST_WHO, "longest_note": LONGEST_NOTE}
    text = request.app[PAGES].render("take.html", reader_of(request), live=None, **shown)
    response = web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
    remember(request, response)
    return response


def add_routes(app: web.Application) -> None:
    app[DOOR] = Door()
    app.router.add_get("/a/{incident:[0-9]{1,15}}", show)
    app.router.add_post("/a/{incident:[0-9]{1,15}}", act)
