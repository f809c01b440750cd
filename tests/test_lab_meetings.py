"""Devices of video meetings in the lab, asked by the real probes over the network: what faults do to them is what is measured."""

import asyncio
import dataclasses
import time

import pytest

from netwatch.lab import pexip, poly, sip
from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.measure import measure
from netwatch.lab.meetings import Meetings, own_certificate
from netwatch.lab.responders import Responders
from netwatch.lab.server import lab_services
from netwatch.lab.stage import hastened
from netwatch.lab.world import WorldModel
from netwatch.model import Check, Device, Inventory, Line, Outcome, Rule, Secret, Site
from netwatch.runner import Runner
from probes.h323 import H323
from probes.pexip import Pexip
from probes.poly import Poly
from probes.sip import Sip
from probes.tls import Tls
from tests.sip_peer import reply

pytestmark = pytest.mark.needs_private_network

OFFSET = 10_000
LAB_PASSWORD = {"password": Secret(poly.PASSWORD)}
CHECKS = {
    "vc": {
        "rest": ("poly", Poly(verify=False), LAB_PASSWORD),
        "sip": ("sip", Sip(), {}),
        "sip-tcp": ("sip", Sip(transport="tcp"), {}),
        "sip-tls": ("sip", Sip(transport="tls", verify=False), {}),
        "call": ("h323", H323(), {}),
        "web": ("tls", Tls(port=8443, verify=False), {}),
    },
    "pexip": {
        "status": ("pexip", Pexip(user=pexip.USER, verify=False, rooms=["alpha@lab", "beta@lab"]), {"password": Secret(pexip.PASSWORD)})
    },
    "gk": {"ras": ("h323", H323(port=None, ras_port=1719, lookup="alpha"), {})},
}
ROLES = {"vc": "conference", "pexip": "pexip", "gk": "gatekeeper"}


def site(number, name, targets):
    net = f"127.45.{number}"
    devices = {
        target: Device(id=target, address=f"{net}.{10 + octet}", profile=target, role=ROLES[target], parents=(("main",),))
        for octet, target in enumerate(targets)
    }
    return Site(id=name, name=name.title(), lines={"main": Line(id="main", address=f"{net}.254")}, devices=devices)


def inventory():
    sites = {one.id: one for one in (site(1, "alpha", ["vc"]), site(2, "beta", ["vc"]), site(250, "hub", ["pexip", "gk"]))}
    checks = {}
    for one in sites.values():
        for device in one.devices.values():
            for name, (kind, probe, secrets) in CHECKS[device.id].items():
                check = Check(
                    id=f"{one.id}/{device.id}/{name}", site=one.id, target=device.id, name=name, kind=kind,
                    probe=dataclasses.replace(probe), address=device.address, interval_seconds=60, timeout_seconds=10, retry_seconds=10,
                    secrets=secrets,
                )  # fmt: skip
                checks[check.id] = check
    return Inventory(sites=sites, checks=checks)


class Asked:
    """The results of checks, before and after faults, by check id; of each its samples."""

    def __init__(self, faults, wanted):
        self.before, self.after = asyncio.run(self._run(faults, wanted))

    async def _run(self, faults, wanted):
        world = WorldModel(Scenario(name="x", duration_seconds=600), inventory())
        began = time.monotonic()
        meetings = Meetings(world, lambda: time.monotonic() - began, time.time)
        responders = Responders(tuple(lab_services(world.inventory)), world.alive, meetings, OFFSET)
        checks = hastened(world.inventory, OFFSET, None).checks
        runner = Runner(time.time)
        try:
            await responders.refresh()
            before = {name: await runner.run(checks[name]) for name in wanted}
            for fault in faults:
                world.apply(fault)
            await responders.refresh()
            # A probe of its own for each run: what a server asked for (Retry-After) is not what is tested here.
            checks = hastened(inventory(), OFFSET, None).checks
            return before, {name: await runner.run(checks[name]) for name in wanted}
        finally:
            responders.close()
            await runner.aclose()
            await asyncio.sleep(0)


def fault(kind, site="", device="", **values):
    return Fault(at_seconds=0, kind=kind, where=Where(site=site, device=device), values=values)


def values(result):
    return {(sample.name, sample.instance): sample.values[0] for sample in result.samples}


ALL = tuple(inventory().checks)


def test_all_is_well_at_first():
    for name, result in Asked([], ALL).before.items():
        assert (name, result.outcome, result.detail) == (name, Outcome.OK, "")


def test_a_room_that_is_unplugged_answers_nothing_and_is_registered_nowhere():
    asked = Asked([fault("power", "alpha", "vc", state="off")], ALL)
    failed = {name for name, result in asked.after.items() if result.outcome is Outcome.FAILED}
    assert failed == {name for name in ALL if name.startswith("alpha/vc/")}
    status = values(asked.after["hub/pexip/status"])
    assert (status["pexip_room_registered", "alpha@lab"], status["pexip_room_registered", "beta@lab"]) == (0, 1)
    assert values(asked.after["hub/gk/ras"])["h323_registered", ""] == 0


