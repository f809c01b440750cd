"""SNMP v1, v2c and v3: what a device says of itself, by the profile of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from gufo.snmp._fast import SnmpV2cClientSocket

from probes import Metric, Probe, ProbeFailed, Reading, Secret, Shared, Target
from probes._snmp_auto import AUTO, identify
from probes._snmp_counters import Clock
from probes._snmp_plan import CLOCK, IF_TABLE_LAST_CHANGE, SYSTEM, Learning, Plan, learn, system_facts
from probes._snmp_profile import load, names
from probes._snmp_reading import Memory, clock_of, clock_samples, facts_of, gap_between, outdated, samples_of
from probes._snmp_session import Limits, Session, Sizes, Value
from probes._snmp_sockets import Sockets, open_by_community
from probes._snmp_user import SHORTEST_PASSWORD, AuthProtocol, Engines, PrivacyProtocol, User
from probes._snmp_v1 import SessionV1
from probes._snmp_v3 import SessionV3

__all__ = ["Auth", "Privacy", "Snmp"]

RELEARN_SECONDS = 6 * 3600.0
FLAWS_SHOWN = 3
LONGEST_USER = 32  # RFC 3414, usmUserName
MARGIN_SECONDS = 0.2  # so that what was read is returned rather than cut off by the runner


STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How requests are signed; the password is the secret `auth`."""

    __pydantic_config__: ClassVar[Any] = STRICT
    protocol: AuthProtocol = "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """How requests are encrypted; the password is the secret `privacy`."""

    __pydantic_config__: ClassVar[Any] = STRICT
    protocol: PrivacyProtocol = "aes128"


@dataclass(kw_only=True, eq=False)
class Snmp(Probe):
    """Polls the objects that `profile` names; `auto` finds the profile out. The community is the secret `community`.

    Version 3 has a user, signs with the secret `auth` and, if `privacy` is given, encrypts with the secret `privacy`.

    The first run walks to learn which ports, trays and supplies there are, later ones GET just these; it walks again
    when the agent says that something changed, and every six hours. Rates need two runs. ProbeFailed codes: `timeout`
    (also what a wrong community looks like), `refused`, `malformed` (answers that cannot be read), `too_long` (no end in
    sight), `not_increasing` (the agent goes in circles), `empty` (it has none of what was asked).
    ProbeMisconfigured: `denied`, and what SessionV3 says.
    """

    profile: str
    port: int = 161
    version: Literal["1", "2c", "3", 1, 3] = "2c"
    user: str = ""
    auth: Auth | None = None
    privacy: Privacy | None = None
    timeout_seconds: float = 2.0
    retries: int = 1
    _state: Any = field(init=False, repr=False, default_factory=lambda: _State())  # noqa: PLW0108  # defined below; Any: no key of the inventory

    def __post_init__(self) -> None:
        if self.profile != AUTO:
            load(self.profile)
        if not 0 < self.port < 65536:
            raise ValueError(f"port {self.port}; 1 to 65535")
        if self.timeout_seconds <= 0 or not 0 <= self.retries <= 10:
            raise ValueError("timeout_seconds must be above 0, retries 0 to 10")
        if str(self.version) == "3" and (not 0 < len(self.user.encode()) <= LONGEST_USER or self.auth is None):
            raise ValueError(f"version 3 needs `user`, of 1 to {LONGEST_USER} bytes, and `auth`")
        if str(self.version) != "3" and (self.user or self.auth or self.privacy):
            raise ValueError("`user`, `auth` and `privacy` are for version 3")

    def metrics(self) -> Mapping[str, Metric]:
        profiles = names() if self.profile == AUTO else (self.profile,)
        return {name: metric for profile in profiles for name, metric in load(profile).all_metrics().items()}

    async def run(self, target: Target, shared: Shared) -> Reading:
        """Raises ProbeFailed, and ValueError for a target without its secrets or with a source address."""
        if target.source is not None:
            raise ValueError("snmp cannot choose its source address")
        state: _State = self._state
        with self.session(target, shared, state.sizes) as session:
            reading = await state.poll(session, self.profile, recheck=target.recheck)
        if not session.notices:
            return reading
        return replace(reading, detail="; ".join((*session.notices, reading.detail) if reading.detail else session.notices))

    def session(self, target: Target, shared: Shared, sizes: Sizes) -> Session:
        """A socket a run costs 13 µs, and no late answer of the run before can be taken for one of this."""
        left = target.deadline - asyncio.get_running_loop().time()
        limits = Limits(self.timeout_seconds, self.retries, target.deadline - min(MARGIN_SECONDS, 0.1 * left))
        sockets = shared.get(Sockets)
        if self.auth is not None:
            at, user = (target.address, self.port), self._user(self.auth, target.secrets)
            return SessionV3(sockets, shared.get(Engines), at, user, limits, sizes)
        community = _secret(target.secrets, "community", 1).reveal()
        if str(self.version) == "1":
            return SessionV1(sockets, target.address, self.port, community, limits, sizes)
        return Session(sockets, open_by_community(SnmpV2cClientSocket, target.address, self.port, community), limits, sizes)

    def _user(self, auth: Auth, secrets: Mapping[str, Secret]) -> User:
        password = _secret(secrets, "auth", SHORTEST_PASSWORD)
        if self.privacy is None:
            return User(self.user, auth.protocol, password)
        return User(self.user, auth.protocol, password, self.privacy.protocol, _secret(secrets, "privacy", SHORTEST_PASSWORD))


def _secret(secrets: Mapping[str, Secret], name: str, shortest: int) -> Secret:
    secret = secrets.get(name)
    if secret is None or len(secret.reveal()) < shortest:
        raise ValueError(f"snmp needs the secret `{name}` of {shortest} characters at least")
    return secret


@dataclass(slots=True)
class _State:
    """What one device's probe keeps from run to run."""

    sizes: Sizes = field(default_factory=Sizes)
    plan: Plan | None = None
    learning: Learning | None = None
    memory: Memory = field(default_factory=Memory)

    async def poll(self, session: Session, profile: str, *, recheck: bool) -> Reading:
        loop = asyncio.get_running_loop()
        if self.plan is None:
            if recheck and self.memory.clock is not None:
                return self._only_clock(await session.get(CLOCK), loop.time())
            return await self._learn_and_read(session, profile)
        values = await session.get(self.plan.oids)
        if not values:
            return await self._learn_and_read(session, profile)
        clock = clock_of(values, loop.time())
        why = outdated(self.plan, values, self.memory, clock, RELEARN_SECONDS)
        if why == "changed" or (why == "aged" and not recheck):
            try:
                return await self._learn_and_read(session, profile)
            except ProbeFailed:
                # It did answer: what is still sure is told, and the next run learns.
                if why == "changed":
                    self.plan = None
                    return self._only_clock(values, clock.at)
        return self._read(self.plan, values, clock)

    async def _learn_and_read(self, session: Session, profile: str) -> Reading:
        loop = asyncio.get_running_loop()
        identity = await session.get([*CLOCK, *SYSTEM.values()])
        if self.learning is None or self.learning.last_change != identity.get(IF_TABLE_LAST_CHANGE):
            self.learning = Learning(identity.get(IF_TABLE_LAST_CHANGE))
        steps = self.learning.steps
        known = self.plan.profile if self.plan is not None else None
        try:
            chosen = known or (await identify(session, identity) if profile == AUTO else load(profile))
            plan = await learn(session, chosen, identity, loop.time(), self.learning)
            values = await session.get(plan.oids)
        except ProbeFailed:
            if self.learning.steps == steps:
                raise
            # It answers and more is known than before: the next run goes on from here.
            reading = self._only_clock(identity, loop.time())
            return replace(reading, facts=system_facts(identity), detail="still learning what the device has")
        self.learning = None
        plan.confirm(values)
        self.plan = plan
        reading = self._read(plan, values, clock_of(values, loop.time()))
        useful = any(sample.name not in {"uptime_seconds", "device_reboots"} for sample in reading.samples)
        if not useful and plan.flaws:
            raise ProbeFailed(plan.flaws[0].partition(" ")[0], reading=reading)
        if not reading.samples and not identity:
            raise ProbeFailed("empty", reading=reading)
        return reading

    def _read(self, plan: Plan, values: Mapping[str, Value], clock: Clock) -> Reading:
        samples, self.memory = samples_of(plan, values, self.memory, clock)
        return Reading(tuple(samples), facts_of(plan, values), "; ".join(plan.flaws[:FLAWS_SHOWN]))

    def _only_clock(self, values: Mapping[str, Value], at: float) -> Reading:
        clock = clock_of(values, at)
        gap = gap_between(self.memory, clock)
        self.memory = Memory(clock)
        return Reading(tuple(clock_samples(clock, gap)))
