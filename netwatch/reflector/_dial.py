"""Dials the hub and waits there for tests, where nothing can listen at the site: behind a NAT, or a carrier's."""

from __future__ import annotations

import contextlib
import logging
import random
import select
import socket
import time
from collections.abc import Callable

from netwatch.reflector._server import Reflector
from probes._control import Control, Gone, Turned, dial
from probes._wire.capacity import BadFrame, Denied, GoOn, Refusal, Request

__all__ = ["Dialler", "pause_seconds"]

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0  # the hub asks every 20: it, the line or the NAT's memory is gone
LEAST_SECONDS, MOST_SECONDS = 1.0, 60.0
UNKNOWN_SECONDS = 15.0  # a hub that has just started learns its sites with their first test, which does not wait long
REPLACED_SECONDS = 600.0  # two of one name must not take turns
WAKE_SECONDS = 0.5
log = logging.getLogger(__name__)


def pause_seconds(failures: int, refusal: Refusal | None, chance: float) -> float:
    """How long to wait after so many failures in a row; `chance` in [0, 1) spreads 45 sites that all lost the hub at once."""
    if refusal is Refusal.REPLACED:
        most = REPLACED_SECONDS
    elif refusal is Refusal.UNKNOWN:
        most = min(LEAST_SECONDS * 2.0 ** min(failures, 10), UNKNOWN_SECONDS)
    else:
        most = min(LEAST_SECONDS * 2.0 ** min(failures, 10), MOST_SECONDS)
    return most * (0.5 + chance / 2)


class Dialler:
    """`run` until `close` is called from anywhere."""

    def __init__(
        self, reflector: Reflector, host: str, port: int, name: bytes, token: bytes, chance: Callable[[], float] = random.random
    ) -> None:
        self._reflector, self._host, self._port, self._name, self._token, self._chance = reflector, host, port, name, token, chance
        self._wake_read, self._wake_write = socket.socketpair()
        self._closed = False

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._wake_write.send(b"x")

    def run(self) -> None:
        failures = 0
        with self._wake_read, self._wake_write:
            while not self._closed:
                refusal = None
                try:
                    with socket.create_connection((self._host, self._port), CONNECT_SECONDS) as connection:
                        control = dial(connection, self._name, self._token)
                        failures = 0
                        log.info("dialled in at %s:%d as %s", self._host, self._port, self._name.decode())
                        self._serve(control)
                except Turned as turned:
                    refusal = turned.refusal
                    log.warning("%s:%d: %s", self._host, self._port, refusal.name.lower())
                except (OSError, BadFrame) as error:
                    log.info("%s:%d: %s", self._host, self._port, error)
                else:
                    continue
                self._pause(pause_seconds(failures, refusal, self._chance()))
                failures += 1

    def _serve(self, control: Control) -> None:
        """Waits for one test and runs it; returns when closed as well."""
        heard = time.monotonic()
        while not self._closed:
            ready, _, _ = select.select([control.connection, self._wake_read], [], [], WAKE_SECONDS)
            if control.connection in ready:
                heard = time.monotonic()
                for message in control.poll():
                    if isinstance(message, Request):
                        self._reflector.take(control, message, dialled=True)
                        return
                    self._reply(control, message)
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise Gone("the hub says nothing any more")

    def _reply(self, control: Control, message: object) -> None:
        if isinstance(message, Denied):
            known = {one.value: one for one in Refusal}
            raise Turned(known.get(message.refusal, Refusal.REQUEST), message.limit)
        if not isinstance(message, GoOn):
            raise BadFrame(f"{type(message).__name__} was not asked for")
        control.send(GoOn())

    def _pause(self, seconds: float) -> None:
        select.select([self._wake_read], [], [], seconds)
