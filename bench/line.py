"""Does `netwatch probe bandwidth` tell right which lines carry their contract, and what does it cost?

Real packets between two networks through a router whose kernel shapes them (`tc tbf`); delay and loss by the lab's link emulator;
the far end is `netwatch reflector`. The true rate of each line is known, so each verdict is right, wrong or undecided. Lines
with other traffic are judged as the daemon does (netwatch.line), with that traffic counted where it arrives.

One JSON line a figure. `--quick` runs a few of each kind; `--runs FILE` keeps every run. docs/line.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

from _canary import Canary, canary
from _cross import cross_traffic
from _reference import goodput_bits_per_second

from netwatch.lab.links import LinkSettings
from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import ETHERNET_BYTES, FAR, ShapedLine, Shaping
from netwatch.line import Bounds, Control, Evidence, judge, measurement_of
from probes import ProbeFailed, Secret, Target
from probes.bandwidth import Bandwidth, document

ROOT = Path(__file__).parent.parent
TOKEN = "bench"
PORT, IPERF_PORT = 8621, 5201
CONTRACT = 100e6
RATES = (60e6, 70e6, 80e6, 90e6, 95e6, 98e6, 100e6, 102e6, 105e6, 110e6, 120e6, 130e6, 140e6)
RTTS, LOSSES = (0.005, 0.020, 0.040, 0.080), (0.0, 0.001, 0.005)
CROSS = (("udp", 5e6), ("tcp", 20e6))
NEAR_CONTRACT = {"udp": 0.01, "tcp": 0.03, "iperf3": 0.03}  # of it: there any verdict is as good
OTHER_CONTRACTS = (10e6, 300e6, 900e6)
OTHER_RATIOS = (0.6, 0.9, 0.97, 1.03, 1.1)
STREAM_RATIOS = (0.6, 0.9, 0.95, 1.05, 1.1)
POLICER_BURST = 5_000_000
POLICER_QUEUE = 3_000  # two packets: it drops what it does not let through
FIGURES: list[dict[str, Any]] = []  # of this run of the program
MARKS = {True: "✓", False: "✗", None: ""}
NO_CROSS = Bounds(0.0, 0.0, 0.0)
OWN_ENDS = frozenset({"near", "far"})
CROSS_TICK_SECONDS = 0.005
MOST_WAIT_SECONDS = 0.015  # of this machine: then a line of 16 ms of queue is no longer the line that was to be measured
MOST_TIMES = 3
CROSS_SETTLES_SECONDS = 0.3
EXACT_SECONDS, POLLED_SECONDS = 0.5, 8.0  # by which counters reach beyond a test: read with it, or of a router that the daemon asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line and one test of it. Rates are IP-layer bits per second."""

    kind: str
    rate: float
    direction: str
    contract: float = CONTRACT
    rtt_seconds: float = 0.0
    loss_ratio: float = 0.0
    cross: str = ""
    cross_rate: float = 0.0
    line_burst_bytes: int = 0
    line_queue_bytes: int = 200_000
    burst_bytes: int | None = None
    method: str = "udp"
    counted_around_seconds: float = EXACT_SECONDS

    @property
    def open(self) -> bool:
        """Whether it is so near its contract that neither verdict is wrong."""
        return abs(self.rate / self.contract - 1) <= NEAR_CONTRACT[self.method]

    @property
    def truth(self) -> str:
        return "proved" if self.rate > self.contract else "refuted"


@dataclass(slots=True)
class Run:
    """`verdict` is the judge's, `alone` the test's own."""

    case: Case
    verdict: str
    reason: str
    alone: str
    told: dict[str, Any] = field(default_factory=dict)
    cross: Bounds = NO_CROSS
    machine_waited_seconds: float = 0.0
    times: int = 1
    reference_bits_per_second: float = 0.0  # goodput that a stock iperf3 client had over the same line

    @property
    def wrong(self) -> bool:
        return not self.case.open and self.verdict in {"proved", "refuted"} and self.verdict != self.case.truth

    @property
    def own_pace(self) -> bool:
        """One of our own ends could not keep up: on a machine that others use, too, that says nothing of the line."""
        return self.alone == "inconclusive" and (self.told.get("limit_end") in OWN_ENDS or self.reason == "sender_slow")

    @property
    def spoiled(self) -> bool:
        """By this machine: it says nothing of the test, but a wrong verdict is wrong all the same."""
        return self.own_pace or self.machine_waited_seconds > MOST_WAIT_SECONDS

    @property
    def compared(self) -> bool:
        return bool(self.reference_bits_per_second) and self.told.get("limit_end") == "line"

    @property
    def error_ratio(self) -> float | None:
        """Of the measured rate, where the line itself was what held back."""
        if self.told.get("limit_end") != "line" or self.alone == "inconclusive":
            return None
        return (self.told["line_bits_per_second"] + self.cross.value) / self.case.rate - 1


