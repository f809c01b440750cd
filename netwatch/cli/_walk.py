"""Asks an agent for everything below an OID, with the address and the secrets of the inventory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwatch.cli._common import loaded
from netwatch.cli._output import Exit, fail, text
from netwatch.model import Check
from probes import ProbeFailed, ProbeMisconfigured, Shared
from probes import Target as Aim
from probes._snmp_session import Sizes, Value, Walk
from probes._snmp_text import clean
from probes.snmp import Snmp

__all__ = ["shown", "walked"]

SECONDS = 120.0


def walked(file: Path, path: str, oid: str, most: int) -> tuple[list[dict[str, str]], str]:
    """The rows, and why there may be more of them. Raises Failed."""
    if not re.fullmatch(r"[0-2](\.\d{1,10}){1,127}", oid):
        fail(Exit.USAGE, text("devices.no_oid", oid=oid[:60]))
    site, _, device = path.partition("/")
    checks = loaded(file).checks.values()
    check = next((one for one in checks if (one.site, one.target) == (site, device) and isinstance(one.probe, Snmp)), None)
    if check is None:
        fail(Exit.NO_INPUT, text("devices.no_agent", path=path[:60]))
    try:
        found = asyncio.run(_walk(check, oid, most))
    except ProbeFailed as failed:
        turned_away = isinstance(failed, ProbeMisconfigured)
        fail(Exit.NO_PERMISSION if turned_away else Exit.FAILED, text("devices.failed", address=check.address, code=failed.code))
    return [{"oid": f"{oid}.{index}", "value": shown(value)} for index, value in found.rows.items()], found.flaw


def shown(value: Value) -> str:
    """As a person reads it: text that is text, else its octets."""
    if isinstance(value, bytes):
        readable = clean(value)
        plain = all(octet >= 32 or octet in b"\t\n\r" for octet in value.rstrip(b"\0")) and "\ufffd" not in readable
        return readable if plain else value[:128].hex(" ")
    return str(value)


async def _walk(check: Check, oid: str, most: int) -> Walk:
    probe: Any = check.probe
    shared = Shared()
    secrets: Mapping[str, Any] = check.secrets
    try:
        aim = Aim(address=check.address, deadline=asyncio.get_running_loop().time() + SECONDS, secrets=secrets)
        with probe.session(aim, shared, Sizes()) as session:
            found: Walk = await session.walk(oid, most)
            return found
    finally:
        await shared.aclose()
