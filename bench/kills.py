"""kill -9 at random moments and at named ones (netwatch/crash_points.py): is a page lost, or told under two keys?

A real daemon watches 40 places whose counters come and go, while its pagers fail in every way that they can: 500, 429 with
every Retry-After, hanging, half-open, 200 that refuses, a redirect, ten megabytes, taken without an answer. It is killed
again and again. After every ten kills it is let live, first with some places down, then with none: each far end must know
which. Then, for each pager and incident: *lost* is one whose last state never reached its pager nor who stands in for it; a
*duplicate* a page that was taken twice; its key is another if one outage was told as two.

One JSON line a figure. `make soak` runs 200 kills and writes docs/evidence/.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from _far_ends import ENVIRONMENT, FarEnds, Told, far_ends, free_port

from netwatch.crash_points import POINTS, VARIABLE
from netwatch.history import findings
from netwatch.history._codec import page_from
from netwatch.inventory._communes import Commune, communes
from netwatch.model import Page

ROOT = Path(__file__).parent.parent
PLACES = 40
KILLS_AN_ACT = 10
SHARE_OF_TROUBLE = 0.4
AT_START, START_SECONDS = 0.2, (0.3, 1.5)  # so many of the kills at random come so soon
STOPPED = 0.2  # and so many after it was told to stop
LONGEST_LIFE_SECONDS, LONGEST_START_SECONDS, LONGEST_DRAIN_SECONDS = 6.0, 60.0, 150.0
MOST_SPELLS = 2  # a third within half an hour is flapping, which ends ten minutes later
INVENTORY = """\
version: 1
language: vi
listen: 127.0.0.1:{port}
plan: {{site_net: "127.46.{{n}}.0/24", hosts: {{main: 254, router: 1, counter: 9}}}}
defaults: {{contact: noc, snmp: {{community: "${{SNMP_COMMUNITY}}"}}, line: {{carrier: VNPT, contract: 100 Mbps}}}}
contacts: {{noc: {{name: NOC, phone: "0215 3 000 000"}}}}
delivery: {{takeover: 3s, pages_per_minute: 600, trial_at: never}}
profiles:
  gate: {{role: router, checks: {{icmp: {{probe: icmp}}}}}}
  counter: {{role: server, checks: {{port: {{probe: tcp, port: {tcp}, interval: 1s, timeout: 500ms, retry: 1s, attempts: 2, hard_after: 1s}}}}}}
