"""A whole round of line tests as the daemon makes it: every site tested once in its window, past a meeting, under the head-room of one uplink.

Real packets: a network for each site, its line shaped by the kernel (`tc tbf`) and a reflector behind it, one router, one uplink that is shaped
too. What the router's counters say of the uplink each 100 ms is what is judged, not what the daemon believes. Only the hour of the day is
made up, so that the window opens when the bench begins; all waits are the real ones.

A meeting that is planned begins a quarter of an hour after the last moment at which a test may run; another one is called in the middle.
One JSON line a figure; `--quick` is a few slow lines in less than a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent.parent))

from netwatch import ledger
from netwatch.inventory._communes import communes
from netwatch.lab import child
from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import Shaping
from netwatch.lab.shaped_lines import UPLINK, Carried, ShapedLines, Site, carried
from tests.line_daemon import set_ahead

ROOT = Path(__file__).parent.parent
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
OPENS = dt.datetime(2026, 11, 24, 2, 0, tzinfo=ZONE)
TOKEN, PORT = "bench", 8621
FASTER, SLOWER = 1.3, 0.7  # than its contract, in truth
EVERY_SLOW = 9  # of the sites one
SAMPLE_SECONDS = 0.1
PRIORITY = 3
QUIET_BITS_PER_SECOND = 1e6  # pings, and what the daemon says to reflectors
BEFORE_A_MEETING_SECONDS = 900.0
GIVES_WAY_SECONDS = 1.0
RELOAD_SECONDS = 0.7  # before a meeting it is told of: then it no longer begins a test, but some are still running
INVENTORY = """\
version: 1
plan: {{site_net: "10.45.{{n}}.0/24", hosts: {{main: 254, pc: 9}}}}
defaults:
  contact: noc
  line: {{carrier: VNPT, contract: {contract}, test: {{device: pc, token: "${{TOKEN}}", window: "{window}"{burst}}}}}
