"""`netwatch line assist`: a link with which somebody at a site measures its lines."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from netwatch.cli._common import loaded
from netwatch.cli._output import Exit, fail, text, words
from netwatch.cli.db import StateOption

__all__ = ["assist"]


def assist(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site's id or name.")],
    file: Annotated[
        Path | None, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory; else ./inventory.yaml.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Prints a link, good for 24 hours, to a page that measures the site's lines from any PC or phone there.

    What it finds is recorded as assisted: it may prove a line, and never refutes one alone. It runs on the machine of the daemon.

    Examples: netwatch line assist na-tau · netwatch line assist "Nà Tấu" --state /var/lib/netwatch

    Exit codes: 0 done · 66 no such site, no line to test, or no key · 77 no permission · 78 the inventory is not sound
    """
    from zoneinfo import ZoneInfo

    from netwatch import assisted, links, paths
    from netwatch.cli._lookup import called, slug_like
    from netwatch.cli.doctor import default_inventory
    from netwatch.lang import writing

    known = loaded(file or default_inventory(Path.cwd()))
    wanted = slug_like(site)
    found = next((one for one in known.sites.values() if called(one, wanted)), None)
    if found is None:
        fail(Exit.NO_INPUT, text("line.no_site", site=site[:60]))
    if not any(one.test for one in found.lines.values()):
        fail(Exit.NO_INPUT, text("line_page.nothing", site=found.id))
    if links.leads_here(known.settings.page_url):
        fail(Exit.BAD_CONFIG, text("line_page.here_only"))
    directory = state or paths.state_directory(os.environ)
    try:
        key = (directory / links.KEY_NAME).read_bytes()
    except PermissionError:
        fail(Exit.NO_PERMISSION, text("line_page.no_key", directory=directory))
    except OSError:
        fail(Exit.NO_INPUT, text("line_page.no_key", directory=directory))
    ends = time.time() + assisted.LIFE_SECONDS
    print(text("line_page.sent", site=found.name, until=writing.stamp(ends, words(), ZoneInfo(known.settings.timezone))))
    print(f"{known.settings.page_url.rstrip('/')}/line-test/{found.id}?k={assisted.token(key, found.id, ends)}")
