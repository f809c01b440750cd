"""Three years of the 45 sites in one file: how large it is, how soon it answers, how long its upkeep keeps others waiting.

After three years as much goes as comes: the file grows no more. The series are those of the shipped inventory; a port's figures change where a device would be plugged in. What stands in
the file is written by history's own statements, series by series instead of second by second, with a stock of samples
and roll-ups that repeat: SQLite does not compress, so that their size is that of different ones.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from netwatch import inventory, lab
from netwatch.history import History, _statements, _upkeep
from netwatch.history._codec import pack
from netwatch.history._hours import pack_hour
from netwatch.history._reader import Reader
from netwatch.history._rollup import FIVE_MINUTES, HOUR, Level, Summary, encode, summarize
from netwatch.history._samples import SampleBuffer
from netwatch.history._schema import prepare
from netwatch.history._upkeep import Upkeep
from netwatch.history._writer import Writer
from netwatch.model import Belief, Subject, Transition

Row: TypeAlias = tuple[str, str, str, str, float, bool]  # check, metric, instance, keep, interval, whether it says always the same
Kind: TypeAlias = tuple[str, str, bool]

NOW = 1_795_000_020.0
DAY, YEAR = 86_400, 365 * 86_400
PORTS = {"router": 4, "switch": 24, "wifi-ap": 2}
PLUGGED_IN = 10  # ports of a switch; the others count nothing
ROLLED_UNTIL = NOW - 1_800  # a turn, its lateness, and a quarter of an hour behind
PACKED_UNTIL = int(ROLLED_UNTIL) // 3_600 * 3_600
TOLD_SINCE = NOW - 3 * YEAR
OUTAGES_A_YEAR = 100  # of each line
CHANGES_A_DAY = 10  # of each site, of whatever else
QUIET = ("errors", "discards")
INTERVALS = (5.0, 10.0, 30.0, 60.0, 300.0)
CHUNK_ROWS = 50_000


def say(name: str, value: float, unit: str, goal: float) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "ok": value <= goal}), flush=True)


class Plan:
    """Which series there are, and how often each gets a value."""

    def __init__(self, path: Path) -> None:
        os.environ.setdefault("NETWATCH_SNMP_COMMUNITY", "bench")
        self.inventory = inventory.load(path)
        self.series: list[Row] = []
        for check in self.inventory.checks.values():
            device = self.inventory.sites[check.site].devices.get(check.target)
            ports = PORTS.get(device.role if device else "", 1)
            for name, metric in check.probe.metrics().items():
                if metric.keep == "none":
                    continue
                for port in range(ports if metric.instance_label == "interface" else 1):
                    instance = f"port{port}" if metric.instance_label else ""
                    quiet = any(word in name for word in QUIET) or port >= PLUGGED_IN
                    self.series.append((check.id, name, instance, metric.keep, check.interval_seconds, quiet))

    def lines(self) -> dict[str, list[str]]:
        communes = [site for site in self.inventory.sites.values() if site.kind == "commune"]
        return {site.id: [self.inventory.primary_check(site.id, line) for line in site.lines] for site in communes}


class Stock:
    """Samples and roll-ups to choose from, by how a series is kept and whether it is quiet."""

    def __init__(self, chance: random.Random) -> None:
        self.samples: dict[Kind, list[float | bytes | None]] = {}
        self.packed: dict[tuple[Kind, float], list[bytes]] = {}
        self.hours: dict[Kind, list[bytes]] = {}
        self.days: dict[Kind, list[bytes]] = {}
        for metric, keep, quiet in itertools.product(("rtt", "other"), ("smoke", "mean"), (False, True)):
            key = (metric, keep, quiet)

            def value(metric: str = metric, quiet: bool = quiet) -> tuple[float, ...]:
                spread = [0.02 + chance.random() / 100 for _ in range(5 if metric == "rtt" else 1)]
                return (0.0,) * len(spread) if quiet else tuple(spread)

            def summary(value: Callable[[], tuple[float, ...]] = value, keep: str = keep) -> Summary:
                return summarize((figure for _ in range(20) for figure in value()), keep) or Summary(0, 0.0, 0.0)

            def packed(interval: float, value: Callable[[], tuple[float, ...]] = value) -> bytes:
                moments = range(0, 3_600_000, round(interval * 1_000))
                return pack_hour({moment + chance.randrange(min(20, round(interval))): value() for moment in moments})

            self.samples[key] = [pack(value()) for _ in range(97)]
            self.packed.update({(key, interval): [packed(interval) for _ in range(7)] for interval in INTERVALS})
            self.hours[key] = [encode({place: summary() for place in range(12)}) for _ in range(23)]
            self.days[key] = [encode({place: summary() for place in range(24)}) for _ in range(11)]

    @staticmethod
    def key(metric: str, keep: str, quiet: bool) -> Kind:
        return ("rtt" if "rtt" in metric else "other", keep, quiet or "loss" in metric)


async def put(writer: Writer, sql: str, rows: Iterable[Sequence[object]]) -> None:
    rows = iter(rows)
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        await writer.transaction([(sql, chunk)], durable=False)
        await writer.checkpoint()


def pieces(start: float, end: float, step: float, together: int) -> list[range]:
    """Times from start to end, so many at once: what other series write in between comes in between."""
    times = range(int(start), int(end), int(step))
    return [times[place : place + together] for place in range(0, len(times), together)]


async def fill(path: Path, plan: Plan, stock: Stock) -> Writer:
    prepare(path)
    writer = Writer(path)
    names = list(enumerate(plan.series, 1))
    rows = ((number, *series[:4]) for number, series in names)
    await put(writer, "INSERT INTO series (id, check_id, metric, instance, keep) VALUES (?, ?, ?, ?, ?)", rows)
    rolled = [(number, series) for number, series in names if series[3] != "change"]
    await fill_level(writer, FIVE_MINUTES, rolled, stock.hours, int(FIVE_MINUTES.kept_seconds), 7 * 24)
    await fill_level(writer, HOUR, rolled, stock.days, int(HOUR.kept_seconds), 60)
    await fill_samples(writer, rolled, stock)
    changing = [number for number, series in names if series[3] == "change"]
    rows = ((number, round((NOW - day * DAY) * 1_000), day % 2) for number in changing for day in range(3 * 365, 0, -7))
    await put(writer, "INSERT INTO change (series, at_ms, value) VALUES (?, ?, ?)", rows)
    await put(writer, "INSERT INTO life (began, ended) VALUES (?, ?)", [(TOLD_SINCE, NOW)])
    return writer


async def fill_samples(writer: Writer, rolled: list[tuple[int, Row]], stock: Stock) -> None:
    """Hours that are over as upkeep packs them, and what has come since then as it came."""
    for hours in pieces(PACKED_UNTIL - 48 * 3_600, PACKED_UNTIL, 3_600, 6):
        rows: Iterable[Sequence[object]] = (
            (number, hour, known[(hour // 3_600 + number) % len(known)])
            for number, series in rolled
            for known in (stock.packed[stock.key(series[1], series[3], series[5]), series[4]],)
            for hour in hours
        )
        await put(writer, "INSERT INTO sample_hour (series, at, runs) VALUES (?, ?, ?)", rows)
    rows = (
        (number, at * 1_000 + number % 1_000, known[(at + number) % len(known)])
        for number, series in rolled
        for known in (stock.samples[stock.key(series[1], series[3], series[5])],)
        for at in range(PACKED_UNTIL, int(NOW), int(series[4]))
    )
    await put(writer, "INSERT INTO sample (series, at_ms, value) VALUES (?, ?, ?)", rows)


async def fill_level(
    writer: Writer, level: Level, series: list[tuple[int, Row]], stock: dict[Kind, list[bytes]], kept_seconds: int, together: int
) -> None:
    start = int(NOW - kept_seconds) // level.row_seconds * level.row_seconds
    for moments in pieces(start, ROLLED_UNTIL, level.row_seconds, together):
        rows = (
            (number, at, known[(at // level.row_seconds + number) % len(known)])
            for number, (_, metric, _, keep, _, quiet) in series
            for known in (stock[Stock.key(metric, keep, quiet)],)
            for at in moments
        )
        await put(writer, f"INSERT INTO {level.table} (series, at, records) VALUES (?, ?, ?)", rows)


async def fill_transitions(writer: Writer, plan: Plan, chance: random.Random) -> int:
    changes = []
    for checks in plan.lines().values():
        for check in checks:
            for _ in range(3 * OUTAGES_A_YEAR):
                began = NOW - chance.random() * 3 * YEAR
                changes += outage(check, began, chance.expovariate(1 / 1_800))
    others = [check for check in plan.inventory.checks if not check.endswith("/icmp")]
    for _ in range(365 * CHANGES_A_DAY * len(plan.inventory.sites)):
        changes += outage(chance.choice(others), NOW - chance.random() * 3 * YEAR, 600)
    changes.sort(key=lambda change: change.wall)
    sql, rows = _statements.transitions(1, changes)
    await put(writer, sql, rows)
    return len(changes)


def outage(check: str, began: float, seconds: float) -> list[Transition]:
    def change(old: Belief, new: Belief, *, hard: bool, wall: float, since: float) -> Transition:
        return Transition(subject=Subject(check), old=old, new=new, hard=hard, wall=wall, since=since, code="timeout")

    return [
        change(Belief.OK, Belief.CRIT, hard=False, wall=began, since=began),
        change(Belief.CRIT, Belief.CRIT, hard=True, wall=began + 9, since=began),
        change(Belief.CRIT, Belief.OK, hard=True, wall=began + 9 + seconds, since=began + 8 + seconds),
    ]


async def pages(history: History, plan: Plan) -> tuple[list[float], float]:
    """The 24 hours of every site: its lines' round trips and losses, the router's ports, what happened."""
    took, slowest = [], 0.0
    for site, checks in plan.lines().items():
        asked = [(check, metric, "") for check in checks for metric in ("icmp_rtt_seconds", "icmp_loss_ratio")]
        asked += [
            (f"{site}/router/snmp", f"interface_{way}_bytes_per_second", f"port{port}")
            for way in ("receive", "transmit")
            for port in (0, 1)
        ]
        began = time.perf_counter()
        for check, metric, instance in asked:
            at = time.perf_counter()
            found = await history.series(check, metric, instance, NOW - DAY, NOW, 300)
            slowest = max(slowest, time.perf_counter() - at)
            assert len(found.points) > 280, (check, metric, instance, len(found.points))
        await history.transitions(site=site, since_wall=NOW - 7 * DAY, limit=50)
        took.append(time.perf_counter() - began)
    return sorted(took), slowest


async def upkeep(path: Path) -> tuple[list[float], float]:
    """A quarter of an hour of turns: every series once."""
    reader, writer = await Reader.open(path), Writer(path)
    counters = await reader.counters()
    work = Upkeep(writer, SampleBuffer(1, counters.known), counters.rolled_until)
    took, began = [], time.process_time()
    for second in range(_upkeep.TURN_SECONDS):
        work.mark(NOW + second)
        while True:
            at = time.perf_counter()
            if not await work.portion(NOW + second):
                break
            took.append(time.perf_counter() - at)
        await writer.checkpoint()
    spent = time.process_time() - began
    await reader.close()
    await writer.close()
    return sorted(took), spent / _upkeep.TURN_SECONDS


async def bench(directory: Path, plan: Plan) -> None:
    chance = random.Random(20261124)  # the same file every time
    path = directory / "netwatch.db"
    writer = await fill(path, plan, Stock(chance))
    changes = await fill_transitions(writer, plan, chance)
    await writer.close()
    print(json.dumps({"series": len(plan.series), "transitions": changes}), flush=True)
    began = time.perf_counter()
    history = await History.open(directory)
    say("history_open", time.perf_counter() - began, "s", 5)
    try:
        say("history_full_size", history.database_bytes / 2**30, "GiB", 2)
        took, slowest = await pages(history, plan)
        say("history_site_page_24h_p99", took[round(0.99 * (len(took) - 1))], "s", 0.030)
        say("history_series_24h_max", slowest, "s", 0.030)
        began = time.perf_counter()
        found = await history.availability(plan.lines(), NOW - YEAR, NOW)
        say("history_sla_year_45_sites", time.perf_counter() - began, "s", 2)
        assert len(found) == 45
        assert all(0.98 < one.ratio <= 1 for one in found.values())  # of two lines that are never down together 1
    finally:
        await history.close()
    took, cpu = await upkeep(path)
    say("history_upkeep_portion_max", took[-1], "s", 0.2)
    say("history_upkeep_portion_p99", took[round(0.99 * (len(took) - 1))], "s", 0.050)
    say("history_upkeep_cpu", cpu, "cores", 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, help="where the file is made; it needs 3 GiB for a few minutes")
    options = parser.parse_args()
    plan = Plan(Path(lab.__file__).parents[2] / "inventory.yaml")
    with tempfile.TemporaryDirectory(prefix="netwatch-bench-", dir=options.directory) as directory:
        asyncio.run(bench(Path(directory), plan))


if __name__ == "__main__":
    main()
