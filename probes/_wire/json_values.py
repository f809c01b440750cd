"""What stands in a stranger's JSON, taken only as far as it is what it should be. Pure."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["number", "text"]


def text(value: Any) -> str:
    """Nothing for what is no text."""
    return value if isinstance(value, str) else ""


def number(value: Any, below: float) -> float | None:
    """None for what is no number, or no sensible one: below 0, or not below that."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < below else None
