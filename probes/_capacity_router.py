"""One capacity test towards a site where only a RouterOS router stands: it is told to fetch from us, and drops what it gets.

From there to us nothing can be had: RouterOS uploads files by FTP only, and sends no more than 64 kB by HTTP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable

from probes._capacity import Outcome, Plan
from probes._capacity_run import Over
from probes._control import ANSWER_SECONDS, Gone
from probes._fetched import Arrivals, FetchPort, Visit
from probes._routeros import Load, RouterOs, Session
from probes._stream_pipe import Sender, ServerRefuses
from probes._streams import StreamTest
from probes._wire.capacity import BadFrame

__all__ = ["ROUTER_STREAMS", "RouterTest"]

ROUTER_STREAMS = 4
FETCH_SECONDS = 6.0  # to come for all of it
GRACE_SECONDS = 5.0
BETWEEN_LOOKS_SECONDS = 0.25
WAIT_SECONDS = 0.05
BUSY_RATIO = 0.9
WORD_BYTES = 16
# What a router that has no time for it may be the cause of.
MAY_BE_ITS_CPU = frozenset(
    {"at_contract", "below_contract", "cap_bytes", "cap_seconds", "receiver_slow", "stalled", "tcp_limited", "too_few"}
)


class RouterTest(StreamTest):
    """See `StreamTest`. A router whose CPU was full meanwhile answers for nothing but what it did take."""

    method = "router"

    def __init__(self, plan: Plan, router: RouterOs, port: FetchPort, streams: int = ROUTER_STREAMS) -> None:
        super().__init__(plan)
        self._router, self._port, self._count = router, port, streams
        self._session: Callable[[], Session]
        self._sessions: list[Session] = []
        self._threads: list[threading.Thread] = []
        self._words: tuple[str, ...] = ()
        self._arrivals: Arrivals = queue.SimpleQueue()
        self._loads: list[Load] = []
        self._watched = threading.Event()
        self._busy_before = False

    def _open(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> None:
        self._session = functools.partial(self._router.session, family, where, source)
        first = self._opened()
        before = first.load()
        self._facts["router_cpu_before"] = f"{before.ratio:.2f}"
        self._busy_before = before.ratio >= BUSY_RATIO
        if self._busy_before:
            return
        self._words = tuple(secrets.token_hex(WORD_BYTES) for _ in range(self._count))
        try:
            port = self._port.expect(self._words, self._arrivals)
        except OSError as error:
            raise ServerRefuses("fetch_port", error.strerror or str(error)) from error
        here = f"[{first.here}]" if ":" in first.here else first.here
        for word in self._words:
            self._run(self._fetch, self._opened(), f"http://{here}:{port}/line-test/{word}")
        self._await_visits()

    def _opened(self) -> Session:
        session = self._session()
        self._sessions.append(session)
        return session

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="router")
        self._threads.append(thread)
        thread.start()

    def _fetch(self, session: Session, url: str) -> None:
        try:
            session.fetch(url, self.plan.max_seconds + FETCH_SECONDS + GRACE_SECONDS)
        except (ServerRefuses, BadFrame, OSError) as error:
            self._arrivals.put(error)

    def _await_visits(self) -> None:
        """Raises ServerRefuses when the router will not, or does not come."""
        until = time.monotonic() + FETCH_SECONDS
        pace = self.plan.pace_bits_per_second / self._count
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {self.plan.max_bytes}\r\n"
        while len(self._pipes) < self._count:
            if self.stop.is_set():
                raise Gone("stopped before it began")
            try:
                arrived = self._arrivals.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                if time.monotonic() > until:
                    raise ServerRefuses("not_fetched", f"{len(self._pipes)} of {self._count} came") from None
                continue
            if isinstance(arrived, Exception):
                raise arrived
            self._welcome(arrived, head, pace)

    def _welcome(self, visit: Visit, head: str, pace: float) -> None:
        from_before = self._facts.setdefault("fetched_from", visit.address)
        if visit.address != from_before:
            visit.connection.close()
            raise ServerRefuses("other_fetched", f"{from_before} and {visit.address}")
        visit.connection.settimeout(ANSWER_SECONDS)
        visit.connection.sendall(f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode())
        self._pipes.append(Sender(visit.connection, pace))

    def _tick(self, now: float) -> None:
        """What a router says of its fetching means something only where its connection has ended as well."""

    def _ended(self) -> None:
        raise Over("peer_gone")

    def _measure(self) -> Outcome:
        if self._busy_before:
            self._began = time.monotonic()
            return self._outcome("inconclusive", "router_cpu", "far")
        self._run(self._watch, self._sessions[0])
        outcome = super()._measure()
        self._watched.set()
        self._threads[-1].join(ANSWER_SECONDS)
        return self._by_its_cpu(outcome)

    def _watch(self, session: Session) -> None:
        """How busy the router is meanwhile, and at once when it is over."""
        with contextlib.suppress(ServerRefuses, BadFrame, OSError):
            watched = False
            while not watched:
                watched = self._watched.wait(BETWEEN_LOOKS_SECONDS)
                if session.over:
                    session = self._opened()
                self._loads.append(session.load())

    def _by_its_cpu(self, outcome: Outcome) -> Outcome:
        loads = tuple(self._loads)
        if not loads:
            unknown = outcome.verdict == "refuted"
            return dataclasses.replace(outcome, verdict="inconclusive", reason="router_cpu_unknown") if unknown else outcome
        highest = max(loads, key=lambda load: load.cores)
        told = dataclasses.replace(
            outcome, facts={**outcome.facts, "router_cpu": f"{highest.ratio:.2f}", "router_cores": f"{highest.cores:.2f}"}
        )
        doubtful = outcome.verdict == "refuted" or (outcome.verdict == "inconclusive" and outcome.reason in MAY_BE_ITS_CPU)
        if doubtful and highest.cores >= BUSY_RATIO:
            return dataclasses.replace(told, verdict="inconclusive", reason="router_cpu", limit_end="far")
        return told

    def _leave(self) -> None:
        """Streams are closed by now, which ends what the router fetches."""
        self._watched.set()
        self._port.forget(self._words)
        for session in self._sessions:
            session.end()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS)
        for session in self._sessions:
            session.close()
        with contextlib.suppress(queue.Empty):
            while True:
                late = self._arrivals.get_nowait()
                if isinstance(late, Visit):
                    late.connection.close()