contacts: {{noc: {{name: NOC, phone: "113"}}}}
profiles: {{far: {{role: pc, checks: {{icmp: {{probe: icmp}}}}}}}}
roles: {{commune: {{lines: {{main: {{}}}}, devices: {{pc: {{profile: far}}}}}}}}
line_tests: {{head_room: {{uplink: {head_room}}}}}
sites:
{sites}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Rates are IP-layer bits per second; times are seconds after the window opens."""

    sites: int
    contract: float
    uplink: float
    head_room: float
    burst_bytes: int = 0
    window_minutes: int
    starts: float  # the daemon
    called: tuple[float, float]
    last: float  # moment at which a test may run

    def inventory(self) -> str:
        closes = OPENS + dt.timedelta(minutes=self.window_minutes)
        return INVENTORY.format(
            contract=f"{self.contract / 1e6:g} Mbps",
            window=f"{OPENS:%H:%M}-{closes:%H:%M}",
            burst=f", burst: {self.burst_bytes / 1e6:g} MB" if self.burst_bytes else "",
            head_room=f"{self.head_room / 1e6:g} Mbps",
            sites="\n".join(f'  s{n}: {{n: {n}, code: "{code}"}}' for n, code in enumerate(list(communes())[: self.sites], 1)),
        )

    def lines(self) -> list[Site]:
        def shaping(n: int) -> Shaping:
            return Shaping(rate_bits_per_second=self.contract * (SLOWER if n % EVERY_SLOW == 0 else FASTER))

        return [Site(f"s{n}", (f"10.45.{n}.254", f"10.45.{n}.9"), shaping(n), shaping(n)) for n in range(1, self.sites + 1)]

    def proved(self, site: str) -> bool:
        """Whether that is the truth."""
        return int(site[1:]) % EVERY_SLOW != 0


WHOLE = Round(sites=45, contract=100e6, uplink=1e9, head_room=500e6, window_minutes=8, starts=-20.0, called=(120.0, 180.0), last=330.0)
QUICK = Round(
    sites=10,
    contract=10e6,
    uplink=100e6,
    head_room=50e6,
    burst_bytes=1_000_000,
    window_minutes=1,
    starts=-4.0,
    called=(13.0, 19.0),
    last=40.0,
)


@dataclass(frozen=True, slots=True)
class Clock:
    """Between this process' clock and the daemon's."""

    ahead_seconds: float  # its wall clock, of ours
    opens: float  # monotonic

    @classmethod
    def beginning(cls, starts: float) -> Clock:
        now, wall = time.monotonic(), time.time()
        return cls(OPENS.timestamp() + starts - wall, now - starts)

    def wait(self, until: float) -> None:
        time.sleep(max(self.opens + until - time.monotonic(), 0.0))


@dataclass(frozen=True, slots=True)
class Played:
    """`told` is when the daemon knew of the meeting that was called, in seconds after the window opens."""

    records: list[dict[str, Any]]
    samples: list[dict[str, Carried]]
    clock: Clock
    told: float


# --- the lab


def watch(lines: ShapedLines, path: Path) -> int:
    """A process that writes down what the router counts, each 100 ms, served before others."""

    def main() -> None:
        enter(lines.router)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
        due = time.monotonic()
        with path.open("w", buffering=1, encoding="ascii") as written:
            while True:
                written.write(json.dumps({name: (one.at, one.down, one.up) for name, one in carried()}) + "\n")
                due += SAMPLE_SECONDS
                time.sleep(max(due - time.monotonic(), 0.0))

    return child.fork(main)


@contextlib.contextmanager
def reflectors(lines: ShapedLines, sites: Sequence[Site], folder: Path) -> Iterator[None]:
    """One behind each line, until they listen."""
    started = []
    try:
        for site in sites:
            enter(lines.sites[site.name])
            command = [
                sys.executable,
                "-m",
                "netwatch.reflector",
                "--listen",
                f"{site.addresses[1]}:{PORT}",
                "--token-file",
                folder / "token",
            ]
            started.append(subprocess.Popen(command, cwd=ROOT, stderr=(folder / f"{site.name}.log").open("w")))
        enter(lines.hub)
        for site in sites:
            until = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError), socket.create_connection((site.addresses[1], PORT), 1):
                    break
                if time.monotonic() > until:
                    raise SystemExit(f"the reflector of {site.name} did not start")
                time.sleep(0.1)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def play(round_: Round, folder: Path) -> Played:
    sites = round_.lines()
    lines = ShapedLines.build(Shaping(rate_bits_per_second=round_.uplink, queue_bytes=1_000_000), sites)
    samples = folder / "samples"
    (folder / "token").write_text(TOKEN)
    (folder / "inventory.yaml").write_text(round_.inventory(), "utf-8")
    planned = OPENS.timestamp() + round_.last + BEFORE_A_MEETING_SECONDS
    called = [OPENS.timestamp() + one for one in round_.called]
    meetings = folder / "meetings.json"
    meetings.write_text(json.dumps([[planned, planned + 600.0]]))
    watcher = watch(lines, samples)
    try:
        with reflectors(lines, sites, folder):
            clock = Clock.beginning(round_.starts)
            set_ahead(folder, clock.ahead_seconds)
            command = [sys.executable, "-m", "tests.line_daemon", folder]
            with (folder / "log").open("w") as log, subprocess.Popen(command, cwd=ROOT, stderr=log) as daemon:
                try:
                    clock.wait(round_.called[0] - RELOAD_SECONDS)
                    meetings.write_text(json.dumps([called, [planned, planned + 600.0]]))
                    daemon.send_signal(signal.SIGHUP)
                    clock.wait(min(round_.last + 3.0, round_.window_minutes * 60.0 + 3.0))
                finally:
                    daemon.send_signal(signal.SIGTERM)
                    daemon.wait(60)
    finally:
        child.end(watcher)
        lines.close()
    path = ledger.path_in(folder / "state")
    records = [one.record for one in ledger.newest_first(path)][::-1] if path.exists() else []
    told = [float(row.split()[0]) for row in (folder / "log").read_text("utf-8").splitlines() if row.endswith(" inventory reloaded")]
    return Played(records, read(samples), clock, told[0] + clock.ahead_seconds - OPENS.timestamp() if told else float("inf"))


def read(path: Path) -> list[dict[str, Carried]]:
    """The last line may be half of one."""
    found = []
    for row in path.read_text("ascii").splitlines():
        with contextlib.suppress(ValueError):
            found.append({name: Carried(*figures) for name, figures in json.loads(row).items()})
    return found


# --- what came of it


@dataclass(frozen=True, slots=True)
class Rate:
    """Of the time between two samples, in seconds after the window opens; both directions together."""

    begins: float
    ends: float
    bits_per_second: float
    busy_lines: int

    @property
    def quiet(self) -> bool:
        return self.bits_per_second < QUIET_BITS_PER_SECOND


def rates(samples: Sequence[Mapping[str, Carried]], clock: Clock) -> Iterator[Rate]:
    for before, after in itertools.pairwise(samples):
        seconds = after[UPLINK].at - before[UPLINK].at
        moved = {
            name: (one.down - before[name].down + one.up - before[name].up) * 8 / seconds for name, one in after.items() if name in before
        }
        busy = sum(rate > QUIET_BITS_PER_SECOND for name, rate in moved.items() if name != UPLINK)
        yield Rate(before[UPLINK].at - clock.opens, after[UPLINK].at - clock.opens, moved[UPLINK], busy)


def say(name: str, value: float | Mapping[str, int], unit: str, goal: str = "", *, ok: bool | None = None) -> bool:
    told = round(value, 4) if isinstance(value, int | float) else value
    print(json.dumps({"name": f"round_{name}", "value": told, "unit": unit, "goal": goal or None, "ok": ok}), flush=True)
    return ok is not False


def tell_counters(round_: Round, found: Sequence[Rate], told: float) -> bool:
    """By what the router counted."""
    closes = round_.window_minutes * 60.0
    most = max(found, key=lambda one: one.bits_per_second)
    loud = [one for one in found if not one.quiet]
    begins, ends = max(round_.called[0], told), round_.called[1]
    in_meeting = [one for one in loud if one.ends > begins + GIVES_WAY_SECONDS and one.ends <= ends]
    beside = [one for one in loud if one.begins < 0.0 or one.ends > min(closes, round_.last + GIVES_WAY_SECONDS + 5.0)]
    ratio = most.bits_per_second / round_.head_room
    say("uplink_most_bits_per_second", most.bits_per_second, "bits/s")
    say("lines_busy_at_once_most", max(one.busy_lines for one in found), "lines")
    good = say("uplink_most_of_its_head_room", ratio, "ratio", "<= 1", ok=ratio <= 1)
    good &= say("traffic_in_a_meeting_seconds", sum(one.ends - one.begins for one in in_meeting), "seconds", "0", ok=not in_meeting)
    good &= say("traffic_outside_the_window_seconds", sum(one.ends - one.begins for one in beside), "seconds", "0", ok=not beside)
    cut = [one.ends - begins for one in loud if one.begins <= begins < one.ends or begins <= one.begins < begins + GIVES_WAY_SECONDS]
    say("traffic_after_a_meeting_began_seconds", max(cut, default=0.0), "seconds", "<= 1")
    longest = max(one.ends - one.begins for one in found)
    good &= say("sampled_each_seconds_most", longest, "seconds", "<= 0.2", ok=longest <= 0.2)
    say("tested_until_seconds", max((one.ends for one in loud), default=0.0), "seconds", f"<= {min(closes, round_.last):g}")
    return good


def tell_records(round_: Round, records: Sequence[Mapping[str, Any]]) -> bool:
    """By what the ledger says."""
    whole = [one for one in records if one["reason"] != "yielded"]
    said = Counter(f"{one['verdict']}: {one['reason']}" for one in records)
    tested = {(one["site"], one["direction"]) for one in whole}
    proved = {(one["site"], one["direction"]) for one in whole if one["verdict"] == "proved"}
    wrong = [one for one in records if one["verdict"] == "refuted" or (one["verdict"] == "proved" and not round_.proved(one["site"]))]
    wanted = {(site.name, direction) for site in round_.lines() for direction in ("down", "up")}
    could = {one for one in wanted if round_.proved(one[0])}
    say("verdicts", dict(sorted(said.items())), "records")
    good = say("lines_tested", len(tested & wanted) / len(wanted), "ratio", "1", ok=tested >= wanted)
    good &= say(
        "lines_proved_of_those_that_carry_their_contract", len(proved) / len(could), "ratio", ">= 0.95", ok=len(proved) >= 0.95 * len(could)
    )
    good &= say("verdicts_wrong", len(wrong), "records", "0", ok=not wrong)
    say("bytes", sum(one["bytes"] for one in records), "bytes")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten lines of 10 Mbps, under a minute")
    parser.add_argument("--keep", type=Path, help="a new folder for all that was written")
    asked = parser.parse_args()
    round_ = QUICK if asked.quick else WHOLE
    with tempfile.TemporaryDirectory() if asked.keep is None else contextlib.nullcontext(asked.keep) as given:
        folder = Path(given)
        folder.mkdir(exist_ok=True)
        played = play(round_, folder)
        good = tell_counters(round_, list(rates(played.samples, played.clock)), played.told)
        good &= tell_records(round_, played.records)
        say("load_of_the_machine", os.getloadavg()[0], "processes")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
