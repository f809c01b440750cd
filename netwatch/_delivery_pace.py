"""How many pages a minute. Pure: time comes in."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Pace"]


@dataclass(slots=True)
class Pace:
    """As many as a minute allows at once, then one by one. `now` is monotonic and never goes back."""

    per_minute: float
    _saved: float = field(init=False)
    _at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._saved = self._most

    @property
    def _most(self) -> float:
        return max(1.0, self.per_minute)

    def free(self, now: float) -> int:
        """How many may go now."""
        self._saved = min(self._most, self._saved + max(0.0, now - self._at) * self.per_minute / 60.0)
        self._at = max(self._at, now)
        return int(self._saved + 1e-9)

    def take(self, now: float) -> None:
        self.free(now)
        self._saved -= 1.0

    def wait_seconds(self, now: float) -> float:
        """Until the next may go."""
        return 0.0 if self.free(now) >= 1 else (1.0 - self._saved) * 60.0 / self.per_minute