roles:
  commune: {{lines: {{main: {{}}}}, devices: {{router: {{profile: gate}}, counter: {{profile: counter}}}}}}
{pagers}
sites:
{sites}
"""


@dataclass
class Figures:
    """What came of it, over all acts. `wrong` says what should not have been, a line each."""

    kills: Counter[str] = field(default_factory=Counter)  # by where it died
    incidents: int = 0
    pages: int = 0
    accepted: int = 0
    requests: int = 0
    duplicates: int = 0
    lost: list[str] = field(default_factory=list)
    other_keys: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    drain_seconds: list[float] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.lost or self.other_keys or self.wrong)

    def add(self, other: Figures) -> None:
        for name in ("incidents", "pages", "accepted", "requests", "duplicates", "lost", "other_keys", "wrong", "drain_seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.kills.update(other.kills)


class Place:
    """A directory with a daemon to be killed, and the counters it watches."""

    def __init__(self, directory: Path, ends: FarEnds) -> None:
        self.directory, self.ends, self.tcp = directory, ends, free_port()
        self.state = directory / "state"
        self.communes: dict[str, Commune] = {one.slug: one for one in list(communes().values())[:PLACES]}
        self.listeners: dict[str, socket.socket] = {}
        self.spells: Counter[str] = Counter()
        self.lives = 0
        sites = "\n".join(f'  {slug}: {{n: {n}, code: "{one.code}"}}' for n, (slug, one) in enumerate(self.communes.items(), 1))
        text = INVENTORY.format(port=free_port(), tcp=self.tcp, pagers=ends.inventory(), sites=sites)
        (directory / "inventory.yaml").write_text(text, "utf-8")
        for slug in self.communes:
            self.mend(slug)

    @property
    def database(self) -> Path:
        return self.state / "netwatch.db"

    @property
    def down(self) -> set[str]:
        return self.communes.keys() - self.listeners.keys()

    def mend(self, slug: str) -> None:
        number = list(self.communes).index(slug) + 1
        self.listeners[slug] = socket.create_server((f"127.46.{number}.9", self.tcp))

    def break_one(self, dice: Random) -> None:
        whole = [slug for slug in self.listeners if self.spells[slug] < MOST_SPELLS]
        if whole:
            slug = dice.choice(whole)
            self.spells[slug] += 1
            self.listeners.pop(slug).close()

    def mend_one(self, dice: Random) -> None:
        if self.down:
            self.mend(dice.choice(sorted(self.down)))

    @contextlib.contextmanager
    def daemon(self, crash_at: str = "") -> Iterator[subprocess.Popen[bytes]]:
        self.lives += 1
        command = [sys.executable, "-m", "netwatch", "run", "--inventory", f"{self.directory}/inventory.yaml", "--state", str(self.state)]
        environment = {**os.environ, **ENVIRONMENT, VARIABLE: crash_at}
        with (self.directory / f"log-{self.lives}").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, stderr=log, env=environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def log(self) -> str:
        return (self.directory / f"log-{self.lives}").read_text("utf-8")

    def has_started(self) -> bool:
        return " started " in self.log()

    async def until_started(self, process: subprocess.Popen[bytes]) -> None:
        """Or until it has ended."""
        async with asyncio.timeout(LONGEST_START_SECONDS):
            while process.poll() is None and not self.has_started():  # noqa: ASYNC110  # another program has no event to wait for
                await asyncio.sleep(0.05)

    def close(self) -> None:
        for listener in self.listeners.values():
            listener.close()

    def ask_prune(self) -> None:
        """Moves the log into the file, and checkpoints."""
        connection = http.client.HTTPConnection("localhost", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.sock.connect(str(self.state / "api.sock"))
            connection.request("POST", "/api/v1/prune", headers={"X-Netwatch-Who": "bench"})
            connection.getresponse().read()

    def forget_last_migration(self) -> None:
        """An older netwatch's file, pages and all."""
        if self.database.exists():
            with contextlib.closing(sqlite3.connect(self.database)) as file:
                file.executescript("DROP TABLE IF EXISTS sample_hour; PRAGMA user_version=3")

    def rows(self) -> list[tuple[Page, str | None, str]]:
        """Of the outbox: the page, how it ended, and why."""
        found = self._ask("SELECT document, ending, error FROM outbox ORDER BY id")
        return [(page_from(document), ending, error) for document, ending, error in found]

    def pending(self) -> int:
        return len(self._ask("SELECT id FROM outbox WHERE ended IS NULL"))

    def _ask(self, sql: str) -> list[Any]:
        """Nothing from a file that a killed daemon had no time to make."""
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as file,
        ):
            return file.execute(sql).fetchall()
        return []


# --- lives


async def live(place: Place, dice: Random, point: str, figures: Figures) -> None:
    """One life, to its kill: at the named point, or at a random moment when `point` is empty or is not reached in time."""
    place.ends.trouble(dice, SHARE_OF_TROUBLE)
    if point == "in-migration":
        place.forget_last_migration()
    times = 1 if point in {"in-migration", "while-starting", "before-reload", "during-checkpoint"} else dice.randint(1, 4)
    at_start = not point and dice.random() < AT_START
    lasts = dice.uniform(*START_SECONDS) if at_start else LONGEST_LIFE_SECONDS if point else dice.uniform(0.2, LONGEST_LIFE_SECONDS)
    with place.daemon(f"{point}:{times}" if point else "") as process:
        if not at_start:  # however busy the machine is, it shall have lived
            await place.until_started(process)
        ends_at = time.monotonic() + lasts
        while process.poll() is None and time.monotonic() < ends_at:
            await asyncio.sleep(min(dice.uniform(0.1, 1.2), max(0.0, ends_at - time.monotonic())))
            dice.choice((place.break_one, place.break_one, place.mend_one))(dice)
            if not at_start and process.poll() is None:
                if point in {"before-reload", "during-reload"} or dice.random() < 0.1:
                    process.send_signal(signal.SIGHUP)
                if point == "during-checkpoint" or dice.random() < 0.1:
                    await asyncio.to_thread(place.ask_prune)
        died = process.poll()
        stopping = died is None and not point and dice.random() < STOPPED
        if stopping:
            process.terminate()
            await asyncio.sleep(dice.uniform(0.0, 1.0))
        process.kill()
        ended = await asyncio.to_thread(process.wait)
    if ended != -signal.SIGKILL and not (stopping and ended in {0, -signal.SIGTERM}):
        figures.wrong.append(f"it ended by itself with {ended}: {place.log()[-2_000:]}")
    figures.kills[point if died is not None else "while stopping" if stopping else "at random"] += 1