# --- what is run


def matrix(rates: Iterable[float], rtts: Iterable[float], losses: Iterable[float]) -> Iterator[Case]:
    """Every second run has other traffic: of either kind in turn, in either direction."""
    for turn, (rate, rtt, loss) in enumerate(itertools.product(rates, rtts, losses)):
        for place, direction in enumerate(("down", "up")):
            for cross, cross_rate in (("", 0.0), CROSS[(turn + place) % 2]):
                yield Case(kind="udp", rate=rate, direction=direction, rtt_seconds=rtt, loss_ratio=loss, cross=cross, cross_rate=cross_rate)


def beside_others_polled() -> Iterator[Case]:
    """Judged by the figures of a router that was asked before the test and after: all that it counted may have come within the test."""
    for rate, (cross, _), direction, cross_rate in itertools.product(RATES, CROSS, ("down", "up"), (1e6, 5e6)):
        yield Case(
            kind="polled",
            rate=rate,
            direction=direction,
            rtt_seconds=0.020,
            cross=cross,
            cross_rate=cross_rate,
            counted_around_seconds=POLLED_SECONDS,
        )


def beside_a_bulk_transfer(times: int) -> Iterator[Case]:
    """Which takes half of the line and more: the daemon would not test then."""
    for _, rate, rtt, direction in itertools.product(range(times), RATES[::2], RTTS[1:3], ("down", "up")):
        yield Case(kind="bulk", rate=rate, direction=direction, rtt_seconds=rtt, cross="tcp")


def other_contracts(ratios: Sequence[float], times: int, method: str = "udp") -> Iterator[Case]:
    for contract in OTHER_CONTRACTS:
        kind = f"{method}_{contract / 1e6:.0f}"
        for _, ratio, direction in itertools.product(range(times), ratios, ("down", "up")):
            yield Case(kind=kind, method=method, rate=ratio * contract, direction=direction, contract=contract)


def policers(times: int) -> Iterator[Case]:
    for _, ratio, direction in itertools.product(range(times), (0.8, 0.95, 1.05), ("down", "up")):
        yield Case(
            kind="policer",
            rate=ratio * CONTRACT,
            direction=direction,
            line_burst_bytes=POLICER_BURST,
            line_queue_bytes=POLICER_QUEUE,
            burst_bytes=POLICER_BURST,
        )


def streams(method: str, times: int) -> Iterator[Case]:
    """Where the Mathis limit is far above the contract; and, as `_lossy`, where it is far below."""
    for _, rate, rtt, direction in itertools.product(range(times), (60e6, 80e6, 95e6, 105e6, 120e6, 140e6), (0.005, 0.020), ("down", "up")):
        yield Case(kind=method, method=method, rate=rate, direction=direction, rtt_seconds=rtt)
    for _, rate, direction in itertools.product(range(times), (80e6, 140e6), ("down", "up")):
        yield Case(kind=f"{method}_lossy", method=method, rate=rate, direction=direction, rtt_seconds=0.080, loss_ratio=0.005)


def against_iperf3(method: str) -> Iterator[Case]:
    """Lines that a stock iperf3 client measures as well, for ten seconds."""
    for rate, (direction, rtt) in itertools.product((80e6, 95e6, 105e6, 120e6), (("down", 0.005), ("up", 0.020))):
        yield Case(kind=f"{method}_against_iperf3", method=method, rate=rate, direction=direction, rtt_seconds=rtt)


QUICK_MATRIX = [one for one in matrix((90e6, 120e6), (0.020,), (0.005,)) if one.cross != "tcp"]
QUICK_OTHERS = [one for one in other_contracts((0.9, 1.1), 1) if one.direction == "up" and one.contract < 900e6]
QUICK_POLICERS = [one for one in policers(1) if one.direction == "down"][1:]


