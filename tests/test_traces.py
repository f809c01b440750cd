"""What a trace adds to an incident."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.core._traces import PATH_FACTS, take_trace, with_path
from netwatch.core._world import Draft, World
from netwatch.model import Cause, Hop, Incident, Inventory, Subject, Traced

WALL = 1_795_000_000.0
ADDRESS = "10.45.24.254"
NEAR, FAR = Hop("10.0.0.1", (0.0006, 0.0004)), Hop("10.9.9.9", (0.0201,))


def incident(number=7, **changes):
    made = Incident(
        id=number,
        key=f"netwatch/site{number}",
        cause=Cause("site", f"site{number}"),
        sites=(f"site{number}",),
        severity="critical",
        opened=WALL,
        updated=WALL,
        members=(Subject(f"site{number}/line/icmp"),),
        facts={"site_name": "Nà Tấu", "address": ADDRESS},
        sequence=3,
    )
    return dataclasses.replace(made, **changes)


def traced(*hops, number=7, address=ADDRESS):
    return Traced(at=20.0, wall=WALL + 20, incident=number, address=address, hops=hops)


def taken(event, *incidents):
    world = World(inventory=Inventory(sites={}, checks={}), pagers=("noc",), incidents={one.key: one for one in incidents})
    draft = Draft(event.at, event.wall)
    take_trace(world, draft, event)
    return world, draft.effects()


@pytest.mark.parametrize(
    ("hops", "facts"),
    [
        (
            (NEAR, None, FAR, None, None, None, None),
            {"path": "1 10.0.0.1 0.4 ms › 2 * › 3 10.9.9.9 20.1 ms › 4 *", "path_end": "10.9.9.9", "path_hops": "3"},
        ),
        (
            (NEAR, FAR, FAR),
            {"path": "1 10.0.0.1 0.4 ms › 2 10.9.9.9 20.1 ms › 3 10.9.9.9 20.1 ms", "path_end": "10.9.9.9", "path_hops": "2"},
        ),
        ((None, None, None, None), {"path": "1 *"}),
        ((Hop(ADDRESS, ()),), {"path": f"1 {ADDRESS}", "path_end": ADDRESS, "path_hops": "1"}),
    ],
)
def test_the_path_and_who_answered_last_are_facts_of_the_incident_and_nobody_is_paged(hops, facts):
    world, effects = taken(traced(*hops), incident(6), incident(7))
    (told,) = effects.incidents
    assert told == world.incidents["netwatch/site7"]
    assert told == incident(facts={**incident().facts, "path_to": ADDRESS, **facts}, updated=WALL + 20)
    assert (effects.pages, effects.requests, effects.transitions) == ((), (), ())
    assert world.incidents["netwatch/site6"] == incident(6)


def test_a_trace_of_a_closed_incident_and_one_without_a_hop_change_nothing():
    for event in (traced(NEAR, number=8), traced()):
        world, effects = taken(event, incident())
        assert not effects
        assert world.incidents == {"netwatch/site7": incident()}


def test_an_incident_that_grows_keeps_its_path():
    known = taken(traced(NEAR), incident())[1].incidents[0].facts
    grown = with_path(known, {"address": "10.45.24.253", "hidden": "4"})
    assert grown == {
        "address": "10.45.24.253",
        "hidden": "4",
        "path": "1 10.0.0.1 0.4 ms",
        "path_to": ADDRESS,
        "path_end": "10.0.0.1",
        "path_hops": "1",
    }
    assert with_path(incident().facts, {"hidden": "4"}) == {"hidden": "4"}


addresses = st.ip_addresses().map(str)
hops = st.none() | st.builds(Hop, addresses, st.lists(st.floats(0, 2), max_size=2).map(tuple))


@given(st.lists(hops, max_size=20), addresses)
def test_whatever_was_found_is_short_text_that_says_who_answered_last(found, address):
    _, effects = taken(traced(*found, address=address), incident())
    if not found:
        assert not effects
        return
    facts = effects.incidents[0].facts
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) <= {*PATH_FACTS, "site_name", "address"}
    assert len(facts["path"]) < 1_200
    answered = [hop for hop in found if hop]
    assert ("path_end" in facts) is bool(answered)
    if answered:
        assert facts["path_end"] == answered[-1].address
        assert found[int(facts["path_hops"]) - 1].address == answered[-1].address
        assert not any(hop and hop.address == answered[-1].address for hop in found[: int(facts["path_hops"]) - 1])
    distances = [int(part.split()[0]) for part in facts["path"].split(" › ")]
    assert distances == list(range(1, len(distances) + 1))