async def believed_by_all(place: Place, session: aiohttp.ClientSession) -> dict[str, set[str]]:
    """What each far end has wrong: the places it calls down that are not, or the other way round. Empty when all know the truth."""
    ends, truth = place.ends, place.down
    keys = {f"netwatch/{slug}/counter": slug for slug in place.communes}
    names = {one.name: slug for slug, one in place.communes.items()}
    refused = {page.incident.key for page, ending, _ in place.rows() if page.pager == "duty" and ending == "refused"}
    views = {
        "noc": {keys.get(key, key) for key in ends.noc.service.open_keys()},
        "chat": {names[name] for name in ends.chat_says_open(list(names))},
        "alerts": await ends.alertmanager_sites(session),
        "duty": {keys.get(key, key) for key in ends.duty_keys()},
    }
    wrong = {name: view ^ truth for name, view in views.items()}
    stood_in = {keys.get(key, key): told.kind != "recover" for key, told in ends.standby.service.last().items()}
    handed_over = {keys.get(key, key) for key in refused}
    wrong["duty"] = {slug for slug in wrong["duty"] if slug not in handed_over or stood_in.get(slug) is not (slug in truth)}
    wrong["standby"] = {slug for slug, is_open in stood_in.items() if is_open and slug not in truth}
    return {name: slugs for name, slugs in wrong.items() if slugs}


async def drain(place: Place, figures: Figures) -> None:
    """Lets it live until every far end knows the truth and nothing waits, with the places as they are, then with all well."""
    place.ends.behave()
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:
        with place.daemon() as process:
            await place.until_started(process)
            for last in (False, True):
                while last and place.down:
                    place.mend_one(Random(0))
                until = time.monotonic() + LONGEST_DRAIN_SECONDS
                wrong: dict[str, set[str]] = {"": set()}
                while time.monotonic() < until and process.poll() is None and (wrong or place.pending()):
                    await asyncio.sleep(0.25)
                    wrong = await believed_by_all(place, session)
                figures.lost += [f"{name} does not know the truth of {', '.join(sorted(slugs))}" for name, slugs in wrong.items()]
                if place.pending():
                    figures.wrong.append(f"{place.pending()} pages wait for ever")
            process.terminate()
            ended = await asyncio.to_thread(process.wait)
    figures.drain_seconds.append(time.monotonic() - began)
    if ended:
        figures.wrong.append(f"it ended with {ended}: {place.log()[-2_000:]}")


# --- what came of it


def audit(place: Place, figures: Figures) -> None:
    """Holds what the far ends were told against the outbox."""
    rows, ends = place.rows(), place.ends
    figures.wrong += [f"history: {finding}" for finding in findings(place.database)]
    figures.pages += len(rows)
    figures.accepted += sum(len(end.service.told) for end in (ends.noc, ends.standby))
    figures.accepted += len(ends.duty.service.events) + len(ends.chat.service.messages)
    figures.requests += ends.requests()
    incidents = {page.incident.id: page.incident.key for page, _, _ in rows}
    figures.incidents += len(incidents)
    figures.other_keys += [f"{key}: told as {count} incidents" for key, count in Counter(incidents.values()).items() if count > 1]
    names = {(told.incident, told.key) for end in (ends.noc, ends.standby) for told in end.service.told}
    figures.other_keys += [
        f"incident {number}: told under {count} keys" for number, count in Counter(n for n, _ in names).items() if count > 1
    ]
    figures.lost += list(_lost(rows, {"noc": ends.noc.service.told, "duty": ends.standby.service.told}))
    for name, end in (("noc", ends.noc), ("standby", ends.standby)):
        bodies: dict[str, bytes] = {}
        for told in end.service.told:
            figures.duplicates += told.id in bodies
            if bodies.setdefault(told.id, told.body) != told.body:
                figures.wrong.append(f"{name}: {told.id} told in other words")
    figures.wrong += [f"opened in vain: {key}" for key in ends.noc.service.open_keys() | ends.standby.service.open_keys()]


def _lost(rows: Sequence[tuple[Page, str | None, str]], told: dict[str, list[Told]]) -> Iterator[str]:
    """Of `noc` what it was not told; of `duty`, which says too little, what it refused and its stand-in was not told."""
    finals: dict[tuple[str, int], tuple[Page, str | None]] = {}
    for page, ending, _ in rows:
        known = finals.get((page.pager, page.incident.id))
        if known is None or page.incident.sequence >= known[0].incident.sequence:
            finals[page.pager, page.incident.id] = (page, ending)
    for (pager, number), (page, ending) in finals.items():
        if ending is None:
            yield f"{page.id}: never ended"
        elif pager == "noc" or (pager == "duty" and ending == "refused"):
            heard = [one for one in told[pager] if one.incident == number and one.sequence >= page.incident.sequence]
            if not heard:
                yield f"{page.id}: {ending}, but nobody was told"


