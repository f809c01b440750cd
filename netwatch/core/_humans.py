"""What people ask for: acknowledge, be silent, plan work, take it back. Pure; every act that takes effect is audited."""

from __future__ import annotations

from dataclasses import replace

from netwatch.core._world import Draft, Window, World, keep
from netwatch.matcher import WrongMatcher, parse
from netwatch.model import Acknowledgement, Human, Incident, Run

__all__ = ["take_human"]

LONGEST_WINDOW_SECONDS = 366 * 86_400.0


def take_human(world: World, draft: Draft, event: Human) -> None:
    """What names nothing that is there has no effect and leaves no trace."""
    match event.action:
        case "check_now":
            if event.check in world.inventory.checks:
                draft.requests.append(Run(check=event.check, not_before=event.at, reason="human"))
        case "acknowledge" | "unacknowledge" | "note":
            known = next((incident for incident in world.incidents.values() if incident.id == event.incident), None)
            if known is not None:
                _about(world, draft, event, known)
        case "silence" | "maintenance":
            _open_window(world, draft, event)
        case "end":
            window = world.windows.get(event.window)
            if window is not None:
                world.windows[window.id] = replace(window, ends=min(window.ends, event.wall))
                world.unsettled = True
                draft.humans.append(event)


def _about(world: World, draft: Draft, event: Human, known: Incident) -> None:
    """An acknowledgement lasts until the incident is over; it ends repeats and escalation."""
    if event.action == "acknowledge":
        changed = replace(known, acknowledgement=Acknowledgement(who=event.who, wall=event.wall, note=event.note, until=event.until))
    elif event.action == "unacknowledge":
        changed = replace(known, acknowledgement=None)
    else:
        changed = replace(known, facts={**known.facts, "note": event.note, "note_by": event.who})
    keep(world, draft, replace(changed, updated=event.wall))
    draft.humans.append(event)


def _open_window(world: World, draft: Draft, event: Human) -> None:
    starts = event.wall if event.starts is None else event.starts
    try:
        matcher = parse(event.matcher)
    except WrongMatcher:
        return
    if event.until is None or not 0 < event.until - starts <= LONGEST_WINDOW_SECONDS:
        return
    window = Window(
        id=world.next_window_id,
        kind="silence" if event.action == "silence" else "maintenance",
        matcher=str(matcher),
        starts=starts,
        ends=event.until,
        who=event.who,
        note=event.note,
    )
    world.windows[window.id] = window
    world.next_window_id += 1
    draft.humans.append(replace(event, window=window.id))
