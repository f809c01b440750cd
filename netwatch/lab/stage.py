"""How an inventory is put on the lab's stage: its addresses, its community, its ports, a quicker pace."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netwatch.model import Check, Inventory

__all__ = ["DEMO_ENVIRONMENT", "HASTE_SECONDS", "SITE_NETS", "hastened"]

DEMO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({"NETWATCH_SNMP_COMMUNITY": "lab"})
SITE_NETS: Mapping[str, str] = MappingProxyType({"namespaces": "10.45.{n}.0/24", "loopback": "127.45.{n}.0/24"})
HASTE_SECONDS = 10.0
PORTS_OF_LAB = frozenset({"snmp", "tcp", "http"})


def hastened(inventory: Inventory, port_offset: int) -> Inventory:
    """The inventory with slow checks made quicker, holds of what SNMP tells shortened, and ports where the lab's devices have them."""
    return replace(inventory, checks={name: _hasten(check, port_offset) for name, check in inventory.checks.items()})


def _hasten(check: Check, port_offset: int) -> Check:
    probe = check.probe
    if port_offset and check.kind in PORTS_OF_LAB:
        moved: Any = copy.copy(probe)
        moved.port = (moved.port or 0) + port_offset
        probe = moved
    # The rules of echoes stay: their long look keeps one lossy train at the start of a cut from being a lossy line.
    interval = min(check.interval_seconds, max(HASTE_SECONDS, check.timeout_seconds + 1))
    rules = (
        tuple(replace(rule, hold_seconds=min(rule.hold_seconds, HASTE_SECONDS)) for rule in check.rules)
        if check.kind == "snmp"
        else check.rules
    )
    return replace(check, probe=probe, interval_seconds=interval, rules=rules)
