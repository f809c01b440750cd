"""`netwatch inventory suggest-parents`: what LLDP says of what stands behind what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli._common import loaded
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netwatch.model import Site

__all__ = ["suggest_parents", "suggestion"]


def suggest_parents(
    file: Annotated[Path, typer.Argument(envvar="NETWATCH_INVENTORY", help="The inventory: a file, or a folder of them.")] = Path(
        "inventory.yaml"
    ),
    site: Annotated[str, typer.Option("--site", help="Only this site, by its id.")] = "",
) -> None:
    """Asks the devices who stands next to them (LLDP) and writes the parents that differ from the inventory's, as YAML.

    Nothing is changed: look at it, then put it into the inventory. What is hidden behind what decides who is paged.

    Examples: netwatch inventory suggest-parents · netwatch inventory suggest-parents --site na-tau > parents.yaml

    Exit codes: 0 done · 66 no such file or site · 78 bad inventory
    """
    import asyncio

    from netwatch.cli import _neighbours

    found = loaded(file)
    sites = [one for one in found.sites.values() if site in {"", one.id}]
    if not sites:
        fail(Exit.NO_INPUT, text("devices.no_site", site=site[:60]))
    told, failed = asyncio.run(_neighbours.ask_all(sites, found.checks.values()))
    lines = [line for one in sites for line in suggestion(one, told[one.id])]
    if lines:
        print("\n".join(["sites:", *lines]))
    for device, code in sorted(failed.items()):
        print(f"netwatch: {text('devices.failed', address=device, code=code)}", file=sys.stderr)
    print(text("devices.suggested", asked=sum(map(len, told.values())), count=sum("parent:" in line for line in lines)), file=sys.stderr)


def suggestion(site: Site, told: Mapping[str, object]) -> list[str]:
    """What of a site's parents would change, and the neighbours that the inventory does not know, as lines of YAML."""
    from netwatch.cli import _neighbours
    from netwatch.lang import writing

    links, strangers = _neighbours.links_of(told, {one.id: one.address for one in site.devices.values()})  # type: ignore[arg-type]  # Told; its module is slow to load
    roots = [one.id for one in site.devices.values() if not any(parent in site.devices for group in one.parents for parent in group)]
    parents = _neighbours.parents_of(links, roots)
    lines = [
        f"      {device}: {{parent: {_written(group)}}}"
        for device, group in sorted(parents.items())
        if (group,) != tuple(tuple(sorted(one)) for one in site.devices[device].parents)
    ]
    lines += [
        f"      # {text('devices.stranger', device=device, neighbour=writing.clean(name, 60))}"
        for device, names in sorted(strangers.items())
        for name in sorted(names)
    ]
    return [f"  {site.id}:", "    devices:", *lines] if lines else []


def _written(group: Sequence[str]) -> str:
    return group[0] if len(group) == 1 else f"[{', '.join(group)}]"
