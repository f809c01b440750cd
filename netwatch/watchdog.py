"""Tells systemd how we are: sd_notify(3), and a watchdog that is fed only while real work gets done."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Collection, Mapping

__all__ = ["PARTS", "Notifier", "Watchdog", "stalled"]

log = logging.getLogger(__name__)

PARTS = ("scheduler", "writer", "delivery")


class Notifier:
    """Sends states to the service manager; silent where there is none. Never blocks and never raises."""

    def __init__(self, address: str) -> None:
        """`address` is that of $NOTIFY_SOCKET: a path, or `@name` in the abstract namespace; empty for nobody."""
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Notifier:
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """To be followed by `ready`, whether the reload went well or not."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line, as `systemctl status` shows it."""
        self._send(f"STATUS={' '.join(text.split())}")

    def _send(self, *states: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto("\n".join(states).encode(), self._address)
        except OSError as error:
            # Watching goes on; a ping that is missed for good ends in a restart by systemd.
            log.warning("cannot tell the service manager", extra={"states": states, "error": str(error)})


def stalled(progress: Mapping[str, float], now: float, within_seconds: float) -> tuple[str, ...]:
    """The parts whose last progress is `within_seconds` ago or longer."""
    return tuple(name for name, at in progress.items() if now - at >= within_seconds)


class Watchdog:
    """Pings every half interval, but only when each part has made progress within the interval.

    So a part that hangs gets the daemon restarted, however well the event loop turns. A part that has nothing to do must
    say so by `progress`, too. Making the watchdog counts as progress of each: start-up takes its time.
    """

    def __init__(self, notifier: Notifier, interval_seconds: float, parts: Collection[str] = PARTS) -> None:
        """`interval_seconds` is WatchdogSec of the unit. Wants a running loop, whose clock all times are on."""
        self._notifier = notifier
        self._interval_seconds = interval_seconds
        self._clock = asyncio.get_running_loop().time
        self._progress = dict.fromkeys(parts, self._clock())
        self._stalled: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, notifier: Notifier, environment: Mapping[str, str]) -> Watchdog | None:
        """None when systemd does not watch this process: sd_watchdog_enabled(3)."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        if not (microseconds.isascii() and microseconds.isdigit() and int(microseconds)):
            return None
        if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None
        return cls(notifier, int(microseconds) / 1e6)

    def progress(self, name: str, at: float) -> None:
        """`name` got something done at `at`, on the loop's clock; an older time than the last one changes nothing."""
        self._progress[name] = max(at, self._progress.get(name, at))

    def beat(self, now: float) -> bool:
        """Pings if all is well; otherwise says what is not, and lets systemd's patience run out."""
        behind = stalled(self._progress, now, self._interval_seconds)
        if behind != self._stalled:
            self._stalled = behind
            if behind:
                log.error("no progress; the watchdog is not fed", extra={"parts": behind})
            self._notifier.status(f"no progress: {', '.join(behind)}" if behind else "")
        if behind:
            return False
        self._notifier.alive()
        return True

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self.beat(self._clock())
            await asyncio.sleep(self._interval_seconds / 2)
