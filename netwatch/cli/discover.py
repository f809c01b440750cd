"""`netwatch inventory discover`: what answers in a site's network and is not in the inventory."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit, Failed, fail, text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from netwatch.cli._discovery import Found

__all__ = ["discover", "proposal"]


def discover(
    site: Annotated[str, typer.Argument(help="The site's id or name.")],
    file: Annotated[
        Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory: a file, or a folder.")
    ] = Path("inventory.yaml"),
) -> None:
    """Looks for devices in a site's own network that are not in the inventory, and proposes them as YAML.

    At most 1,024 addresses of that network are pinged, 200 echoes a second; only those that answer are asked more: a few
    TCP ports, and SNMP as the site speaks it. Nothing outside the network is touched, and nothing is written.

    Examples: netwatch inventory discover na-tau · netwatch inventory discover na-tau > inventory.d/new.yaml

    Exit codes: 0 done · 66 no such site or file · 77 no permission to ping · 78 the file is not sound, or the network too large
    """
    import asyncio

    from netwatch import inventory
    from netwatch.cli import _discovery, inventory_tools

    known = inventory_tools.load(file)
    name = _named(site, {one.id: one.name for one in known.sites.values()})
    network = inventory.networks(file, environment=os.environ)[name]
    taken = {check.address for check in known.checks.values()}
    try:
        addresses = _discovery.candidates(network, taken)
    except ValueError:
        fail(Exit.BAD_CONFIG, text("tools.discover_too_large", network=network, limit=_discovery.MOST_ADDRESSES))
    print(text("tools.discover_looking", count=len(addresses), network=network), file=sys.stderr, flush=True)
    profiles = {device.profile for one in known.sites.values() for device in one.devices.values()}
    snmp = next((check for check in known.checks.values() if check.kind == "snmp" and check.site == name), None)
    try:
        found = asyncio.run(_discovery.explore(addresses, _discovery.ports_of(profiles), snmp))
    except PermissionError as error:
        from netwatch.doctor import PING_EVERYBODY

        fail(Exit.NO_PERMISSION, text("probe.not_permitted", error=error.strerror, command=PING_EVERYBODY))
    if not found:
        print(text("tools.discover_none", network=network), file=sys.stderr)
        return
    sys.stdout.write(proposal(name, found, profiles))
    print(text("tools.discover_found", count=len(found)), file=sys.stderr)


def _named(wanted: str, names: dict[str, str]) -> str:
    from netwatch.cli._lookup import nearest, slug_like

    for one, name in names.items():
        if slug_like(wanted) in {one, slug_like(name)}:
            return one
    near = nearest(wanted, names.items())
    raise Failed(Exit.NO_INPUT, text("tools.discover_no_site", name=wanted, near=", ".join(near) or "-"))


def proposal(site: str, found: Sequence[Found], profiles: Collection[str]) -> str:
    """As it may stand in a file of its own; a device whose kind nobody can tell is a comment."""
    from netwatch.cli._discovery import guess
    from netwatch.lang import writing

    lines = ["sites:", f"  {site}:", "    devices:"]
    for one in found:
        said = [text("tools.discover_ping", rtt=writing.seconds(one.rtt_seconds, _output.words()))]
        said += [text("tools.discover_port", port=port) for port in one.ports] + ([writing.clean(one.name, 60)] if one.name else [])
        profile = guess(one, profiles)
        key = "new-" + one.address.replace(".", "-").replace(":", "-").strip("-")
        entry = f"{{address: {json.dumps(one.address)}, profile: {profile or '?'}}}"
        lines.append(f"    {'  ' if profile else '# '}{key}: {entry}  # {', '.join(said)}")
    return "\n".join(lines) + "\n"
