"""SNMP version 3 with the user-based security model (RFC 3414). ADR 0009.

The library signs, encrypts and decrypts, but believes whatever comes back. Here every answer is verified before it is
given to it, and each way of being turned away has a code of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gufo.snmp._fast import SnmpAuthError, SnmpDecodeError, SnmpV3ClientSocket

from probes import ProbeFailed, ProbeMisconfigured, Reading
from probes._snmp_relay import RelayedSession
from probes._snmp_session import Limits, Sizes
from probes._snmp_sockets import Sockets, open_by_user
from probes._snmp_user import Engine, Engines, Keys, User
from probes._wire.snmp import BadMessage, Secured, is_signed, read_secured

__all__ = ["SessionV3"]

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
NOT_IN_TIME_WINDOW = "not_in_time_window"
REPORTS = {  # RFC 3414 section 3.2, RFC 3413 section 4.2, RFC 3412 section 7.2
    "1.3.6.1.6.3.15.1.1.1.0": "unsupported_security_level",
    "1.3.6.1.6.3.15.1.1.2.0": NOT_IN_TIME_WINDOW,
    "1.3.6.1.6.3.15.1.1.3.0": "unknown_user",
    "1.3.6.1.6.3.15.1.1.4.0": "unknown_engine",
    "1.3.6.1.6.3.15.1.1.5.0": "wrong_auth_key",
    "1.3.6.1.6.3.15.1.1.6.0": "wrong_privacy_key",
    "1.3.6.1.6.3.12.1.4.0": "unknown_context",
    "1.3.6.1.6.3.12.1.5.0": "unknown_context",
}
NOBODY = Keys(0, b"", 0, b"")
ENGINE_ID_SIZES = range(5, 33)  # RFC 3411, SnmpEngineID
DROPPED: Final = object()
REPORTED: Final = object()


class SessionV3(RelayedSession):
    """`notices` are codes of what mended itself: `engine_restarted`, `engine_changed`.

    Beyond what a Session raises, ProbeMisconfigured: `unknown_user`, `wrong_auth_key`, `wrong_privacy_key`,
    `unsupported_security_level`, `not_in_time_window`, `unknown_engine`, `unknown_context`, `not_accepted` (for another
    reason), `not_authentic` (answers that somebody else made, or that were changed on the way).
    """

    def __init__(self, sockets: Sockets, engines: Engines, at: tuple[str, int], user: User, limits: Limits, sizes: Sizes) -> None:
        self._engines, self._at, self._user = engines, at, user
        self._engine = engines.known.get(at)
        self._from_memory = self._engine is not None
        super().__init__(sockets, self._client(), at, limits, sizes)
        self._told = ""
        self._told_oid = ""
        self._asked_again = False
        self._heard = False  # something signed
        self._read = False  # something as private as it should be
        self._forged = 0

    def _client(self) -> SnmpV3ClientSocket:
        """One that knows the engine knows nothing of its time yet: it will be told, signed."""
        if self._engine is None:
            return open_by_user(*self._at, b"", "", NOBODY)
        return open_by_user(*self._at, self._engine.id, self._user.name, self._engines.keys(self._engine.id, self._user))

    def _reopen(self) -> SnmpV3ClientSocket:
        client = self._client()
        self._use(client)
        return client

    async def _exchange(self, send: Callable[[], None], receive: Callable[[], Any], accept: Callable[[Any], bool]) -> Any:
        """One request, and what it takes to be heard: the engine's id, its time, and a second try after being turned away."""
        synchronised = False
        while True:
            if self._engine is None and not await self._discover():
                return None
            self._told = ""
            answer = await super()._exchange(send, receive, lambda one: one is REPORTED or (one is not DROPPED and accept(one)))
            if answer is not None and answer is not REPORTED:
                return answer
            if self._told == NOT_IN_TIME_WINDOW and not synchronised:
                synchronised = True
            elif self._told and self._asked_again:
                raise ProbeMisconfigured(self._told, reading=Reading(detail="" if self._told in REPORTS.values() else self._told_oid))
            elif self._told or self._from_memory:  # some agents are silent when asked for an engine they are not any more
                self._asked_again = self._asked_again or bool(self._told)
                self._engine, self._from_memory = None, False
            else:
                return None

    async def _discover(self) -> bool:
        """Asks for the engine's id (RFC 3414 section 4). Nothing in the answer is proven; what is signed with it later proves it."""
        client = self._reopen()

        def receive() -> bool:
            client.recv_refresh()
            return True

        if await super()._exchange(client.send_refresh, receive, bool) is None:
            return False
        engine_id = client.get_engine_id()
        if len(engine_id) not in ENGINE_ID_SIZES:
            raise ProbeFailed("malformed")
        known = self._engines.known.get(self._at)
        self._engine = known if known is not None and known.id == engine_id else Engine(engine_id)
        client.set_keys(self._user.name, *self._engines.keys(engine_id, self._user))
        return True

    def _answered(self, datagram: bytes, receive: Callable[[], Any]) -> Any:
        """The answer, if it is the engine's own; the library tells whether it is to our question."""
        engine, user = self._engine, self._user
        if engine is None:
            return super()._answered(datagram, receive)
        try:
            head = read_secured(datagram)
        except BadMessage:
            raise SnmpDecodeError from None
        ours = head.engine_id == engine.id and head.user == user.name.encode()
        signed = ours and is_signed(datagram, head, user.digest, self._engines.keys(engine.id, user).auth)
        if not head.report and not (signed and head.encrypted is (user.privacy is not None)):
            self._forged += 1
            raise SnmpDecodeError
        try:
            answer = super()._answered(datagram, receive)
        except SnmpAuthError:
            if signed:
                self._believe(engine, head)
            if not head.report:
                raise
            self._told, self._told_oid = REPORTS.get(head.report, "not_accepted"), head.report
            if signed:
                return REPORTED
            self._wait_a_little()  # anybody may have made it: the true answer may follow
            return DROPPED
        if head.report:
            return DROPPED
        self._believe(engine, head)
        self._read = True
        engine.private.add(user)
        return answer

    def _believe(self, engine: Engine, head: Secured) -> None:
        self._heard = True
        known = self._engines.known.get(self._at)
        if known is not engine:
            if known is not None and known.id != engine.id:
                self.notices["engine_changed"] = None
            self._engines.known[self._at] = engine
        if engine.boots is not None and (head.boots != engine.boots or head.time_seconds < engine.time_seconds):
            self.notices["engine_restarted"] = None  # some forget how often they booted, so their time counts too
        engine.boots, engine.time_seconds = head.boots, head.time_seconds

    async def _give_up_after(self, failures: int) -> None:
        try:
            await super()._give_up_after(failures)
        except ProbeFailed as failed:
            if self._forged:
                raise ProbeMisconfigured("not_authentic") from None
            if failed.code == "timeout" and await self._is_unreadable():
                raise ProbeMisconfigured("wrong_privacy_key") from None
            raise

    async def _is_unreadable(self) -> bool:
        """Whether it answers what it need not decrypt and nothing else: with a wrong key it reads rubbish and is silent."""
        if self._user.privacy is None or self._read or self._engine is None:
            return False
        if self._heard and self._user not in self._engine.private:
            return True
        self._heard, self._from_memory, self._asked_again = False, False, True
        self._reopen()
        try:
            await self._get_once([SYS_UP_TIME])
        except ProbeMisconfigured:
            raise
        except ProbeFailed:
            pass
        return self._heard and not self._read
