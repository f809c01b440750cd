"""What history keeps of a line while a test loads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netwatch.model import Result, Sample

__all__ = ["UNDER_TEST", "kept_samples"]

UNDER_TEST = "under_test"


def kept_samples(result: Result) -> Sequence[Sample]:
    """As history keeps them: what a test may have slowed is an instance by itself, so that no figure of the line holds it."""
    if not result.under_test:
        return result.samples
    return [replace(one, instance=f"{one.instance} {UNDER_TEST}".strip()) for one in result.samples]
