"""That we are cut off is told by whoever needs no internet: in the decisions, in a simulation, and as far as the modem's spool."""

import asyncio
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from netwatch import core, inventory
from netwatch.delivery import Delivery, Timing
from netwatch.history import OutboxRow
from netwatch.lab import scenario_file
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.model import Cause, Page, PagerSettings, Reloaded, Subject
from netwatch.route import out_of_band, pagers_for, reachable
from tests.core_machine import watched
from tests.duty_inventory import ENVIRONMENT, PAGERS, written
from tests.inventories import load
from tests.pager_servers import HANG, hostile
from tests.pager_services import Accepts
from tests.test_delivery import Ledger
from tests.test_route import ALL, NOON, at, incident

BENCH = Path(__file__).parent.parent / "bench"
ISOLATED = Cause("uplink", "isolated")
CUT_OFF = incident(cause=ISOLATED)


def entries(**pagers):
    return {name: PagerSettings(name=name, kind="webhook", options=options) for name, options in pagers.items()}


CHAIN = entries(noc={"fallback": "push"}, push={"fallback": "modem"}, chat={}, modem={"out_of_band": True})


def told(pagers, entered, cause=ISOLATED):
    return pagers_for(incident(cause=cause), pagers, replace(watched(["na-tau"]), pagers=entered), at(NOON))


def test_the_modem_is_told_first_and_of_the_others_those_it_does_not_stand_by_for():
    assert told(("noc", "chat"), CHAIN) == ("modem", "chat")
    assert told(("noc", "chat", "modem"), CHAIN) == ("modem", "chat")
    assert told(("noc", "chat"), CHAIN, cause=None) == ("noc", "chat"), "of everything else it is told as ever"


def test_without_a_modem_everybody_is_told_as_ever():
    assert told(("noc", "chat"), entries(noc={"fallback": "chat"}, chat={"out_of_band": False})) == ("noc", "chat")


def test_pagers_that_stand_by_for_each_other_end_the_search():
    round_trip = entries(noc={"fallback": "chat"}, chat={"fallback": "noc"}, modem={"out_of_band": True})
    assert told(("noc",), round_trip) == ("modem", "noc")


@pytest.fixture
def roster(tmp_path):
    """Two who can be told without the internet: `binh-sms`, who escalation names, and `wall`, whom nobody does."""
    marked = PAGERS.replace('/sms", secret: "${S}"', '/sms", secret: "${S}", out_of_band: true')
    marked = marked.replace('/wall", secret: "${S}"', '/wall", secret: "${S}", out_of_band: true')
    return load(tmp_path, written(pagers=marked), environment=ENVIRONMENT)


def test_by_the_roster_the_modems_it_names_are_told_and_else_all_of_them(roster):
    assert out_of_band(roster) == ("binh-sms", "wall")
    others = replace(roster, duty=replace(roster.duty, always=()))
    assert pagers_for(CUT_OFF, ALL, others, at(NOON)) == ("binh-sms", "wall", "an-zalo"), "nobody on duty has one: never silence"
    later = pagers_for(CUT_OFF, ALL, others, at(NOON), 5)
    assert later[0] == "binh-sms"
    assert "wall" not in later
    assert pagers_for(CUT_OFF, ALL, roster, at(NOON), 5)[:2] == ("binh-sms", "wall"), "whom no roster names is always told"


def test_who_may_be_told_are_those_told_as_a_rule_and_the_modems():
    known = replace(watched(["na-tau"]), pagers=CHAIN)
    assert reachable(("noc", "chat"), known) == ("noc", "chat", "modem")
    assert reachable(("modem",), known) == ("modem",)


@cache
def province():
    return inventory.load(BENCH / "alerts-inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})


def simulated(name, pager, pagers=CHAIN):
    """Who was paged of what, in order."""
    known = province()
    scenario = scenario_file.load(BENCH / "scenarios" / f"{name}.yaml", known)
    report = Simulation(scenario, replace(narrow(known, scenario), pagers=pagers), pager=pager).run()
    return [(one.page.pager, one.page.kind, one.page.incident.cause.type) for one in report.records]


def test_in_a_simulated_night_the_modem_tells_of_our_own_cut_and_of_nothing_else():
    assert simulated("uplink", "noc") == [("modem", "open", "uplink"), ("modem", "recover", "uplink")]
    assert simulated("uplink", "chat") == [
        (pager, kind, "uplink") for kind in ("open", "recover") for pager in ("modem", "chat")
    ]  # fmt: skip
    pages = simulated("uplink-while-a-site-is-down", "noc")
    assert {(pager, cause) for pager, _kind, cause in pages} == {("modem", "uplink"), ("noc", "site")}


def test_killed_in_the_middle_the_modem_still_hears_of_the_end():
    pages = simulated("uplink-kill", "noc")
    assert [kind for pager, kind, cause in pages if (pager, cause) == ("modem", "uplink")][-1] == "recover"


def reloaded(world, pagers, entered):
    new = replace(world.inventory, pagers=entered)
    return core.step(world, Reloaded(at=1.0, wall=at(NOON) + 1, generation=world.generation + 1, new=new, pagers=pagers)).pages


def test_a_modem_that_a_reload_brings_is_told_that_we_are_cut_off_and_of_nothing_it_need_not_know():
    world = core.World(inventory=replace(watched(["na-tau"]), pagers=entries(noc={})), pagers=("noc",))
    blind = replace(CUT_OFF, announced=True, told=("noc",), key=core.UPLINK_KEY, members=(Subject("na-tau/line/icmp"),))
    site = replace(incident("na-tau"), id=2, key="netwatch/na-tau", announced=True, told=("noc",), cause=Cause("netwatch", "x"))
    world.incidents = {one.key: one for one in (blind, site)}
    pages = reloaded(world, ("noc",), entries(noc={}, modem={"out_of_band": True}))
    assert [(page.pager, page.kind, page.incident.id) for page in pages if page.kind == "open"] == [("modem", "open", 1)]


def test_the_page_is_in_the_spool_while_the_internet_pager_hangs(tmp_path):
    for name in ("outbox", "sent", "error"):
        (tmp_path / name).mkdir()

    async def scenario():
        async with hostile(Accepts(), default=HANG) as server:
            hook = {"url": server.url, "secret": ENVIRONMENT["S"], "fallback": "modem"}
            sms = {"directory": str(tmp_path), "numbers": ("0912345678",), "out_of_band": True, "drain_seconds": 30.0}
            known = replace(
                watched(["na-tau"]),
                pagers={
                    "noc": PagerSettings(name="noc", kind="webhook", options=hook),
                    "modem": PagerSettings(name="modem", kind="sms_spool", options=sms),
                },
            )
            delivery = Delivery(Ledger(), wall=lambda: at(NOON), timing=Timing(deadline_seconds=20.0, stop_seconds=0.1))
            delivery.configure(known.pagers)
            assert delivery.event_pagers() == ("noc",), "the modem only stands by"
            pages = tuple(rows_for(CUT_OFF, delivery.event_pagers(), known))
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                running = group.create_task(delivery.run())
                delivery.accept(pages)
                while not list((tmp_path / "outbox").glob("*")):  # noqa: ASYNC110  # the modem's own program has no event either
                    await asyncio.sleep(0.02)
                delivery.stop()
                await running
            assert server.asked == 0

    asyncio.run(scenario())


def rows_for(cut_off, usual, known):
    for number, name in enumerate(pagers_for(cut_off, usual, known, at(NOON)), 1):
        yield OutboxRow(id=number, page=Page(incident=replace(cut_off, sequence=1), kind="open", wall=at(NOON), pager=name))
