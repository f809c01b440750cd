"""`netwatch probe icmp`: thousands of addresses at once, as fping does."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from probes.icmp import Train

__all__ = ["icmp"]

MAX_ADDRESSES = 200_000
MAX_COMPLAINTS = 10
MAX_LINE = 1000
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s)?")


def icmp(
    addresses: Annotated[list[str] | None, typer.Argument(metavar="ADDRESS", help="IPv4 and IPv6 addresses.")] = None,
    file: Annotated[str, typer.Option("--file", "-f", help="File of addresses, one a line, # for comments; - reads standard input.")] = "",
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=1000, help="Echo requests to each address.")] = 5,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=1_000_000, help="Echo requests a second, in all.")] = 1000.0,
    timeout: Annotated[str, typer.Option("--timeout", "-t", help="How long to wait for each reply: 1s, 500ms; 10 s at most.")] = "1s",
    spacing: Annotated[str, typer.Option("--spacing", "-p", help="Time between two echo requests to one address.")] = "200ms",
    size: Annotated[int, typer.Option("--size", "-b", min=8, max=1472, help="Payload bytes.")] = 56,
    source: Annotated[str, typer.Option("--source", help="Local address to send from.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each address.")] = False,
) -> None:
    """Sends ICMP echo requests to many addresses.

    Examples: netwatch probe icmp 10.45.7.1 · netwatch probe icmp -f addresses.txt --count 5 --rate 20000 --json

    Exit codes: 0 all answered · 1 some did not · 64 usage · 66 no such file · 77 no permission
    """
    from probes.icmp import MAX_WAIT_SECONDS

    if source:
        _targets([source], "")
    wait_seconds = _seconds("--timeout", timeout, MAX_WAIT_SECONDS)
    plan = Plan(_targets(addresses or [], file), count, rate, wait_seconds, _seconds("--spacing", spacing, 3600.0), size, source or None)
    trains, dropped = _ping(plan)
    if as_json:
        sys.stdout.write("".join(f"{json.dumps(_document(target, train))}\n" for target, train in zip(plan.targets, trains, strict=True)))
    else:
        _print(plan.targets, trains)
    if dropped:
        print(f"netwatch: {text('probe.dropped', count=dropped)}", file=sys.stderr)
    if dropped or not all(train.rtt_seconds for train in trains):
        raise typer.Exit(Exit.FAILED)


@dataclass(frozen=True, slots=True)
class Plan:
    targets: tuple[str, ...]
    count: int
    rate: float
    wait_seconds: float
    spacing_seconds: float
    size: int
    source: str | None


def _seconds(option: str, given: str, most: float) -> float:
    """`1s`, `500ms` or plain seconds."""
    found = DURATION.fullmatch(given)
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0
    if not 0 < seconds <= most:
        _output.fail(Exit.USAGE, text("probe.duration", option=option, given=given, most=f"{most:g}"))
    return seconds


def _targets(addresses: Sequence[str], file: str) -> tuple[str, ...]:
    """Every address asked for, in order; anything that is none ends the command, all of them named at once."""
    from probes.icmp import host_address

    found: list[str] = []
    complaints: list[str] = []
    for where, address in (*(("", address) for address in addresses), *(_lines(file) if file else ())):
        try:
            host_address(address)
        except ValueError:
            complaints.append(text("probe.bad_address", where=where, given=address[:80]))
        found.append(address)
    if complaints:
        more = len(complaints) - MAX_COMPLAINTS
        shown = [*complaints[:MAX_COMPLAINTS], *([text("probe.more", count=more)] if more > 0 else [])]
        _output.fail(Exit.USAGE, "\n".join(shown))
    if not found:
        _output.fail(Exit.USAGE, text("probe.no_addresses"))
    return tuple(found)


def _lines(file: str) -> Iterable[tuple[str, str]]:
    """Each address of a file with `file:line: ` before it."""
    try:
        with nullcontext(sys.stdin) if file == "-" else closing(Path(file).open(encoding="utf-8", errors="replace")) as stream:
            return _read("<stdin>" if file == "-" else file, stream)
    except PermissionError:
        _output.fail(Exit.NO_PERMISSION, text("probe.file_denied", file=file))
    except OSError as error:
        _output.fail(Exit.NO_INPUT, text("probe.file", file=file, why=error.strerror or error))


def _read(name: str, stream: TextIO) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE), ""), 1):
        address = line.partition("#")[0].strip()
        if address:
            found.append((f"{name}:{number}: ", address))
        if len(found) > MAX_ADDRESSES:
            _output.fail(Exit.USAGE, text("probe.too_many", file=name, most=MAX_ADDRESSES))
    return found


def _ping(plan: Plan) -> tuple[Sequence[Train], int]:
    import asyncio

    try:
        return asyncio.run(_ping_all(plan))
    except PermissionError as error:
        from netwatch.doctor import PING_EVERYBODY

        _output.fail(Exit.NO_PERMISSION, text("probe.not_permitted", error=error.strerror, command=PING_EVERYBODY))
    except OSError as error:
        _output.fail(Exit.FAILED, text("probe.no_socket", error=error.strerror or error))


async def _ping_all(plan: Plan) -> tuple[Sequence[Train], int]:
    from probes.icmp import Pinger, ping_many

    pinger = Pinger()
    try:
        trains = await ping_many(
            pinger,
            plan.targets,
            count=plan.count,
            rate=plan.rate,
            wait=plan.wait_seconds,
            spacing=plan.spacing_seconds,
            size=plan.size,
            source=plan.source,
        )
        return trains, pinger.totals()["dropped"]
    finally:
        await pinger.aclose()


def _document(target: str, train: Train) -> dict[str, Any]:
    rtts = train.rtt_seconds
    document: dict[str, Any] = {"target": target, "sent": train.sent, "received": len(rtts), "rtt_seconds": rtts}
    if len(rtts) < train.sent or not train.sent:
        document["error"] = train.reason or "timeout"
    return document


def _print(targets: Sequence[str], trains: Sequence[Train]) -> None:
    rows = []
    for target, train in zip(targets, trains, strict=True):
        rtts = train.rtt_seconds
        least, mean, most = (f"{1000 * value:.3f}" for value in (min(rtts), sum(rtts) / len(rtts), max(rtts))) if rtts else ("", "", "")
        why = "" if rtts and len(rtts) == train.sent else train.reason or "timeout"
        rows.append((target, str(train.sent), str(len(rtts)), least, mean, most, why))
    _output.print_table([text(f"probe.column_{name}") for name in ("target", "sent", "received", "least", "mean", "most", "error")], rows)
