"""The same results given to a stock Prometheus and Alertmanager: when the rules fire, and whom that would tell.

Prometheus' own rule engine says when an alert fires (`promtool test rules`, every 15 s of the scenario's time). A real Alertmanager
then groups by site and sends, on a clock that runs `SPEED` times as fast: its waits are divided by that, nothing else is changed. So
notices are counted as they came; when they come is reckoned, from the moment the rule fires and the group's wait.
What is not fed: anchors (a stock setup has none), what only waits for the morning, and runs that failed for want of something here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import subprocess
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from netwatch.model import Inventory, Outcome, Result

RULES = Path(__file__).parent / "alerts-stock.rules.yml"
STEP_SECONDS = 15
COARSE_SECONDS, COARSE_AFTER_SECONDS = 60, 3 * 3600
SPEED = 300.0
GROUP_WAIT_SECONDS, GROUP_INTERVAL_SECONDS, REPEAT_SECONDS = 30.0, 300.0, 4 * 3600.0  # Alertmanager's own defaults
GAUGES = frozenset({"icmp_loss_ratio", "ups_on_battery", "ups_battery_low"})
FIRING = re.compile(r"\{__name__=\"ALERTS\", ([^}]*)\}")
LABEL = re.compile(r"(\w+)=\"([^\"]*)\"")
AT = re.compile(r"time: (\S+),")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
ALERTMANAGER = "http://127.0.0.1:9093"
RECEIVER_PORT = 9094

Labels = frozenset[tuple[str, str]]


@dataclass
class Recorder:
    """Every result as series of samples, at the times the results were there."""

    inventory: Inventory
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def __call__(self, result: Result) -> None:
        check = self.inventory.checks[result.check]
        if check.audience != "page" or check.site not in self.inventory.sites or result.outcome is Outcome.ERROR:
            return
        if check.site in {self.inventory.checks[anchor.check].site for anchor in self.inventory.anchors}:
            return
        at = result.at + result.duration_seconds
        place = f'{{site="{check.site}",target="{check.target}",check="{check.name}"}}'
        self.series.setdefault("probe_success" + place, []).append((at, float(result.outcome is Outcome.OK)))
        for sample in result.samples:
            if sample.name in GAUGES and sample.values and (sample.name != "icmp_loss_ratio" or check.target in self._lines(check.site)):
                self.series.setdefault(sample.name + place, []).append((at, sample.values[-1]))

    def _lines(self, site: str) -> Mapping[str, Any]:
        return self.inventory.sites[site].lines


@dataclass(frozen=True)
class Change:
    """An alert begins or ends to fire."""

    at: float
    labels: Labels
    firing: bool

    @property
    def site(self) -> str:
        return dict(self.labels).get("site", "")


@dataclass(frozen=True)
class Notice:
    """What Alertmanager sent about one site of one scenario."""

    scenario: str
    at: float
    site: str
    firing: bool


def changes(recorder: Recorder, duration_seconds: float) -> tuple[Change, ...]:
    """When each alert begins and ends to fire, by Prometheus' own rule engine."""
    steps = int(duration_seconds // STEP_SECONDS) + 1
    every = COARSE_SECONDS if duration_seconds > COARSE_AFTER_SECONDS else STEP_SECONDS
    test = {
        "interval": f"{STEP_SECONDS}s",
        "input_series": [{"series": name, "values": _written(samples, steps)} for name, samples in recorder.series.items()],
        "promql_expr_test": [
            {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{at}s"} for at in range(every, int(duration_seconds) + 1, every)
        ],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # JSON is YAML
        json.dump({"rule_files": [str(RULES)], "evaluation_interval": f"{STEP_SECONDS}s", "tests": [test]}, file)
        file.flush()
        done = subprocess.run(["promtool", "test", "rules", file.name], capture_output=True, text=True, timeout=300, check=False)
    if "got:" not in done.stdout + done.stderr and done.returncode and "FAILED" in done.stdout + done.stderr:
        raise RuntimeError(done.stdout + done.stderr)
    return tuple(_compared(_firing(done.stdout + done.stderr), every, duration_seconds))


def _written(samples: Sequence[tuple[float, float]], steps: int) -> str:
    """promtool's notation: a value and how often it comes again; `_` before the first."""
    times = [at for at, _ in samples]
    runs: list[list[Any]] = []
    for step in range(steps):
        place = bisect_right(times, step * STEP_SECONDS)
        word = "_" if not place else f"{samples[place - 1][1]:g}"
        if runs and runs[-1][0] == word:
            runs[-1][1] += 1
        else:
            runs.append([word, 0])
    return " ".join(f"{word}x{again + 1}" if word == "_" else f"{word}x{again}" if again else word for word, again in runs)


def _firing(told: str) -> dict[float, frozenset[Labels]]:
    """What promtool got instead of nothing, by time."""
    found: dict[float, frozenset[Labels]] = {}
    at = 0.0
    for line in told.splitlines():
        if time_said := AT.search(line):
            at = sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhd])", time_said[1]))
        elif line.strip().startswith("got:"):
            alerts = (LABEL.findall(labels) for labels in FIRING.findall(line))
            found[at] = frozenset(frozenset(pair for pair in labels if pair[0] != "alertstate") for labels in alerts)
    return found


def _compared(firing: Mapping[float, frozenset[Labels]], every: int, duration_seconds: float) -> Iterator[Change]:
    before: frozenset[Labels] = frozenset()
    for at in range(every, int(duration_seconds) + 1, every):
        now = firing.get(float(at), frozenset())
        yield from (Change(float(at), labels, firing=True) for labels in sorted(now - before, key=sorted))
        yield from (Change(float(at), labels, firing=False) for labels in sorted(before - now, key=sorted))
        before = now


def replay(timelines: Mapping[str, Sequence[Change]]) -> list[Notice]:
    """All scenarios at once through one Alertmanager, each its own groups. Needs a private network: the ports are fixed."""
    return asyncio.run(_replay(timelines))


def _configuration() -> str:
    route = {
        "receiver": "noc",
        "group_by": ["scenario", "site"],
        "group_wait": f"{1000 * GROUP_WAIT_SECONDS / SPEED:.0f}ms",
        "group_interval": f"{1000 * GROUP_INTERVAL_SECONDS / SPEED:.0f}ms",
        "repeat_interval": f"{1000 * REPEAT_SECONDS / SPEED:.0f}ms",
    }
    hook = {"url": f"http://127.0.0.1:{RECEIVER_PORT}/", "send_resolved": True, "max_alerts": 1}
    return json.dumps({"route": route, "receivers": [{"name": "noc", "webhook_configs": [hook]}]})


async def _replay(timelines: Mapping[str, Sequence[Change]]) -> list[Notice]:
    notices: list[Notice] = []
    begun = [0.0]

    async def take(request: web.Request) -> web.Response:
        told = await request.json()
        group = told["groupLabels"]
        at = (time.monotonic() - begun[0]) * SPEED
        notices.append(Notice(group["scenario"], at, group["site"], told["status"] == "firing"))
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", RECEIVER_PORT).start()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "alertmanager.yml"
        file.write_text(_configuration(), "utf-8")
        command = ["prometheus-alertmanager", f"--config.file={file}", f"--storage.path={folder}", "--cluster.listen-address="]
        process = await asyncio.create_subprocess_exec(
            *command, "--web.listen-address=127.0.0.1:9093", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with aiohttp.ClientSession() as session:
                await _ready(session)
                begun[0] = time.monotonic()
                await _send(session, timelines, begun[0])
                await asyncio.sleep(2 * (GROUP_WAIT_SECONDS + GROUP_INTERVAL_SECONDS) / SPEED)
        finally:
            process.terminate()
            await process.wait()
            await runner.cleanup()
    return notices


async def _ready(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(f"{ALERTMANAGER}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


async def _send(session: aiohttp.ClientSession, timelines: Mapping[str, Sequence[Change]], begun: float) -> None:
    """Each change when its time has come; what goes on firing is not said again, since it is said to fire for long."""
    by_time: dict[float, list[tuple[str, Change]]] = {}
    for scenario, told in timelines.items():
        for change in told:
            by_time.setdefault(change.at, []).append((scenario, change))
    for at in sorted(by_time):
        await asyncio.sleep(max(0.0, begun + at / SPEED - time.monotonic()))
        now = dt.datetime.now(dt.UTC)
        body = [
            {
                "labels": {**dict(change.labels), "scenario": scenario},
                "endsAt": (now + dt.timedelta(hours=1) if change.firing else now).isoformat(),
            }
            for scenario, change in by_time[at]
        ]
        async with session.post(f"{ALERTMANAGER}/api/v2/alerts", json=body) as answer:
            answer.raise_for_status()
