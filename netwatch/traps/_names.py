"""What well-known notifications are called in their MIBs."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LINK_TRAPS", "name_of"]

NAMES: Mapping[str, str] = {
    "1.3.6.1.6.3.1.1.5.1": "coldStart",  # SNMPv2-MIB
    "1.3.6.1.6.3.1.1.5.2": "warmStart",
    "1.3.6.1.6.3.1.1.5.3": "linkDown",  # IF-MIB
    "1.3.6.1.6.3.1.1.5.4": "linkUp",
    "1.3.6.1.6.3.1.1.5.5": "authenticationFailure",
    "1.3.6.1.6.3.1.1.5.6": "egpNeighborLoss",  # RFC 1157
    "1.3.6.1.2.1.33.2.1": "upsTrapOnBattery",  # UPS-MIB, RFC 1628
    "1.3.6.1.2.1.33.2.2": "upsTrapTestCompleted",
    "1.3.6.1.2.1.33.2.3": "upsTrapAlarmEntryAdded",
    "1.3.6.1.2.1.33.2.4": "upsTrapAlarmEntryRemoved",
    "1.3.6.1.2.1.17.0.1": "newRoot",  # BRIDGE-MIB, RFC 4188
    "1.3.6.1.2.1.17.0.2": "topologyChange",
    "1.3.6.1.2.1.43.18.2.0.1": "printerV2Alert",  # Printer-MIB, RFC 3805
    "1.3.6.1.2.1.47.2.0.1": "entConfigChange",  # ENTITY-MIB, RFC 6933
    "1.3.6.1.2.1.105.0.1": "pethPsePortOnOffNotification",  # POWER-ETHERNET-MIB, RFC 3621
    "1.3.6.1.2.1.105.0.2": "pethMainPowerUsageOnNotification",
    "1.3.6.1.2.1.105.0.3": "pethMainPowerUsageOffNotification",
}
LINK_TRAPS = frozenset({"1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.4"})


def name_of(oid: str) -> str:
    """Its name, or the OID itself when nobody told us."""
    return NAMES.get(oid, oid)
