"""Questions to Pexip's management status API: who asks, how many pages, how often at most."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes import ProbeFailed, ProbeMisconfigured, Secret, _oauth
from probes._rest import Answer, Rest

__all__ = ["Client", "Identity", "Pace"]

STATUS = "/api/admin/status/v1/"
TOKEN_PATH = "/oauth/token/"  # noqa: S105  # a path, not a secret
PAGE = 200
MOST_PAGES = 10
# The platform takes 1,000 requests in 60 s from all that ask it together, and slows down for those in meetings long before.
MOST_REQUESTS = 200
WINDOW_SECONDS = 60.0
MOST_QUIET_SECONDS = 300.0
USUAL_QUIET_SECONDS = 60.0
TOKEN_SPARE_SECONDS = 60.0
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 200, 401, 403, 404, 429


@dataclass(slots=True)
class Pace:
    """Kept from run to run: the requests of the last minute, and until when the platform asked to be left alone."""

    sent: deque[float] = field(default_factory=deque)
    quiet_until: float = 0.0

    def take(self, now: float) -> None:
        """Raises ProbeMisconfigured `rate_limited` where one request more would be too many."""
        while self.sent and self.sent[0] <= now - WINDOW_SECONDS:
            self.sent.popleft()
        if now < self.quiet_until:
            raise ProbeMisconfigured("rate_limited", "the platform asked for fewer requests")
        if len(self.sent) >= MOST_REQUESTS:
            raise ProbeMisconfigured("rate_limited", f"{MOST_REQUESTS} requests within a minute")
        self.sent.append(now)

    def refused(self, now: float, retry_after: str) -> None:
        asked = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 9 else USUAL_QUIET_SECONDS
        self.quiet_until = now + min(asked, MOST_QUIET_SECONDS)


@dataclass(slots=True)
class Identity:
    """Who asks, kept from run to run: by password, or by OAuth with a token that lasts an hour."""

    user: str
    client_id: str
    token: _oauth.Token | None = None

    def basic(self, password: Secret) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{password.reveal()}".encode()).decode()


class Client:
    """One run's questions."""

    def __init__(self, rest: Rest, identity: Identity, pace: Pace, held: Mapping[str, Secret], host: str) -> None:
        self._rest = rest
        self._identity = identity
        self._pace = pace
        self._held = held
        self._host = host
        self.wall = 0.0  # of the manager, when it last answered
        self.incomplete: list[str] = []

    async def objects(self, resource: str) -> Sequence[Any]:
        """All of a resource; empty where this version has none such. Raises ProbeFailed."""
        found: list[Any] = []
        for page in range(MOST_PAGES):
            answer = await self._get(f"{STATUS}{resource}/?limit={PAGE}&offset={page * PAGE}")
            if answer.status == NOT_FOUND:
                return found
            part = answer.body.get("objects") if isinstance(answer.body, dict) else None
            if not isinstance(part, list):
                raise ProbeFailed("bad_response", f"{resource}: no list of objects")
            found += part
            meta = answer.body.get("meta")
            if not part or not isinstance(meta, dict) or not meta.get("next"):
                return found
        self.incomplete.append(resource)
        return found

    async def _get(self, path: str) -> Answer:
        answer = await self._ask("GET", path, headers={"Authorization": await self._authorization()})
        self.wall = _date(answer.headers) or time.time()
        if answer.status == UNAUTHORIZED:
            self._identity.token = None
            raise ProbeMisconfigured("login_refused", "the manager does not take the user or the key")
        if answer.status == FORBIDDEN:
            raise ProbeMisconfigured("denied", path.partition("?")[0].removeprefix(STATUS))
        if answer.status not in {OK, NOT_FOUND}:
            raise ProbeFailed("status", f"status {answer.status}")
        return answer

    async def _ask(self, method: str, path: str, **keys: Any) -> Answer:
        clock = asyncio.get_running_loop().time
        self._pace.take(clock())
        answer = await self._rest.ask(method, path, **keys)
        if answer.status == TOO_MANY:
            self._pace.refused(clock(), answer.headers.get("Retry-After", ""))
            raise ProbeMisconfigured("rate_limited", "the platform asked for fewer requests")
        return answer

    async def _authorization(self) -> str:
        if not self._identity.client_id:
            return self._identity.basic(self._held["password"])
        token = self._identity.token
        if token is None or token.until <= asyncio.get_running_loop().time():
            token = self._identity.token = await self._new_token()
        return "Bearer " + token.value.reveal()

    async def _new_token(self) -> _oauth.Token:
        asked = asyncio.get_running_loop().time()
        endpoint = f"https://{self._host}{TOKEN_PATH}"
        form = _oauth.form(self._identity.client_id, self._held["private_key"], endpoint, time.time(), secrets.token_hex(18))
        answer = await self._ask("POST", TOKEN_PATH, form=form)
        if answer.status in {400, UNAUTHORIZED, FORBIDDEN}:  # RFC 6749 section 5.2: invalid_client
            raise ProbeMisconfigured("login_refused", "the manager does not take the client id or the key")
        body = answer.body if isinstance(answer.body, dict) else {}
        value, lasts = body.get("access_token"), body.get("expires_in")
        if answer.status != OK or not isinstance(value, str) or isinstance(lasts, bool) or not isinstance(lasts, int | float):
            raise ProbeFailed("bad_response", f"no token, status {answer.status}")
        return _oauth.Token(Secret(value), asked + lasts - TOKEN_SPARE_SECONDS)


def _date(headers: Mapping[str, str]) -> float | None:
    """The manager's own clock: times in its answers are compared with it, so that ours may be wrong."""
    try:
        return email.utils.parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
