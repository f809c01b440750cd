"""The families of /metrics that tell of lines and their contracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netwatch import core, line
from netwatch._metric_families import Family

__all__ = ["line_families"]

Key = tuple[str, str, str]  # site, line, direction
VERDICTS = ("proved", "refuted", "inconclusive", "stale")


def line_families(
    world: core.World, wall: float, measured: Mapping[Key, tuple[str, float]], spent: Mapping[Key, int], unwritten: int
) -> Iterator[Family]:
    """`measured` is by which method and in bytes per second; `spent` in bytes."""
    limits = core.limits_of(world)
    keys = sorted({*world.line_tests, *(key for key in world.lines.pasts if _is_there(world, key))})
    labels = {key: {"site": key[0], "line": key[1], "direction": key[2]} for key in keys}
    pasts = {key: world.lines.pasts.get(key, ()) for key in keys}
    standing = {key: line.standing(pasts[key], wall, limits) for key in keys}
    verdicts = [({**labels[key], "verdict": one}, float(standing[key].verdict == one)) for key in keys for one in VERDICTS]
    yield Family("netwatch_line_verdict", "gauge", "What is known of a line's contract: the verdict that is 1.", verdicts)
    below = [(labels[key], float(bool(line.below_contract(pasts[key], wall, limits)))) for key in keys]
    yield Family("netwatch_line_below_contract", "gauge", "Whether a line was refuted at two times, with no proof since.", below)
    tested = [(labels[key], pasts[key][-1].wall) for key in keys if pasts[key]]
    yield Family("netwatch_line_test_timestamp_seconds", "gauge", "When a line was last looked at for its contract.", tested)
    proved = [(labels[key], found) for key in keys if (found := standing[key].proved_wall) is not None]
    yield Family("netwatch_line_proved_timestamp_seconds", "gauge", "When a line was last proved to carry its contract.", proved)
    rates = [({**labels[key], "method": method}, value) for key, (method, value) in measured.items() if key in labels]
    yield Family("netwatch_line_measured_bytes_per_second", "gauge", "What a line carried when that was last decided.", rates)
    cost = [(labels[key], float(spent.get(key, 0))) for key in keys]
    yield Family("netwatch_line_test_bytes_total", "counter", "What tests of a line have cost since netwatch started.", cost)
    yield Family("netwatch_line_verdicts_unwritten", "gauge", "Verdicts that the evidence ledger has not taken.", [({}, float(unwritten))])


def _is_there(world: core.World, key: Key) -> bool:
    site = world.inventory.sites.get(key[0])
    return site is not None and key[1] in site.lines
