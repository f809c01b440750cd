"""Where a test can make this process die as by kill -9: `NETWATCH_CRASH_AT=after-commit:3` dies the third time it gets there.

Without the variable nothing is counted. The points, in the order of a page's life:

    in-migration       the tables are made or changed, not yet committed
    while-starting     all is restored, nothing is watched yet
    before-commit      pages are decided, and only in memory
    in-commit          they are written, and not yet committed
    after-commit       they are on the disk, delivery does not know them
    before-send        their attempt begins
    after-send         the pager has taken them, nobody has noted it
    before-receipt     what came of the attempt is about to be written
    after-receipt      it is on the disk
    before-reload      a new inventory is read, the old one is in force
    during-reload      its pagers are in force, its checks are not
    during-checkpoint  the log is being moved into the file
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable

__all__ = ["POINTS", "VARIABLE", "reached", "soon_after"]

VARIABLE = "NETWATCH_CRASH_AT"
POINTS = (
    "in-migration",
    "while-starting",
    "before-commit",
    "in-commit",
    "after-commit",
    "before-send",
    "after-send",
    "before-receipt",
    "after-receipt",
    "before-reload",
    "during-reload",
    "during-checkpoint",
)
SOON_SECONDS = 0.0005


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon() -> None:
    """From another thread, in the middle of what comes next."""
    threading.Timer(SOON_SECONDS, die).start()


def _watch(wanted: str, act: Callable[[], None]) -> Callable[[str], None]:
    """What is called at each point. Raises ValueError for a point there is none of."""
    name, _, number = wanted.partition(":")
    if not name:
        return _pass_by
    if name not in POINTS:
        raise ValueError(f"{VARIABLE}: there is no {name}; there are {', '.join(POINTS)}")
    times = itertools.count(1)

    def watch(point: str) -> None:
        if point == name and next(times) == int(number or 1):
            act()

    return watch


def _pass_by(_point: str) -> None:
    """Almost always."""


reached = _watch(os.environ.get(VARIABLE, ""), die)
soon_after = _watch(os.environ.get(VARIABLE, ""), die_soon)
