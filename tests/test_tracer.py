"""Which incidents are traced, and how many at a time."""

import asyncio
import dataclasses

import pytest

from netwatch.hops import PathFailed
from netwatch.model import Cause, Hop, Incident, Subject
from netwatch.tracer import KEPT_FOR_SHARED, MINUTE_SECONDS, MOST_A_MINUTE, Tracer, aim
from tests.worlds import inventory

WALL = 1_795_000_000.0
SITES = tuple(f"site{number}" for number in range(45))
KNOWN = inventory(*SITES, lines=("line", "backup"))
FOUND = (Hop("10.0.0.1", (0.001,)), None)


def incident(number=0, cause="site", members=None, **changes):
    name = SITES[number]
    made = Incident(
        id=number + 1,
        key=f"netwatch/{name}",
        cause=Cause(cause, name),
        sites=(name,),
        severity="critical",
        opened=WALL,
        updated=WALL,
        members=tuple(map(Subject, members or (f"{name}/line/icmp",))),
    )
    return dataclasses.replace(made, **changes)


class Walks:
    """Walks that end when they are told to."""

    def __init__(self):
        self.begun, self.let_go, self.running, self.most = [], asyncio.Event(), 0, 0

    async def __call__(self, address, source):
        self.begun.append((address, source))
        self.running += 1
        self.most = max(self.most, self.running)
        await self.let_go.wait()
        self.running -= 1
        return FOUND


def traced(*offers, walk=None, known=KNOWN):
    """What comes of offers (when, incidents), each of them before any walk ends; and the walks."""

    async def scenario():
        found, walks = [], Walks()
        tracer = Tracer(found.append, wall=lambda: WALL, walk=walk or walks)
        for at, incidents in offers:
            tracer.offer(incidents, known, at)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(tracer.run())
            for _ in range(10):
                await asyncio.sleep(0)
            walks.let_go.set()
            for _ in range(200):
                await asyncio.sleep(0)
            running.cancel()
        return found, walks

    return asyncio.run(scenario())


def numbers(found):
    return sorted(event.incident for event in found)


def test_the_failing_line_of_an_incident_is_traced_once():
    again = incident(hidden=3)
    found, walks = traced((0.0, [incident()]), (1.0, [again]), (400.0, [again]))
    (event,) = found
    assert (event.incident, event.address, event.hops, event.wall) == (1, "127.0.0.1", FOUND, WALL)
    assert walks.begun == [("127.0.0.1", None)]


@pytest.mark.parametrize("cause", ["site", "line", "tag", "carrier", "feeder", "uplink"])
def test_what_is_cut_off_is_traced(cause):
    assert numbers(traced((0.0, [incident(cause=cause)]))[0]) == [1]


@pytest.mark.parametrize("cause", ["device", "check", "netwatch"])
def test_a_device_a_check_and_netwatch_itself_are_not_traced(cause):
    assert traced((0.0, [incident(cause=cause)]))[0] == []


def test_what_has_a_path_already_or_is_over_is_not_traced():
    assert traced((0.0, [incident(0, facts={"path": "1 *"}), incident(1, closed=WALL)]))[0] == []


def test_what_closes_while_it_waits_is_not_traced():
    opened = [incident(number) for number in range(3)]
    found, walks = traced((0.0, opened), (1.0, [incident(2, closed=WALL)]))
    assert numbers(found) == [1, 2]
    assert len(walks.begun) == 2


def test_a_province_that_goes_dark_is_traced_a_few_times_and_not_later_either():
    dark = [incident(number) for number in range(45)]
    found, walks = traced((0.0, dark), (30.0, dark), (10 * MINUTE_SECONDS, dark))
    assert len(found) == MOST_A_MINUTE - KEPT_FOR_SHARED
    assert walks.most == 2


def test_the_cause_they_share_still_has_its_path_traced():
    dark = [incident(number) for number in range(40)]
    shared = [incident(number, cause="tag") for number in range(40, 45)]
    found, _ = traced((0.0, dark), (1.0, shared))
    assert numbers(found) == [1, 2, 3, 4, 41, 42]


def test_a_minute_later_there_is_room_again():
    first, second = [incident(number) for number in range(6)], [incident(number) for number in range(6, 12)]
    assert numbers(traced((0.0, first), (MINUTE_SECONDS - 0.1, second))[0]) == [1, 2, 3, 4]
    assert numbers(traced((0.0, first), (MINUTE_SECONDS, second))[0]) == [1, 2, 3, 4, 7, 8, 9, 10]


def test_a_path_that_cannot_be_traced_is_logged_and_the_next_is_traced(caplog):
    async def walk(address, source):
        if address == "127.0.0.9":
            raise PathFailed("Network is unreachable")
        return FOUND

    checks = dict(KNOWN.checks)
    checks["site0/line/icmp"] = dataclasses.replace(checks["site0/line/icmp"], address="127.0.0.9")
    known = dataclasses.replace(KNOWN, checks=checks)
    found, _ = traced((0.0, [incident(number) for number in range(4)]), walk=walk, known=known)
    assert numbers(found) == [2, 3, 4]
    assert [record.check for record in caplog.records] == ["site0/line/icmp"]


def test_a_line_is_aimed_at_before_anything_else_and_by_an_address_of_the_inventory_only():
    name = SITES[0]
    assert aim(incident(members=(f"{name}/router/icmp", f"{name}/backup/icmp", f"{name}/line/icmp")), KNOWN).id == f"{name}/backup/icmp"
    assert aim(incident(members=(f"{name}/router/icmp",)), KNOWN).id == f"{name}/router/icmp"
    assert aim(incident(members=("gone/line/icmp",)), KNOWN) is None
    checks = {**KNOWN.checks, f"{name}/line/icmp": dataclasses.replace(KNOWN.checks[f"{name}/line/icmp"], address="example.org")}
    named = dataclasses.replace(KNOWN, checks=checks)
    assert aim(incident(), named) is None
    assert aim(incident(members=(f"{name}/line/icmp", f"{name}/backup/icmp")), named).id == f"{name}/backup/icmp"


def test_the_source_of_the_check_is_the_source_of_the_trace():
    checks = {**KNOWN.checks, "site0/line/icmp": dataclasses.replace(KNOWN.checks["site0/line/icmp"], source="127.0.0.7")}
    assert traced((0.0, [incident()]), known=dataclasses.replace(KNOWN, checks=checks))[1].begun == [("127.0.0.1", "127.0.0.7")]
