"""One page per cause: every scenario of bench/scenarios through the real scheduler's rules and the real decisions, on a virtual clock.

What a technician should be told stands in each scenario's `expect:`, written from the design before the correlation was. Printed,
one JSON line each: pages for each true cause (pages that opened a thread, over causes), the share of causes rightly named, the time
from a cut to its page, false pages, causes missed. A cause that netwatch itself gives little confidence is counted as unknown, not as
wrong. With --scenarios also a line for each scenario that did not end as it should.

Beside it, unless --alone: what a stock setup would have sent for the same results, blackbox_exporter's probe_success, `for: 1m`, grouped
by site (see _stock.py). Its threads and its time to the page are counted alike; a thread about a site where nothing was wrong is false.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from _stock import GROUP_WAIT_SECONDS, Change, Notice, Recorder, changes, replay

from netwatch import inventory as inventories
from netwatch.lab import scenario_file
from netwatch.lab.faults import ALL_SITES, ExpectedPage, Scenario, Where
from netwatch.lab.namespaces import enter_private_network
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.lab.verdict import Report, Verdict
from netwatch.lab.world import tag_matches
from netwatch.model import Site

ROOT = Path(__file__).parent
SCENARIOS = ROOT / "scenarios"
INVENTORY = ROOT / "alerts-inventory.yaml"
PROCESSES = 2
UNSURE = 0.5  # less confidence than this is not a claim
PAGES_A_CAUSE_GOAL = 1.0
RIGHT_CAUSE_GOAL = 0.95
TIME_TO_PAGE_GOAL_SECONDS = 15.0
SLOWEST_FIRST = ("loss-of-a-day-vnpt", "loss-of-a-day-viettel", "flap-twenty-sites")
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
    updates: int
    killed: bool  # netwatch itself, meanwhile: the cut has to be seen anew
    cpu_seconds: float
    expected: tuple[ExpectedPage, ...]
    struck: frozenset[str] = frozenset()  # sites where something was wrong
    stock: tuple[Change, ...] = ()


def score(scenario: Scenario, report: Report, cpu_seconds: float) -> Score:
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
        updates=sum(page.kind == "update" for _, page in report.pages),
        killed=any(fault.kind == "kill" for fault in scenario.faults),
        cpu_seconds=cpu_seconds,
        expected=tuple(verdict.expected for verdict in report.verdicts),
    )  # fmt: skip


def _unsure(verdict: Verdict) -> bool:
    return verdict.story is not None and verdict.story.last.confidence < UNSURE


def _delay(verdict: Verdict) -> float:
    opened_at = verdict.story.opened_at if verdict.story is not None else None
    return (float("inf") if opened_at is None else opened_at) - (verdict.expected.since_seconds or 0.0)


def play(path: Path, *, alone: bool) -> Score:
    watched = inventories.load(INVENTORY, environment=DEMO_ENVIRONMENT, pagers={})
    scenario = scenario_file.load(path, watched)
    part = narrow(watched, scenario)
    recorder = Recorder(part)
    started = time.process_time()
    report = Simulation(scenario, part, listen=None if alone else recorder).run()
    figures = score(scenario, report, time.process_time() - started)
    if alone:
        return figures
    struck = frozenset(site.id for fault in scenario.faults for site in part.sites.values() if _strikes(fault.where, site))
    return replace(figures, struck=struck, stock=changes(recorder, scenario.duration_seconds))


def _strikes(where: Where, site: Site) -> bool:
    return where.site in {site.id, ALL_SITES} or (where.tag is not None and tag_matches(site, *where.tag))


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
    show("alerts.updates_per_cause", sum(one.updates for one in scores) / max(causes, 1), "pages", None)
    show("alerts.right_cause", sum(one.right for one in scores) / max(causes, 1), "ratio", RIGHT_CAUSE_GOAL, at_least=True)
    show("alerts.unknown_cause", sum(one.unknown for one in scores) / max(causes, 1), "ratio", None)
    show("alerts.time_to_page_p50", quantile(delays, 0.5), "seconds", None)
    show("alerts.time_to_page_p99", quantile(delays, 0.99), "seconds", TIME_TO_PAGE_GOAL_SECONDS)
    undisturbed = [delay for one in scores for delay in one.delays_seconds if not one.killed]
    show("alerts.time_to_page_p99_not_killed", quantile(undisturbed, 0.99), "seconds", TIME_TO_PAGE_GOAL_SECONDS)
    show("alerts.time_to_page_most", max(delays, default=float("nan")), "seconds", None)
    show("alerts.false_pages", sum(one.false for one in scores), "pages", 0)
    show("alerts.missed", sum(one.missed for one in scores), "causes", 0)
    show("alerts.cpu", sum(one.cpu_seconds for one in scores), "seconds", None)
    show("alerts.wall", wall_seconds, "seconds", None)


def tell_stock(scores: Sequence[Score], notices: Sequence[Notice]) -> None:
    """The first notice about a site opens a thread; the next one that fires is an update of it, until it is over."""
    causes = sum(one.causes for one in scores)
    threads: dict[str, list[tuple[float, str]]] = {}
    open_sites: set[tuple[str, str]] = set()
    for notice in sorted(notices, key=lambda one: one.at):
        group = notice.scenario, notice.site
        if notice.firing and group not in open_sites:
            threads.setdefault(notice.scenario, []).append((notice.at, notice.site))
        (open_sites.add if notice.firing else open_sites.discard)(group)
    false, missed, delays = 0, 0, []
    for one in scores:
        told = threads.get(one.name, [])
        false += sum(site not in one.struck for _, site in told)
        for page in one.expected:
            since = page.since_seconds or 0.0
            fired = [change.at for change in one.stock if change.firing and change.site in (page.sites or ()) and change.at >= since]
            missed += not fired
            if fired and page.since_seconds is not None:
                delays.append(min(fired) + GROUP_WAIT_SECONDS - since)
    show("stock.pages_per_cause", sum(len(told) for told in threads.values()) / max(causes, 1), "pages", None)
    show("stock.all_firing_notices_per_cause", sum(one.firing for one in notices) / max(causes, 1), "pages", None)
    show("stock.time_to_page_p50", quantile(delays, 0.5), "seconds", None)
    show("stock.time_to_page_p99", quantile(delays, 0.99), "seconds", None)
    show("stock.false_pages", false, "pages", None)
    show("stock.missed", missed, "causes", None)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("names", nargs="*", help="only these scenarios")
    reader.add_argument("--scenarios", action="store_true", help="a line for each scenario that did not end as it should")
    reader.add_argument("--alone", action="store_true", help="without the stock setup")
    asked = reader.parse_args()
    if not asked.alone:
        enter_private_network()
    paths = sorted((SCENARIOS / f"{name}.yaml" for name in asked.names), key=order) or sorted(SCENARIOS.glob("*.yaml"), key=order)
    started = time.monotonic()
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        scores = sorted(pool.imap_unordered(partial(play, alone=asked.alone), paths), key=lambda one: one.name)
    if asked.scenarios:
        for one in scores:
            if one.wrong:
                print(json.dumps({"scenario": one.name, "wrong": one.wrong, "pages": one.pages}, ensure_ascii=False), flush=True)
    tell(scores, time.monotonic() - started)
    if not asked.alone:
        tell_stock(scores, replay({one.name: one.stock for one in scores}))


if __name__ == "__main__":
    main()
