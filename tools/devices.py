"""Every dump of a real device that a commune may have, played by snmpsim and read: part of `make soak`.

Writes docs/evidence/devices-<date>.md: for each the profile that was picked, what was read, what is missing and why.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes import ProbeFailed
from tests.dump_reader import Looked
from tests.snmp_dumps import dumps, read_twice, simulator, text_of, unpack

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
TOGETHER_BYTES = 30_000_000  # snmpsim indexes a megabyte a second
WANTED_SHARE = 0.9
PATIENCE_SECONDS = 900.0
HEAD = """\
# Real devices, read: {date}

`{command}`, begun at commit {commit}, in {minutes:.0f} minutes. {count} dumps of snmpsim-data, of UPS, routers, switches, firewalls, wifi, cameras,
sensors and computers, each served by snmpsim and read twice with the profile `auto`; an independent reader of the dump
(`tests/dump_reader.py`) says what should have been read.

| of the dumps that have it | have it | read as it stands there |
|---|---|---|
{shares}

Not answered, values that cannot be or that are not in the dump, restarts that were none: **{wrong}**.
{left_out}
"Status" is the main thing of its kind: on battery or not, access points that serve, clients, temperature, else the processor.
What stands under OIDs whose MIB is not public counts as not there. Ports are those that are switched on; a profile leaves out
loopbacks, VLANs and the like.

| dump | profile | uptime | ports | status | read besides | missing, and why |
|---|---|---|---|---|---|---|
{rows}
"""


class Row:
    """A dump in the table. `looked` is None where nothing could be read at all."""

    def __init__(self, name: str, looked: Any, failed: str = "") -> None:
        self.name, self.looked, self.failed = name, looked, failed
        self.wrong: list[str] = [failed] if failed else looked.absurd()
        self.has: dict[str, bool] = {}
        self.got: dict[str, bool] = {}
        if looked is not None:
            ports = [kind for *_, kind in looked.ports().values()]
            self.has = {"uptime": looked.uptime() is not None, "ports": 6 in ports, "status": looked.status() is not None}
            metric = looked.status()[0] if self.has["status"] else ""
            read = {sample.name for sample in looked.first.samples}
            self.got = {"uptime": "uptime_seconds" in read, "ports": "interface_up" in read, "status": metric in read}

    def cells(self) -> list[str]:
        looked = self.looked
        if looked is None:
            return [self.name, "–", "–", "–", "–", "–", self.failed]
        names = {sample.name: None for sample in looked.first.samples}
        status = looked.status()
        besides = [name for name in names if name not in {"uptime_seconds", status and status[0]} and not name.startswith("interface_")] + [
            fact for fact in ("model", "serial", "firmware") if fact in looked.first.facts
        ]
        shown = {one: "read" if self.got[one] else "**missing**" if self.has[one] else "not there" for one in self.has}
        ports = f"{len(looked.told('interface_up'))} of {len(looked.ports())}" if self.got["ports"] else shown["ports"]
        read = f"`{status[0]}`" if status and self.got["status"] else shown["status"]
        return [self.name, looked.profile, shown["uptime"], ports, read, ", ".join(besides) or "–", self.why()]

    def why(self) -> str:
        reasons = [f"WRONG: {one}" for one in self.wrong]
        for one, there in self.has.items():
            if there and not self.got[one]:
                reasons.append(f"{one}: it is there but was not understood")
            elif not there:
                reasons.append(f"{one}: the dump has none" if one != "status" else "status: it has no OID of that which is known")
        if flaws := self.looked.first.detail:
            reasons.append(flaws)
        return "; ".join(reasons)


def groups(asked: list[str], most_bytes: float, left_out: list[str]) -> Iterator[list[str]]:
    """So many as snmpsim indexes in half a minute; the greatest alone, and last. `left_out` is added to."""
    group: list[str] = []
    size = 0
    for length, name in sorted((len(text_of(file)), name) for name, file in dumps().items() if not asked or name in asked):
        if length > most_bytes:
            left_out.append(name)
            continue
        if group and size + length > TOGETHER_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += length
    if group:
        yield group


def read_group(names: list[str]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        played, cache = Path(folder, "dumps"), Path(folder, "cache")
        played.mkdir()
        cache.mkdir()
        records = {name: unpack(name, played) for name in names}
        with simulator(played, cache) as port:
            for name in names:
                try:
                    first, second = patiently(port, name)
                except ProbeFailed as failed:
                    yield Row(name, None, failed.code)
                else:
                    yield Row(name, Looked(name, first, second, records[name]))


def patiently(port: int, name: str) -> Any:
    """snmpsim reads the index of a dump when it is first asked for it, and is silent meanwhile. Raises ProbeFailed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return asyncio.run(read_twice(port, name))
        except ProbeFailed as failed:
            if failed.code != "timeout" or time.monotonic() > deadline:
                raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="dumps; all of them if none is named")
    parser.add_argument("--at-most", type=float, default=1e12, help="bytes of a dump; what is greater is left out, and told")
    parser.add_argument("--to", type=Path, default=EVIDENCE / f"devices-{dt.datetime.now(dt.UTC).date()}.md")
    asked = parser.parse_args()
    began, left_out = time.monotonic(), list[str]()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    rows: list[Row] = []
    for group in groups(asked.names, asked.at_most, left_out):
        for row in read_group(group):
            print(*row.cells(), sep=" | ", flush=True)
            rows.append(row)
    shares = {one: ([row for row in rows if row.has.get(one)], [row for row in rows if row.has.get(one) and row.got[one]]) for one in NAMES}
    wrong = sum(bool(row.wrong) for row in rows)
    asked.to.write_text(report(rows, left_out, shares, wrong, minutes=(time.monotonic() - began) / 60, commit=commit or "?"), "utf-8")
    sys.exit(1 if wrong or any(len(got) < WANTED_SHARE * len(has) for has, got in shares.values()) else 0)


NAMES = {"uptime": "uptime", "ports": "ports", "status": "the main status of its kind"}


def report(
    rows: list[Row], left_out: list[str], shares: dict[str, tuple[list[Row], list[Row]]], wrong: int, *, minutes: float, commit: str
) -> str:
    return HEAD.format(
        date=dt.datetime.now(dt.UTC).date(),
        command=" ".join(["tools/devices.py", *sys.argv[1:]]),
        commit=commit,
        minutes=minutes,
        count=len(rows),
        shares=table(
            [[NAMES[one], str(len(has)), f"{len(got)} ({len(got) / max(1, len(has)):.0%})"] for one, (has, got) in shares.items()]
        ),
        wrong=wrong,
        left_out=f"\nLeft out, for their size: {', '.join(sorted(left_out))}.\n" if left_out else "",
        rows=table([row.cells() for row in sorted(rows, key=lambda row: row.name)]),
    )


def table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows)


if __name__ == "__main__":
    main()
