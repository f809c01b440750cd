"""A session with a Poly room, which is always ended: units were seen to lock up when sessions were left open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from probes import ProbeFailed, ProbeMisconfigured, Sample, Secret, Target
from probes._rest import Answer, Rest

__all__ = ["LOG_OUT_SECONDS", "Session", "session"]

SESSION = "/rest/session"
LOG_OUT_SECONDS = 2.0
OK = frozenset({200, 201, 202, 204})
# The words are Poly's own. Who is told one of the first must not try again soon: devices lock accounts, and the administrator out.
WRONG_PASSWORD = "SessionInvalidUserNamePassword"  # noqa: S105  # a word of the API
TOO_MANY_SESSIONS = "SessionMaxActiveSessionsReached"


@dataclass(frozen=True, slots=True)
class Session:
    """What is open."""

    rest: Rest

    async def get(self, path: str) -> Any:
        """Raises ProbeFailed, ProbeMisconfigured `denied`."""
        answer = await self.rest.ask("GET", path)
        if answer.status in {401, 403}:
            raise ProbeMisconfigured("denied", path)
        if answer.status not in OK:
            raise ProbeFailed("status", f"{path}: status {answer.status}")
        return answer.body


@contextlib.asynccontextmanager
async def session(rest: Rest, target: Target, user: str, password: Secret) -> AsyncIterator[Session]:
    """Logs in, and out whatever happens in between, a cancellation too; some of the time that there is, is kept for that.

    A log-in that is cut off before it is answered gives no session to end. Raises ProbeFailed, ProbeMisconfigured, TimeoutError.
    """
    now = asyncio.get_running_loop().time()
    kept = min(LOG_OUT_SECONDS, (target.deadline - now) / 4)
    async with asyncio.timeout_at(target.deadline - kept):
        _check(
            await rest.ask("POST", SESSION, body={"action": "Login", "user": user, "password": password.reveal()}, headers=_headers(rest))
        )
        try:
            yield Session(rest)
        finally:
            closed = await _log_out(rest, kept)
            target.report(Sample("poly_session_left_open", (float(not closed),)))


async def _log_out(rest: Rest, seconds: float) -> bool:
    """By the call of the Group series, else by that of later ones."""
    with contextlib.suppress(ProbeFailed, OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            for method, body in (("POST", {"action": "Logout"}), ("DELETE", None)):
                if (await rest.ask(method, SESSION, body=body, headers=_headers(rest))).status in OK:
                    return True
    return False


def _headers(rest: Rest) -> dict[str, str]:
    """VideoOS wants its own token back with whatever changes something; the Group series, to be told from where one comes."""
    token = rest.cookie("xsrf-token")
    return {"Origin": rest.origin, "X-Requested-With": "XMLHttpRequest", **({"X-XSRF-Token": token} if token else {})}


def _check(answer: Answer) -> None:
    body = answer.body if isinstance(answer.body, dict) else {}
    reason = body.get("reason") if isinstance(body.get("reason"), str) else ""
    status = body.get("loginStatus") if isinstance(body.get("loginStatus"), dict) else {}
    lockout = str(status.get("loginResult", "")) if isinstance(status, dict) else ""
    if reason == TOO_MANY_SESSIONS:
        raise ProbeMisconfigured("too_many_sessions", "the device has no session free")
    if "lock" in f"{reason} {lockout.replace('NOLOCKOUT', '')}".lower():
        raise ProbeMisconfigured("locked_out", "the device has locked the account")
    if answer.status in {401, 403} or body.get("success") is False:
        raise ProbeMisconfigured("login_refused", "the device does not take the user or the password")
    if answer.status not in OK or not body:
        raise ProbeFailed("bad_response", f"{SESSION}: status {answer.status}")
