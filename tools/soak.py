"""The long runs of `make soak`: 200 kills, then eight scenarios in the real lab. Writes docs/evidence/kills-<date>.md and .json."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
HEAD = """\
# No page is lost: {date}

`make soak`, at commit {commit}, in {minutes:.0f} minutes on {cores} cores; Python {python}, SQLite {sqlite}. Seed {seed}: the same seed
gives the same kills, faults and answers, though not to the millisecond. What is counted as lost, and how, stands in
`bench/kills.py` and `bench/lab_pagers.py`; all figures are in `{json}`.

## kill -9, {kills} times

A real daemon before a webhook, PagerDuty with a stand-in, Telegram and a real Alertmanager, of whose answers two fifths are bad:
500, 503, 429 with every Retry-After, hanging, half-open, a redirect, ten megabytes, 200 that refuses, 403, taken without an answer.

| | |
|---|---|
{figures}

Where it died:

| point | times |
|---|---|
{points}

## Eight scenarios in the lab

45 sites behind emulated lines, the same far ends, and kills by chance between the first fault and the last. "Told" is by every far
end: opened with the right cause and sites, closed, nothing else.

| scenario | kills | incidents | pages taken | requests | taken twice | told |
|---|---|---|---|---|---|---|
{scenarios}
"""
NAMES = {
    "kills_incidents": "incidents",
    "kills_pages": "pages",
    "kills_requests_at_the_far_ends": "requests that met the far ends",
    "kills_accepted": "pages that were taken",
    "kills_lost": "**lost**",
    "kills_duplicates_same_key": "taken twice, with the same key",
    "kills_duplicates_other_key": "**told twice, with another key**",
    "kills_otherwise_wrong": "otherwise wrong: integrity of the history, words that changed, starts that failed",
    "kills_drain_longest": "longest time until every far end knew the truth again, with all well, seconds",
}


def run(program: str, *arguments: str, to: Path) -> Any:
    """What a benchmark writes down; it may end badly, and says so itself."""
    command = [sys.executable, str(ROOT / "bench" / program), *arguments, "--evidence", str(to)]
    subprocess.run(command, cwd=ROOT, check=False)
    return json.loads(to.read_text("utf-8"))


def table(rows: list[tuple[object, ...]]) -> str:
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--at-once", type=int, default=2)
    asked = parser.parse_args()
    began, name = time.monotonic(), f"kills-{dt.datetime.now(dt.UTC).date()}"
    with tempfile.TemporaryDirectory() as directory:
        seed = ("--seed", str(asked.seed))
        kills = run("kills.py", "--kills", str(asked.kills), "--at-once", str(asked.at_once), *seed, to=Path(directory) / "kills.json")
        lab = run("lab_pagers.py", "--all", "--at-once", str(asked.at_once), *seed, to=Path(directory) / "lab.json")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    write(name, asked.seed, kills, lab, minutes=(time.monotonic() - began) / 60, commit=commit or "?")
    sys.exit(0 if all(one["ok"] is not False for one in (*kills["figures"], *lab)) else 1)


def write(name: str, seed: int, kills: Any, lab: Any, *, minutes: float, commit: str) -> None:
    """Both files."""
    figures = {one["name"]: one["value"] for one in kills["figures"]}
    text = HEAD.format(
        date=name.removeprefix("kills-"),
        commit=commit,
        minutes=minutes,
        cores=os.cpu_count(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        seed=seed,
        json=f"{name}.json",
        kills=figures["kills"],
        figures=table([(NAMES[one], figures[one]) for one in NAMES if one in figures]),
        points=table(sorted(kills["kills"].items(), key=lambda entry: (entry[0] != "at random", entry[0]))),
        scenarios=table([scenario(one) for one in lab]),
    )
    EVIDENCE.mkdir(exist_ok=True)
    (EVIDENCE / f"{name}.md").write_text(text, "utf-8")
    (EVIDENCE / f"{name}.json").write_text(json.dumps({"kills": kills, "lab": lab}, ensure_ascii=False, indent=1) + "\n", "utf-8")


def scenario(one: Any) -> tuple[object, ...]:
    told = "yes" if one["ok"] else "; ".join(one["wrong"])
    counts = [one.get(key, "") for key in ("kills", "incidents", "accepted", "requests", "duplicates")]
    return one["name"].removeprefix("lab_pagers/"), *counts, told


if __name__ == "__main__":
    main()
