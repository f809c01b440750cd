"""Small inventories for the tests of the loader."""

import textwrap

import pytest

from netwatch import inventory

HEAD = """\
version: 1
plan: {site_net: "10.45.{n}.0/24", hosts: {main: 254, backup: 253, router: 1, switch: 2, pc: 9}}
defaults: {contact: noc, line: {carrier: VNPT, contract: 100 Mbps}}
contacts: {noc: {name: Trực NOC, phone: "113"}}
"""
PROFILES = """\
profiles:
  box: {role: router, checks: {icmp: {probe: icmp}, web: {probe: tcp, port: 443, interval: 30s}}}
  plain: {role: pc, audience: digest, checks: {port: {probe: tcp, port: 22}}}
"""
ROLES = """\
roles:
  commune:
    lines: {main: {}}
    devices: {router: {profile: box}, switch: {profile: box}, pc: {profile: plain, parent: switch}}
"""
SITES = """\
sites:
  na-tau: {n: 34, code: "03316"}
"""


def compose(sites=SITES, *, head=HEAD, profiles=PROFILES, roles=ROLES, more=""):
    return head + profiles + roles + textwrap.dedent(sites) + textwrap.dedent(more)


def load(tmp_path, text, **options):
    path = tmp_path / "inventory.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return inventory.load(path, **{"environment": {}} | options)


def refused(tmp_path, text, **options):
    """What an inventory is refused with; every complaint has been put into words once."""
    with pytest.raises(inventory.InventoryRefused) as caught:
        load(tmp_path, text, **options)
    for complaint in (*caught.value.errors, *caught.value.warnings):
        for language in ("vi", "en"):
            assert complaint.block(language).startswith(complaint.place.file)
    return caught.value


def keys(refusal):
    return {(error.key, error.path) for error in refusal.errors}
