"""A small hand-made inventory for tests of the lab: three sites on one ring, one of them with a backup line."""

from netwatch.model import Check, Device, Inventory, Line, Site
from probes.tcp import Tcp

DEVICES = {
    "router": ("router", 1),
    "switch": ("switch", 2),
    "ap1": ("wifi-ap", 5),
    "vc": ("vc", 10),
    "printer1": ("printer", 21),
    "ups": ("ups", 40),
}


def site(number, name, ring="north", *, backup=False, net="10.45"):
    net = f"{net}.{number}"
    lines = {"main": Line(id="main", address=f"{net}.254", carrier="vnpt", contract_down_bits_per_second=100e6)}
    if backup:
        lines["backup"] = Line(id="backup", address=f"{net}.253", carrier="viettel", role="backup", contract_down_bits_per_second=30e6)
    devices = {}
    for device, (role, octet) in DEVICES.items():
        parents = {"router": (tuple(lines),), "switch": (("router",),)}.get(device, (("switch",),))
        devices[device] = Device(id=device, address=f"{net}.{octet}", profile=role, role=role, parents=parents)
    return Site(id=name, name=name.title(), tags={"ring": ring, "feeder": "f1"}, district=ring, lines=lines, devices=devices)


def inventory(net="10.45"):
    made_sites = site(1, "alpha", net=net), site(2, "beta", backup=True, net=net), site(3, "gamma", ring="south", net=net)
    sites = {made.id: made for made in made_sites}
    checks = {}
    for made in sites.values():
        check = Check(
            id=f"{made.id}/vc/sip", site=made.id, target="vc", name="sip", kind="tcp", probe=Tcp(port=5060),
            address=made.devices["vc"].address, interval_seconds=10, timeout_seconds=2, retry_seconds=2,
        )  # fmt: skip
        checks[check.id] = check
    return Inventory(sites=sites, checks=checks)
