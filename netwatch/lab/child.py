"""Processes that the lab forks of itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

__all__ = ["end", "fork"]

PR_SET_PDEATHSIG = 1


def fork(main: Callable[[], None]) -> int:
    """Runs `main` in a child that dies with its parent and leaves Ctrl-C to it. Before this process has threads."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        main()
        status = 0
    except BaseException:  # noqa: BLE001  # nothing may return into the parent's code: this process ends here
        traceback.print_exc()
    finally:
        _leave(status)


def end(child: int) -> None:
    """Ends a child and waits for it; one that has gone already is no trouble."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _leave(status: int) -> NoReturn:
    os._exit(status)
