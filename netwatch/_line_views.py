"""What each direction of a line stands at against its contract, as it is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netwatch import core, line
from netwatch._views import LineView
from netwatch.model import Line, Site

__all__ = ["line_views"]

DIRECTIONS: tuple[line.Direction, ...] = ("down", "up")


def line_views(world: core.World, wall: float, site: Site, place: Line) -> Iterator[LineView]:
    """For each direction that has a contract; also one nobody has ever tested."""
    limits = core.limits_of(world)
    for direction in DIRECTIONS:
        contract = place.contract_bits_per_second(direction)
        if not contract:
            continue
        pasts = world.lines.pasts.get((site.id, place.id, direction), ())
        found = line.standing(pasts, wall, limits)
        yield LineView(
            direction=direction,
            contract_bits_per_second=contract,
            verdict=found.verdict,
            reason=found.reason,
            decided=found.last.verdict if found.last else "",
            value_bits_per_second=found.last.value if found.last else 0.0,
            wall=found.last.wall if found.last else None,
            proved_wall=found.proved_wall,
            below_contract=bool(line.below_contract(pasts, wall, limits)),
        )
