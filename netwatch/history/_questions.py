"""History: what may be asked of it. Nothing here waits for the writer, or keeps it waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType

from netwatch.history._charts import Series
from netwatch.history._reader import Reader, Stored
from netwatch.history._recorded import Recorded
from netwatch.history._samples import OUTCOME_METRIC, OUTCOMES
from netwatch.model import Human, Incident, Outcome, Transition
from netwatch.sla import Availability, Span

__all__ = ["Questions"]


class Questions:
    """The half of History that only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def load(self) -> Stored:
        """What a start goes on from. Raises HistoryFailed, and HistoryRefused for a record this program cannot read."""
        return await self._reader.stored()

    async def transitions(
        self, *, site: str | None = None, check: str | None = None, since_wall: float = 0.0, limit: int = 1_000
    ) -> list[Transition]:
        """Newest first. Raises HistoryFailed."""
        return await self._reader.transitions(site=site, check=check, since_wall=since_wall, limit=limit)

    async def incidents(
        self, *, since_wall: float = 0.0, site: str | None = None, key: str | None = None, limit: int = 1_000
    ) -> list[Incident]:
        """Those that were open at `since_wall` or later, newest first. Raises HistoryFailed."""
        return await self._reader.incidents(since_wall=since_wall, site=site, key=key, limit=limit)

    def results_for_replay(self, since_wall: float, until_wall: float) -> AsyncIterator[Transition]:
        """Every stored transition of that time in the order in which they were decided; `until_wall` is outside. Raises HistoryFailed."""
        return self._reader.in_order(since_wall, until_wall)

    async def recorded(self) -> Recorded:
        """What there is to be replayed, and how far back it goes. Raises HistoryFailed."""
        return await self._reader.recorded()

    async def settled(self, wall: float) -> list[Transition]:
        """The last transition of each subject before then. Raises HistoryFailed."""
        return await self._reader.settled(wall)

    async def humans(self, *, since_wall: float = 0.0, incident: int | None = None, limit: int = 1_000) -> list[Human]:
        """What people did, of all or of one incident, newest first. Raises HistoryFailed."""
        return await self._reader.humans(since_wall=since_wall, incident=incident, limit=limit)

    async def samples(
        self, check_id: str, metric: str, instance: str, since_wall: float, until_wall: float
    ) -> list[tuple[float, tuple[float, ...]]]:
        """Wall time and values, oldest first; both ends belong to it. Raw samples live 48 h. Raises HistoryFailed."""
        return await self._reader.samples((check_id, metric, instance), since_wall, until_wall)

    async def series(self, check_id: str, metric: str, instance: str, since_wall: float, until_wall: float, points: int = 300) -> Series:
        """What a chart of about so many points shows; the level depends on it and on what is still kept. Raises HistoryFailed."""
        return await self._reader.series((check_id, metric, instance), since_wall, until_wall, points)

    async def availability(
        self,
        sites: Mapping[str, Sequence[str]],
        since_wall: float,
        until_wall: float,
        *,
        excluded: Mapping[str, Sequence[Span]] = MappingProxyType({}),
    ) -> dict[str, Availability]:
        """Seconds up, down and unknown of each site, given the ids of its lines' checks; what is `excluded` (sla.work_spans) is unknown.

        Raises HistoryFailed.
        """
        return await self._reader.availability(sites, since_wall, until_wall, excluded)

    async def outcomes(self, check_id: str, since_wall: float, until_wall: float) -> list[tuple[float, Outcome, float]]:
        """Wall time, ending and duration: every bad run, every change, and one of five minutes. Raises HistoryFailed."""
        rows = await self._reader.samples((check_id, OUTCOME_METRIC, ""), since_wall, until_wall)
        return [(wall, OUTCOMES[int(code)], duration) for wall, (code, duration) in rows]
