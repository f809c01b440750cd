"""One page per cause: every scenario of bench/scenarios through the real scheduler's rules and the real decisions, on a virtual clock.

What a technician should be told stands in each scenario's `expect:`, written from the design before the correlation was. Printed,
one JSON line each: pages for each true cause (pages that opened a thread, over causes), the share of causes rightly named, the time
from a cut to its page, false pages, causes missed. A cause that netwatch itself gives little confidence is counted as unknown, not as
wrong. With --scenarios also a line for each scenario that did not end as it should.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netwatch import inventory as inventories
from netwatch.lab import scenario_file
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.lab.verdict import Report, Verdict

ROOT = Path(__file__).parent
SCENARIOS = ROOT / "scenarios"
INVENTORY = ROOT / "alerts-inventory.yaml"
PROCESSES = 2
UNSURE = 0.5  # less confidence than this is not a claim
PAGES_A_CAUSE_GOAL = 1.0
RIGHT_CAUSE_GOAL = 0.95
TIME_TO_PAGE_GOAL_SECONDS = 15.0
SLOWEST_FIRST = ("loss-of-a-day", "flap-twenty-sites", "pager-dead")
WRONG_NAME = frozenset({"cause", "sites", "named_late"})


@dataclass(frozen=True, kw_only=True)
class Score:
    """One scenario in figures; what crosses from one process to the other."""

    name: str
    causes: int
    openings: int
    right: int
    unknown: int
    missed: int
    false: int
    delays_seconds: tuple[float, ...]
    wrong: tuple[str, ...]
    pages: int
    cpu_seconds: float


def score(report: Report, cpu_seconds: float) -> Score:
    near = [verdict for verdict in report.verdicts if verdict.story is not None]
    opened_for = {verdict.story.last.id for verdict in near if verdict.story is not None}
    false = [page for _, page in report.unexpected if page.incident.id not in opened_for]
    unknown = [verdict for verdict in near if WRONG_NAME & set(verdict.wrong) and _unsure(verdict)]
    return Score(
        name=report.name,
        causes=len(report.verdicts),
        openings=sum(verdict.story.count("open") for verdict in near if verdict.story is not None) + len(false),
        right=sum(not WRONG_NAME & set(verdict.wrong) for verdict in near),
        unknown=len(unknown),
        missed=len(report.verdicts) - len(near),
        false=len(false),
        delays_seconds=tuple(_delay(verdict) for verdict in near if verdict.expected.since_seconds is not None),
        wrong=(
            *(f"{verdict.expected.cause.name or verdict.expected.cause.type}: {' '.join(verdict.wrong)}" for verdict in report.verdicts if verdict.wrong),
            *(f"false at {at:.1f} s: {page.incident.cause.type} {page.incident.cause.name}" for at, page in report.unexpected if page in false),
            *(f"not in the digest: {one.cause.name}" for one in report.not_in_digest),
            *((f"{len(report.pages)} pages are too many",) if report.too_many_pages else ()),
        ),
        pages=len(report.pages),
        cpu_seconds=cpu_seconds,
    )  # fmt: skip


def _unsure(verdict: Verdict) -> bool:
    return verdict.story is not None and verdict.story.last.confidence < UNSURE


def _delay(verdict: Verdict) -> float:
    opened_at = verdict.story.opened_at if verdict.story is not None else None
    return (float("inf") if opened_at is None else opened_at) - (verdict.expected.since_seconds or 0.0)


def play(path: Path) -> Score:
    watched = inventories.load(INVENTORY, environment=DEMO_ENVIRONMENT, pagers={})
    scenario = scenario_file.load(path, watched)
    started = time.process_time()
    report = Simulation(scenario, narrow(watched, scenario)).run()
    return score(report, time.process_time() - started)


def order(path: Path) -> tuple[int, str]:
    """The slowest ones begin first, so that the processes end together."""
    return (SLOWEST_FIRST.index(path.stem) if path.stem in SLOWEST_FIRST else len(SLOWEST_FIRST), path.stem)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def show(name: str, value: float, unit: str, goal: float | None, *, at_least: bool = False) -> None:
    met = None if goal is None else value >= goal if at_least else value <= goal
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "ok": met}), flush=True)


def tell(scores: Sequence[Score], wall_seconds: float) -> None:
    causes = sum(one.causes for one in scores)
    delays = [delay for one in scores for delay in one.delays_seconds]
    show("alerts.scenarios", len(scores), "scenarios", None)
    show("alerts.as_expected", sum(not one.wrong for one in scores), "scenarios", len(scores), at_least=True)
    show("alerts.true_causes", causes, "causes", None)
    show("alerts.pages_per_cause", sum(one.openings for one in scores) / max(causes, 1), "pages", PAGES_A_CAUSE_GOAL)
    show("alerts.right_cause", sum(one.right for one in scores) / max(causes, 1), "ratio", RIGHT_CAUSE_GOAL, at_least=True)
    show("alerts.unknown_cause", sum(one.unknown for one in scores) / max(causes, 1), "ratio", None)
    show("alerts.time_to_page_p50", quantile(delays, 0.5), "seconds", None)
    show("alerts.time_to_page_p99", quantile(delays, 0.99), "seconds", TIME_TO_PAGE_GOAL_SECONDS)
    show("alerts.time_to_page_most", max(delays, default=float("nan")), "seconds", None)
    show("alerts.false_pages", sum(one.false for one in scores), "pages", 0)
    show("alerts.missed", sum(one.missed for one in scores), "causes", 0)
    show("alerts.cpu", sum(one.cpu_seconds for one in scores), "seconds", None)
    show("alerts.wall", wall_seconds, "seconds", None)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("names", nargs="*", help="only these scenarios")
    reader.add_argument("--scenarios", action="store_true", help="a line for each scenario that did not end as it should")
    asked = reader.parse_args()
    paths = sorted((SCENARIOS / f"{name}.yaml" for name in asked.names), key=order) or sorted(SCENARIOS.glob("*.yaml"), key=order)
    started = time.monotonic()
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        scores = sorted(pool.imap_unordered(play, paths), key=lambda one: one.name)
    if asked.scenarios:
        for one in scores:
            if one.wrong:
                print(json.dumps({"scenario": one.name, "wrong": one.wrong, "pages": one.pages}, ensure_ascii=False), flush=True)
    tell(scores, time.monotonic() - started)
    sys.exit(0)


if __name__ == "__main__":
    main()