def test_a_lost_registration_is_told_by_the_room_the_platform_and_the_gatekeeper():
    wanted = ("alpha/vc/rest", "beta/vc/rest", "alpha/vc/sip", "hub/pexip/status", "hub/gk/ras")
    asked = Asked([fault("registration", "alpha", "vc", state="lost")], wanted)
    assert values(asked.before["alpha/vc/rest"])["poly_registered", ""] == 1
    assert values(asked.after["alpha/vc/rest"])["poly_registered", ""] == 0
    assert values(asked.after["beta/vc/rest"])["poly_registered", ""] == 1
    assert values(asked.after["hub/pexip/status"])["pexip_room_registered", "alpha@lab"] == 0
    assert values(asked.after["hub/gk/ras"])["h323_registered", ""] == 0
    assert asked.after["alpha/vc/sip"].outcome is Outcome.OK


@pytest.mark.parametrize("name", ["sip", "sip-tcp", "sip-tls"])
def test_a_room_that_takes_no_calls_says_so_by_sip(name):
    asked = Asked([fault("calls", "alpha", "vc", state="refused")], (f"alpha/vc/{name}", f"beta/vc/{name}"))
    refusing = [values(one)["sip_refusing", ""] for one in (asked.before[f"alpha/vc/{name}"], *asked.after.values())]
    assert refusing == [0, 1, 0]


def test_licences_that_are_used_up_are_an_alarm_of_the_platform():
    asked = Asked([fault("licences", "hub", "pexip", ratio=1.0)], ("hub/pexip/status",))
    before, after = (values(one["hub/pexip/status"]) for one in (asked.before, asked.after))
    assert (before["pexip_licences_left", "port"], before["pexip_alarms", "error"]) == (47, 0)
    assert (after["pexip_licence_ratio", "port"], after["pexip_licences_left", "port"], after["pexip_alarms", "error"]) == (1, 0, 1)


def test_a_device_that_is_mended_is_as_before():
    state = [fault("registration", "alpha", "vc", state="lost"), fault("registration", "alpha", "vc", state="ok")]
    state += [fault("calls", "alpha", "vc", state="refused"), fault("calls", "alpha", "vc", state="taken")]
    asked = Asked(state, ("alpha/vc/rest", "alpha/vc/sip"))
    assert values(asked.after["alpha/vc/rest"])["poly_registered", ""] == 1
    assert values(asked.after["alpha/vc/sip"])["sip_refusing", ""] == 0


def test_without_a_room_named_every_room_of_the_place_is_struck():
    world = WorldModel(Scenario(name="x", duration_seconds=600), inventory())
    world.apply(fault("registration", "*", state="lost"))
    assert world.troubles() == ("alpha/vc: not registered", "beta/vc: not registered")


def test_a_simulation_measures_the_same():
    world = WorldModel(Scenario(name="x", duration_seconds=600), inventory())
    for one in (
        fault("registration", "alpha", "vc", state="lost"), fault("calls", "alpha", "vc", state="refused"),
        fault("licences", "hub", "pexip", ratio=0.95),
    ):  # fmt: skip
        world.apply(one)
    rules = (
        ("alpha/vc/rest", Rule(name="r", metric="poly_registered", compare="below", crit=0), 0.0),
        ("beta/vc/rest", Rule(name="r", metric="poly_registered", compare="below", crit=0), 1.0),
        ("alpha/vc/sip", Rule(name="r", metric="sip_refusing", compare="above", warn=1), 1.0),
        ("hub/pexip/status", Rule(name="r", metric="pexip_licence_ratio", compare="above", warn=0.9, instance="port"), 0.95),
    )
    for name, rule, value in rules:
        check = dataclasses.replace(world.inventory.checks[name], rules=(rule,))
        (sample,) = measure(check, world, "schedule", lambda: 0.5).samples
        assert sample.values == (value,)


def test_services_are_those_that_the_inventory_asks_for():
    found = {(one.device, one.port, one.kind) for one in lab_services(inventory())}
    assert found == {
        ("vc", 443, "poly"), ("vc", 5060, "sip-udp"), ("vc", 5060, "sip-tcp"), ("vc", 5061, "sip-tls"), ("vc", 1720, "hold"), ("vc", 8443, "tls"),
        ("pexip", 443, "pexip"), ("gk", 1719, "ras"),
    }  # fmt: skip


def test_ports_move_as_the_labs_devices_do():
    moved = hastened(inventory(), OFFSET, None).checks
    ports = {name.partition("/")[2]: (check.probe.port, getattr(check.probe, "ras_port", None)) for name, check in moved.items()}
    assert ports == {
        "vc/rest": (10443, None), "vc/sip": (15060, None), "vc/sip-tcp": (15060, None), "vc/sip-tls": (15061, None), "vc/call": (11720, None), "vc/web": (18443, None),
        "pexip/status": (10443, None), "gk/ras": (None, 11719),
    }  # fmt: skip


def test_only_options_is_answered_and_as_a_server_must():
    request = b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKb\r\nFrom: <sip:a>;tag=t\r\nTo: <sip:h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
    assert sip.answer(b"INVITE sip:h SIP/2.0\r\n\r\n", takes_calls=True) == b""
    told = sip.answer(request, takes_calls=False).decode()
    assert told.startswith("SIP/2.0 503 ")
    assert "To: <sip:h>;tag=lab\r\n" in told
    for line in reply(request).decode().split("\r\n")[1:5]:
        assert line.split(";tag")[0] in told


def test_a_certificate_of_its_own_can_be_made_again_and_again():
    assert own_certificate() is not own_certificate()
