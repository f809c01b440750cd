"""What a trace adds to an incident: the path to its failing line, and who on it answered last. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netwatch.core._world import Draft, World, keep
from netwatch.model import Hop, Traced

__all__ = ["PATH_FACTS", "take_trace", "with_path"]

PATH_FACTS = ("path", "path_to", "path_end", "path_hops")


def take_trace(world: World, draft: Draft, event: Traced) -> None:
    """Nobody is paged for it: the next page about the incident tells. One that has closed meanwhile stays as it is."""
    for incident in world.incidents.values():
        if incident.id == event.incident and event.hops:
            keep(world, draft, replace(incident, facts={**incident.facts, **_facts(event)}, updated=draft.wall))
            return


def with_path(known: Mapping[str, str], fresh: Mapping[str, str]) -> dict[str, str]:
    """The facts of an incident that grows: what is known now, the path that was traced when it opened, how often it flapped when last told."""
    return {**fresh, **{name: known[name] for name in (*PATH_FACTS, "spells") if name in known}}


def _facts(event: Traced) -> dict[str, str]:
    """`path_end` and its distance `path_hops` are missing when nobody answered."""
    facts = {"path": _written(event.hops), "path_to": event.address}
    answered = [hop.address if hop else "" for hop in event.hops]
    end = next((address for address in reversed(answered) if address), "")
    return {**facts, "path_end": end, "path_hops": str(answered.index(end) + 1)} if end else facts


def _written(hops: tuple[Hop | None, ...]) -> str:
    """`1 10.0.0.1 0.4 ms › 2 * › 3 10.0.9.1 8.1 ms › 4 *`: of the silence at the end only where it begins."""
    heard = max((distance for distance, hop in enumerate(hops, 1) if hop), default=0)
    return " › ".join(f"{distance} {_answer(hop)}" for distance, hop in enumerate(hops[: heard + 1], 1))


def _answer(hop: Hop | None) -> str:
    if hop is None:
        return "*"
    return f"{hop.address} {min(hop.rtt_seconds) * 1000:.1f} ms" if hop.rtt_seconds else hop.address
