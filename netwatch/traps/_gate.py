"""How many traps are looked at: a storm from one device, or a forger's, costs the daemon a bounded share of its time."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["TOTAL_PER_SECOND", "Gate"]

BURST_SECONDS = 10.0  # what a source may send at once is what it may send in this time, and ten at least
LEAST_BURST = 10.0
TOTAL_PER_SECOND = 60.0  # decoding costs about 1.5 ms, and 6 ms for each 1,000 bytes
BYTES = 400  # what counts as one more
STRANGERS = ""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class Gate:
    """A token bucket for each source that the inventory knows, one for all strangers, one over all."""

    per_minute: float
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def admits(self, source: str, *, known: bool, now: float, size: int = 0) -> bool:
        """Whether one more of so many bytes is taken in from it. Strangers share a bucket, so that many addresses need no more memory than one."""
        burst = max(LEAST_BURST, self.per_minute * BURST_SECONDS / 60.0)
        own = self._filled(source if known else STRANGERS, self.per_minute / 60.0, burst, now)
        every = self._filled("*", TOTAL_PER_SECOND, TOTAL_PER_SECOND, now)
        cost = 1 + size // BYTES
        if own.tokens < 1 or (known and every.tokens < 1):
            return False
        own.tokens -= cost
        if known:  # strangers are not decoded: they cost nothing that the others would lack
            every.tokens -= cost
        return True

    def forget_all_but(self, sources: frozenset[str]) -> None:
        for source in self._buckets.keys() - sources - {STRANGERS, "*"}:
            del self._buckets[source]

    def _filled(self, name: str, per_second: float, burst: float, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(name, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + max(0.0, now - bucket.at) * per_second)
        bucket.at = now
        return bucket
