"""What the REST API of Poly's rooms says: RealPresence Group (6.2) and VideoOS (G7500, Studio X). Pure.

`GET /rest/system`, `/rest/system/status`, `/rest/conferences` as recorded from a Group 500 with 6.2.2.8, which lists `state`, and from a
Studio X30 with 3.10, which lists `stateList`; the words of states are those of the Poly VideoOS REST API reference
(https://support.polycom.com/…/poly-video-restapi.pdf) and of a vendor-made driver for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from probes._wire.json_values import number, text

__all__ = ["ASLEEP", "Calls", "System", "calls", "faults", "in_call", "is_registered", "system"]

LARGEST = 1e12  # of the numbers there are
ASLEEP = "ASLEEP"
PREFIX = "system.status."
PART = re.compile(r"[a-z0-9._-]{1,40}")
MOST_PARTS = 40
# `off` is not set up, `unknown` not known: neither is a fault. `some_up`: not all cameras, not all microphones.
FAULT_OF = {"up": 0.0, "all_up": 0.0, "some_up": 0.5, "down": 1.0, "none_up": 1.0}
REGISTRARS = ("sipserver", "gatekeeper")
BITS_PER_MEGABIT, BITS_PER_KILOBIT, BITS_PER_BYTE = 1_000_000, 1_000, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """None, and empty texts, where the device does not say."""

    state: str = ""
    model: str = ""
    software: str = ""
    serial: str = ""
    name: str = ""
    uptime_seconds: float | None = None
    reboot_needed: bool | None = None
    lan_bytes_per_second: float | None = None
    half_duplex: bool | None = None
    time_server_down: bool | None = None
    remote_battery_low: bool | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    connected: int = 0
    bytes_per_second: float = 0.0  # as agreed, not as it flows


def system(body: Any) -> System | None:
    """None for what is no answer to `GET /rest/system`."""
    if not isinstance(body, Mapping) or not text(body.get("state")):
        return None
    lan = body.get("lanStatus")
    lan = lan if isinstance(lan, Mapping) and lan.get("state") == "LAN_UP" else {}
    speed = number(lan.get("speedMbps"), LARGEST)
    duplex, clock, battery = text(lan.get("duplex")), text(body.get("timeServerState")), text(body.get("rcBatteryCondition"))
    needed = body.get("rebootNeeded")
    return System(
        state=text(body.get("state")),
        model=text(body.get("model")),
        software=text(body.get("softwareVersion")),
        serial=text(body.get("serialNumber")),
        name=text(body.get("systemName")),
        uptime_seconds=number(body.get("uptime"), LARGEST),
        reboot_needed=needed if isinstance(needed, bool) else None,
        lan_bytes_per_second=None if speed is None else speed * BITS_PER_MEGABIT / BITS_PER_BYTE,
        half_duplex=duplex == "HALF" if duplex else None,
        time_server_down=clock == "TIMESERVER_DOWN" if clock else None,
        remote_battery_low=any(word in battery for word in ("LOW", "CRITICAL", "EMPTY")) if battery else None,
    )


def faults(body: Any) -> Mapping[str, float] | None:
    """By part (`sipserver`, `mr.camera`): 0 up, 1 down, 0.5 partly. None for what is no answer to `GET /rest/system/status`."""
    if not isinstance(body, list):
        return None
    found: dict[str, float] = {}
    for part, words in _states(body):
        known = [FAULT_OF[word] for word in words if word in FAULT_OF]
        if known and len(found) < MOST_PARTS:
            found[part] = max(known)
    return found


def is_registered(parts: Mapping[str, float]) -> bool | None:
    """With one of those it is set up for; None where it is set up for none, or does not know yet."""
    known = [parts[one] for one in REGISTRARS if one in parts]
    return min(known) == 0 if known else None


def in_call(body: Any) -> bool | None:
    """As the status says; None where it does not (VideoOS)."""
    words = next((words for part, words in _states(body if isinstance(body, list) else []) if part == "inacall"), [])
    return "on" in words if words else None


def calls(body: Any) -> Calls | None:
    """None for what is no answer to `GET /rest/conferences`."""
    if not isinstance(body, list):
        return None
    connected, kilobits = 0, 0.0
    for one in body:
        connections = one.get("connections") if isinstance(one, Mapping) else None
        for connection in connections if isinstance(connections, list) else []:
            if isinstance(connection, Mapping) and connection.get("state") == "CONNECTED":
                connected += 1
                kilobits += number(connection.get("rate"), LARGEST) or 0.0
    return Calls(connected, kilobits * BITS_PER_KILOBIT / BITS_PER_BYTE)


def _states(body: list[Any]) -> Iterator[tuple[str, list[str]]]:
    for item in body:
        name = text(item.get("name")) if isinstance(item, Mapping) else ""
        part = name.removeprefix(PREFIX).lower()
        if not name.startswith(PREFIX) or not PART.fullmatch(part):
            continue
        told = item.get("state", item.get("stateList"))
        yield part, [word.lower() for word in (told if isinstance(told, list) else [told]) if isinstance(word, str)]