# --- running


@contextlib.contextmanager
def reflector(line: ShapedLine) -> Iterator[None]:
    """At the far end, until it listens; and a stock iperf3 server."""
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": TOKEN, "LANG": "en"}
    command = [sys.executable, "-m", "netwatch", "reflector", "--listen", f"{FAR}:{PORT}", "--max-day-bytes", "10000000000000"]
    enter(line.far)
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        server = subprocess.Popen(["iperf3", "-s", "-B", FAR, "-p", str(IPERF_PORT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        enter(line.near)
    with process, server:
        try:
            if not (process.stderr and process.stderr.readline()):
                raise SystemExit("the reflector did not start")
            yield
        finally:
            process.terminate()
            server.terminate()


def shape(line: ShapedLine, case: Case) -> None:
    shaped = Shaping(rate_bits_per_second=case.rate, burst_bytes=case.line_burst_bytes, queue_bytes=case.line_queue_bytes)
    down, up = (shaped, Shaping()) if case.direction == "down" else (Shaping(), shaped)
    line.shape(down, up)
    if line.emulated:
        line.emulate(
            LinkSettings(delay_seconds=case.rtt_seconds / 2, loss_ratio=case.loss_ratio if case.direction == "down" else 0.0),
            LinkSettings(delay_seconds=case.rtt_seconds / 2, loss_ratio=case.loss_ratio if case.direction == "up" else 0.0),
        )


def measure(case: Case, others: float) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        probe = Bandwidth(
            contract_bits_per_second=case.contract,
            direction=case.direction,  # type: ignore[arg-type]
            method=case.method,  # type: ignore[arg-type]
            port=IPERF_PORT if case.method == "iperf3" else PORT,
            burst_bytes=case.burst_bytes,
        )
        deadline = asyncio.get_running_loop().time() + 60
        secrets = {"token": Secret(TOKEN)}
        target = Target(
            address=FAR,
            deadline=deadline,
            secrets=secrets,
            others_bits_per_second=others,
            counted_around_seconds=case.counted_around_seconds,
        )
        return document(await probe.measure(target))

    return asyncio.run(scenario())


class Watched:
    """What arrived when at a line's end, by the counters of its interface, in a thread."""

    def __init__(self, line: ShapedLine, direction: str) -> None:
        self._namespace, self._interface = (line.far, "far") if direction == "down" else (line.near, "near")
        self._framing_bytes = 0 if line.emulated and direction == "down" else ETHERNET_BYTES
        self._over = threading.Event()
        self._seen: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        enter(self._namespace)
        while not self._over.is_set():
            self._seen.append((time.monotonic(), self._ip_bytes()))
            self._over.wait(CROSS_TICK_SECONDS)

    def _ip_bytes(self) -> int:
        for row in Path("/proc/thread-self/net/dev").read_text("ascii").splitlines():
            name, colon, counted = row.strip().partition(":")
            if colon and name == self._interface:
                octets, packets = map(int, counted.split()[:2])
                return octets - self._framing_bytes * packets
        raise LookupError(self._interface)

    def besides(self, told: dict[str, Any], ended: float, rtt_seconds: float) -> Bounds:
        """What else arrived while the bins lasted: the last was over when word of it left, or a little before."""
        seconds, received = len(told["bins"]) * 0.05, sum(one[1] for one in told["bins"])
        if not seconds or not self._seen:
            return Bounds(0.0, 0.0, math.inf)
        over = ended - rtt_seconds * (0.5 if told["direction"] == "down" else 1.0)
        found = [max(self._at(end) - self._at(end - seconds) - received, 0) * 8 / seconds for end in (over - 0.025, over - 0.0125, over)]
        return Bounds(min(found), statistics.median(found), max(found))

    def lately(self, seconds: float) -> float:
        """What has come in bits per second, as a router's figures tell it before a test."""
        return (self._seen[-1][1] - self._at(self._seen[-1][0] - seconds)) * 8 / seconds if self._seen else 0.0

    def _at(self, moment: float) -> int:
        return min(self._seen, key=lambda one: abs(one[0] - moment))[1]


def run(line: ShapedLine, case: Case, control: Control | None) -> Run:
    shape(line, case)
    watching = Watched(line, case.direction) if case.cross else contextlib.nullcontext()
    with cross_traffic(line, case.cross, case.direction, case.cross_rate), watching as watched:
        if watched:
            time.sleep(CROSS_SETTLES_SECONDS)
        try:
            told = measure(case, watched.lately(CROSS_SETTLES_SECONDS / 2) if watched else 0.0)
        except ProbeFailed as failure:
            return Run(case, "not_measured", failure.code, "not_measured")
        ended = time.monotonic()
        cross = watched.besides(told, ended, case.rtt_seconds) if watched else NO_CROSS
    if case.counted_around_seconds > EXACT_SECONDS:
        around = told["others_bits_per_second"] * case.counted_around_seconds / (len(told["bins"]) * 0.05 or math.inf)
        cross = Bounds(0.0, cross.value, cross.high + around)
    return judged(case, told, cross, control)


def judged(case: Case, told: dict[str, Any], cross: Bounds, control: Control | None) -> Run:
    wall = 0.0  # all of it is of one moment
    direction: Any = case.direction
    test = measurement_of(told, wall)
    verdict = judge(Evidence(direction=direction, contract=case.contract, wall=wall, measurement=test, control=control, cross=cross))
    return Run(case, verdict.verdict, verdict.reason, told["verdict"], told, cross)


def kept_runs(files: Sequence[Path]) -> list[Run]:
    """Runs of before, judged again: the control test had passed."""
    found = []
    for one in (json.loads(row) for file in files for row in file.read_text("utf-8").splitlines()):
        case = Case(**one["case"])
        direction: Any = case.direction
        passed = Control(wall=0.0, anchor="near", direction=direction, low=1.1 * case.contract)
        run = Run(case, one["verdict"], one["reason"], one["alone"])
        if one["told"]:
            run = judged(case, one["told"], Bounds(**one["cross"]), passed)
        run.machine_waited_seconds, run.times = one["machine_waited_seconds"], one["times"]
        run.reference_bits_per_second = one.get("reference_bits_per_second", 0.0)
        found.append(run)
    return found


def run_until_quiet(line: ShapedLine, case: Case, control: Control | None, bird: Canary) -> list[Run]:
    """One run, or several when this machine spoils them: the last is the one that counts."""
    found: list[Run] = []
    while len(found) < MOST_TIMES and (not found or found[-1].spoiled):
        bird.rest()
        one = run(line, case, control)
        one.machine_waited_seconds, one.times = bird.longest_seconds, len(found) + 1
        found.append(one)
    return found


def controls(line: ShapedLine, wanted: Iterable[tuple[str, float]]) -> dict[tuple[str, str, float], Control]:
    """The same test over a line that nothing holds back: what our own ends can do."""
    found: dict[tuple[str, str, float], Control] = {}
    for (method, contract), direction in itertools.product(sorted(wanted), ("down", "up")):
        for _ in range(3):
            one = run(line, Case(kind="control", rate=0.0, direction=direction, contract=contract, method=method), None)
            low = one.told.get("low_bits_per_second", 0.0)
            if one.alone == "proved":
                break
        found[method, direction, contract] = Control(wall=0.0, anchor="near", direction=direction, low=low)  # type: ignore[arg-type]
    return found


def references(line: ShapedLine, cases: Sequence[Case]) -> dict[tuple[float, str], float]:
    """By rate and direction, what a stock iperf3 client gets of each line that is held against it."""
    found: dict[tuple[float, str], float] = {}
    for case in cases:
        if case.kind.endswith("_against_iperf3") and (case.rate, case.direction) not in found:
            shape(line, case)
            found[case.rate, case.direction] = goodput_bits_per_second(FAR, IPERF_PORT, case.direction)
    return found


def run_all(cases: Sequence[Case], *, emulated: bool, seed: int, keep: Path | None) -> list[Run]:
    if not cases:
        return []
    line = ShapedLine.build(emulated=emulated, hurry=True, seed=seed)
    found: list[Run] = []
    try:
        with canary() as bird, reflector(line), keep.open("a", encoding="utf-8") if keep else contextlib.nullcontext() as kept:
            control = controls(line, {(case.method, case.contract) for case in cases})
            reference = references(line, cases)
            for case in cases:
                for one in run_until_quiet(line, case, control[case.method, case.direction, case.contract], bird):
                    one.reference_bits_per_second = reference.get((case.rate, case.direction), 0.0)
                    found.append(one)
                    if kept:
                        kept.write(json.dumps({**asdict(one), "wrong": one.wrong}) + "\n")
                        kept.flush()
    finally:
        line.close()
    return found


# --- what came of it


def say(name: str, value: float, unit: str, goal: str = "", *, ok: bool | None = None) -> bool:
    FIGURES.append({"name": name, "value": round(value, 4), "unit": unit, "goal": goal or None, "ok": ok})
    print(json.dumps(FIGURES[-1]), flush=True)
    return ok is not False


def decided_ratio(runs: Sequence[Run]) -> float:
    return sum(one.verdict in {"proved", "refuted"} for one in runs) / max(len(runs), 1)


def tell(name: str, runs: Sequence[Run], *, least: int) -> bool:
    """The figures of one kind of line. Runs that this machine spoiled count for nothing but wrong verdicts."""
    judged = [one for one in runs if not one.spoiled]
    clear = [one for one in judged if not one.case.open]
    good = say(f"line_{name}_runs", len(judged), "runs", f">= {least}", ok=len(judged) >= least)
    say(f"line_{name}_runs_spoiled_by_the_machine", len(runs) - len(judged), "runs")
    wrong, decided = sum(one.wrong for one in runs), decided_ratio(clear)
    good &= say(f"line_{name}_wrong", wrong, "runs", "0", ok=wrong == 0)
    if not clear:
        return False
    asked = name not in {"bulk", "polled", "tcp_lossy", "iperf3_lossy"}
    good &= say(f"line_{name}_decided", decided, "ratio", ">= 0.95" if asked else "", ok=decided >= 0.95 if asked else None)
    for word, some in (("with", [one for one in clear if one.case.cross]), ("without", [one for one in clear if not one.case.cross])):
        if some and len(some) < len(clear):
            say(f"line_{name}_decided_{word}_other_traffic", decided_ratio(some), "ratio")
    errors = [abs(error) for one in clear if (error := one.error_ratio) is not None and not one.case.cross]
    if errors:
        say(f"line_{name}_error_of_the_rate_median", statistics.median(errors), "ratio")
        most = 0.02 if clear[0].case.method == "udp" else 0.03
        good &= say(f"line_{name}_error_of_the_rate_most", max(errors), "ratio", f"<= {most}", ok=max(errors) <= most)
    against = [abs(one.told["goodput_bits_per_second"] / one.reference_bits_per_second - 1) for one in clear if one.compared]
    if against:
        good &= say(f"line_{name}_most", max(against), "ratio", "<= 0.03", ok=max(against) <= 0.03)
    return good & tell_cost(name, judged)


def tell_cost(name: str, runs: Sequence[Run]) -> bool:
    spent = [one.told["bytes"] for one in runs if one.told]
    seconds = [one.told["seconds"] for one in runs if one.told]
    if not spent:
        return False
    if name == "policer":
        good = say("line_policer_bytes_most", max(spent), "bytes", "<= 45000000", ok=max(spent) <= 45e6)
        return good & say("line_policer_seconds_most", max(seconds), "seconds", "<= 3.5", ok=max(seconds) <= 3.5)
    most = (0.8 if runs[0].case.method == "udp" else 1.6) * runs[0].case.contract / 8
    if name in {"bulk", "polled"}:  # they go on to their cap, where the daemon would not test or has nothing better
        good = say(f"line_{name}_bytes_median", statistics.median(spent), "bytes")
    else:
        good = say(f"line_{name}_bytes_median", statistics.median(spent), "bytes", f"<= {most:.0f}", ok=statistics.median(spent) <= most)
    say(f"line_{name}_bytes_most", max(spent), "bytes")
    say(f"line_{name}_seconds_median", statistics.median(seconds), "seconds")
    return good


def tell_why(runs: Sequence[Run]) -> None:
    """Verdicts by reason, and how often a test alone was wrong where other traffic took a part of the line."""
    reasons: dict[str, int] = {}
    for one in (one for one in runs if not one.spoiled):
        reasons[f"{one.verdict}: {one.reason}"] = reasons.get(f"{one.verdict}: {one.reason}", 0) + 1
    print(json.dumps({"name": "line_reasons", "value": dict(sorted(reasons.items()))}), flush=True)
    alone = sum(one.alone in {"proved", "refuted"} and one.alone != one.case.truth and not one.case.open for one in runs if one.case.cross)
    say("line_wrong_alone_with_other_traffic", alone, "runs")


def write_down(path: Path, runs: Sequence[Run], seed: int) -> None:
    """The figures, and every run in few words, as JSON; beside it a table to read."""
    columns = ("bytes", "seconds", "line_bits_per_second", "low_bits_per_second", "high_bits_per_second")
    told = [
        {**asdict(one.case), "verdict": one.verdict, "reason": one.reason, "alone": one.alone, "spoiled": one.spoiled, "wrong": one.wrong}
        | {name: one.told.get(name) for name in columns}
        | ({"reference_bits_per_second": round(one.reference_bits_per_second)} if one.reference_bits_per_second else {})
        | {
            "other_traffic_bits_per_second": [
                round(value) for value in (one.cross.low, one.cross.value, one.cross.high) if value < math.inf
            ]
        }
        for one in runs
    ]
    listed = ",\n".join(json.dumps(one, separators=(",", ":")) for one in told)
    path.write_text(f'{{"seed":{seed},"figures":{json.dumps(FIGURES)},"runs":[\n{listed}\n]}}\n', "utf-8")
    rows = [f"| {one['name']} | {one['value']} {one['unit']} | {one['goal'] or ''} | {MARKS[one['ok']]} |" for one in FIGURES]
    head = f"# Lines of known rates: {path.stem.removeprefix('lines-')}\n\n`bench/line.py`, seed {seed}, on {os.cpu_count()} cores; load of the machine "
    head += f"at the end {os.getloadavg()[1]:.0f}. What is run and what counts as wrong stands there; every run is in `{path.name}`.\n\n"
    path.with_suffix(".md").write_text(head + "\n".join(["| figure | value | goal | |", "|---|---|---|---|", *rows]) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few of each kind, under a minute")
    parser.add_argument("--only", choices=("udp", "polled", "bulk", "tcp", "iperf3", "against", "contracts", "streams", "policer"))
    parser.add_argument("--share", type=float, default=1.0, help="of the cases, by chance")
    parser.add_argument("--runs", type=Path, help="a file for every run, a JSON line each")
    parser.add_argument("--again", type=Path, nargs="+", metavar="FILE", help="files of --runs: judges those once more, and runs nothing")
    parser.add_argument("--evidence", type=Path, help="a .json file for all of it; a table comes to stand beside it")
    parser.add_argument("--seed", type=int, default=20261124)
    asked = parser.parse_args()
    dice = Random(asked.seed)

    def chosen(name: str, cases: Sequence[Case]) -> list[Case]:
        if asked.only not in {None, name}:
            return []
        return dice.sample(cases, math.ceil(len(cases) * asked.share))

    delayed = chosen("udp", QUICK_MATRIX if asked.quick else [*matrix(RATES, RTTS, LOSSES)])
    delayed += chosen("polled", [] if asked.quick else [*beside_others_polled()])
    delayed += chosen("bulk", [] if asked.quick else [*beside_a_bulk_transfer(1)])
    for method in ("tcp", "iperf3"):
        delayed += chosen(method, [] if asked.quick else [*streams(method, 2)])
        delayed += chosen("against", [] if asked.quick else [*against_iperf3(method)])
    plain = chosen("contracts", QUICK_OTHERS if asked.quick else [*other_contracts(OTHER_RATIOS, 2)])
    for method in ("tcp", "iperf3"):
        plain += chosen("streams", [] if asked.quick else [*other_contracts(STREAM_RATIOS, 2, method)])
    plain += chosen("policer", QUICK_POLICERS if asked.quick else [*policers(3)])
    if asked.again:
        runs = kept_runs(asked.again)
    else:
        runs = run_all(delayed, emulated=True, seed=asked.seed, keep=asked.runs)
        runs += run_all(plain, emulated=False, seed=asked.seed, keep=asked.runs)
    kinds = list(dict.fromkeys(one.case.kind for one in runs))
    of_kind = {kind: [one for one in runs if one.case.kind == kind] for kind in kinds}
    least = {"udp": 600} if not asked.quick and asked.share == 1 else {}
    good = [tell(kind, some, least=least.get(kind, 1)) for kind, some in of_kind.items()]
    tell_why(runs)
    if asked.evidence:
        write_down(asked.evidence, runs, asked.seed)
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