# --- acts


async def act(seed: int, kills: int, directory: Path, *, points: Sequence[str], progress: Callable[[str], None]) -> Figures:
    """A fresh daemon, so many lives, a drain, an audit. `points` are where the lives end, in turn; "" is at random."""
    dice, figures = Random(seed), Figures()
    directory.mkdir()  # noqa: ASYNC240  # nobody waits for it
    async with far_ends(directory) as ends:
        place = Place(directory, ends)
        try:
            for number in range(kills):
                await live(place, dice, points[number % len(points)], figures)
            await drain(place, figures)
            audit(place, figures)
        finally:
            place.close()
    progress(f"act {seed}: {figures.kills.total()} kills, {figures.pages} pages, lost {figures.lost}, wrong {figures.wrong}")
    return figures


def plan(kills: int, seed: int, kills_an_act: int = KILLS_AN_ACT) -> list[list[str]]:
    """Where lives end, act by act: every named point equally often, as many at random, in an order of chance."""
    dice = Random(seed)
    ends = [POINTS[number // 2 % len(POINTS)] if number % 2 else "" for number in range(kills)]
    dice.shuffle(ends)
    return [ends[start : start + kills_an_act] for start in range(0, kills, kills_an_act)]


async def run(
    acts: Sequence[Sequence[str]], seed: int, directory: Path, *, at_once: int = 2, progress: Callable[[str], None] = lambda _line: None
) -> Figures:
    """All acts, a few at a time."""
    figures, slots = Figures(), asyncio.Semaphore(at_once)

    async def one(number: int, points: Sequence[str]) -> None:
        async with slots:
            figures.add(await act(seed + number, len(points), directory / f"act-{number}", points=points, progress=progress))

    async with asyncio.TaskGroup() as group:
        for number, points in enumerate(acts):
            group.create_task(one(number, points))
    return figures


def lines(figures: Figures) -> list[dict[str, object]]:
    """As every benchmark prints them."""

    def line(name: str, value: object, unit: str, goal: str = "", ok: bool | None = None) -> dict[str, object]:
        return {"name": name, "value": value, "unit": unit, "goal": goal, "ok": ok}

    return [
        line("kills", figures.kills.total(), "kills"),
        line("kills_at_named_points", sum(figures.kills[point] for point in POINTS), "kills"),
        line("kills_incidents", figures.incidents, "incidents"),
        line("kills_pages", figures.pages, "pages"),
        line("kills_accepted", figures.accepted, "pages"),
        line("kills_requests_at_the_far_ends", figures.requests, "requests"),
        line("kills_lost", len(figures.lost), "pages", "0", not figures.lost),
        line("kills_duplicates_same_key", figures.duplicates, "pages"),
        line("kills_duplicates_other_key", len(figures.other_keys), "incidents", "0", not figures.other_keys),
        line("kills_otherwise_wrong", len(figures.wrong), "", "0", not figures.wrong),
        line("kills_drain_longest", round(max(figures.drain_seconds, default=0.0), 1), "s"),
    ]


def main() -> None:
    from netwatch.lab.namespaces import enter_private_network

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--at-once", type=int, default=2, help="daemons that live and die beside each other")
    parser.add_argument("--evidence", type=Path, help="a file for the whole of it, as JSON")
    parser.add_argument("--keep", type=Path, help="a directory that does not exist yet, for logs and histories")
    asked = parser.parse_args()
    enter_private_network()
    with tempfile.TemporaryDirectory() as directory:
        place = asked.keep or Path(directory) / "kills"
        place.mkdir(parents=True)
        tell = partial(print, file=sys.stderr, flush=True)
        figures = asyncio.run(run(plan(asked.kills, asked.seed), asked.seed, place, at_once=asked.at_once, progress=tell))
    for line in lines(figures):
        print(json.dumps(line), flush=True)
    if asked.evidence:
        whole = {"seed": asked.seed, "kills": dict(figures.kills), "figures": lines(figures)}
        whole |= {"lost": figures.lost, "other_keys": figures.other_keys, "wrong": figures.wrong}
        asked.evidence.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.exit(0 if figures.fine else 1)


if __name__ == "__main__":
    main()
