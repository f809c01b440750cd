"""How an inventory is put on the lab's stage: its addresses, its community, its ports, a quicker pace."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netwatch.model import Check, Inventory

__all__ = ["DEMO_ENVIRONMENT", "SITE_NETS", "hastened"]

DEMO_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"NETWATCH_SNMP_COMMUNITY": "lab", "POLY_PASSWORD": "lab", "PEXIP_PASSWORD": "lab"}  # as netwatch/lab/poly.py and pexip.py have them
)
SITE_NETS: Mapping[str, str] = MappingProxyType({"namespaces": "10.45.{n}.0/24", "loopback": "127.45.{n}.0/24"})
PORTS_OF_LAB = frozenset({"snmp", "tcp", "http", "tls", "sip", "h323", "poly", "pexip"})
SIP_PORTS: Mapping[str, int] = MappingProxyType({"udp": 5060, "tcp": 5060, "tls": 5061})


def hastened(inventory: Inventory, port_offset: int, haste_seconds: float | None) -> Inventory:
    """The inventory at a scenario's pace (see `Scenario.haste_seconds`), with ports where the lab's devices have them."""
    return replace(inventory, checks={name: _hasten(_move(check, port_offset), haste_seconds) for name, check in inventory.checks.items()})


def _move(check: Check, port_offset: int) -> Check:
    if not port_offset or check.kind not in PORTS_OF_LAB:
        return check
    moved: Any = copy.copy(check.probe)
    usual = SIP_PORTS[moved.transport] if check.kind == "sip" else 0
    if moved.port is not None or check.kind != "h323":
        moved.port = (moved.port or usual) + port_offset
    if check.kind == "h323" and moved.ras_port is not None:
        moved.ras_port += port_offset
    return replace(check, probe=moved)


def _hasten(check: Check, haste_seconds: float | None) -> Check:
    if haste_seconds is None:
        return check
    # The rules of echoes stay: their long look keeps one lossy train at the start of a cut from being a lossy line.
    interval = min(check.interval_seconds, max(haste_seconds, check.timeout_seconds + 1))
    rules = (
        tuple(replace(rule, hold_seconds=min(rule.hold_seconds, haste_seconds)) for rule in check.rules)
        if check.kind == "snmp"
        else check.rules
    )
    return replace(check, interval_seconds=interval, rules=rules)
