"""`netwatch probe bandwidth`: one test of a line, now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from netwatch.cli import _output
from netwatch.cli._common import agree
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from probes._capacity import Outcome
    from probes.bandwidth import Bandwidth

__all__ = ["TOKEN_VARIABLE", "bandwidth", "read_token"]

TOKEN_VARIABLE = "NETWATCH_LINE_TOKEN"  # noqa: S105  # the name of a variable, not what is in it
DIRECTIONS = ("down", "up")
SECRETS = {"udp": "token", "tcp": "token", "router": "password"}  # what the file holds, by method


def bandwidth(
    address: Annotated[str, typer.Argument(help="Address or name of the far end.")],
    contract: Annotated[str, typer.Option("--contract", help="What the line should carry, in IP packets: 100Mbps.")],
    direction: Annotated[str, typer.Option("--direction", help="The site's: down flows from here to the far end, up from there to here.")],
    port: Annotated[
        int | None, typer.Option("--port", help="Port of the far end; else 8621, 5201 for iperf3, that of the URL.", min=1, max=65535)
    ] = None,
    dial_in_port: Annotated[
        int | None, typer.Option("--dial-in-port", help="The far end dials in here, and ADDRESS is its name.", min=1, max=65535)
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="udp (usual) or tcp with netwatch reflector; iperf3, http with a stock server.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="For http: a large file, http(s)://…; for down one that takes PUT.")] = None,
    streams: Annotated[
        int | None, typer.Option("--streams", help="Connections at once, for tcp, iperf3 and http; else 8.", min=1, max=16)
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help=f"File whose first line is the token, or the router's password; or {TOKEN_VARIABLE}."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="For router: who asks its REST API.")] = None,
    fetch_port: Annotated[
        int | None, typer.Option("--fetch-port", help="For router: where it comes to fetch; else 8623.", min=1, max=65535)
    ] = None,
    ca_file: Annotated[str | None, typer.Option("--ca-file", help="For router: who signed its certificate.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="For router: take any certificate.")] = False,
    burst_bytes: Annotated[
        int | None, typer.Option("--burst-bytes", help="What passes above the rate of a policed line; else 1000000, less below 100Mbps.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option("--max-bytes", help="The most that may be sent.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="The longest that may be sent; with --full how long it lasts, else 10.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Go on to the end, by tcp if nothing is said, and tell the figures of RFC 6349. Many bytes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --full: do not ask whether it may take so many bytes.")] = False,
    source: Annotated[str, typer.Option("--source", help="Local address to measure from.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Proves or refutes, with few bytes, that a line carries its contract.

    The far end runs netwatch reflector; with --method iperf3 or http any such server will do. Packets are sent a little faster than
    the contract; the test ends as soon as bounds on what arrives exclude it. That loads the line for about half a second, with tcp,
    iperf3 and http about one. With --method router a RouterOS 7 router fetches from here, only downwards. Verdicts: proved, refuted, inconclusive.

    Examples: netwatch probe bandwidth 10.45.7.9 --contract 100Mbps --direction down --token-file token ·
    netwatch probe bandwidth 10.45.7.9 --contract 100Mbps --direction up --token-file token --json ·
    netwatch probe bandwidth 10.45.7.9 --contract 100Mbps --direction up --method iperf3 ·
    netwatch probe bandwidth 10.45.7.9 --contract 100Mbps --direction down --token-file token --full

    Exit codes: 0 measured, whatever the verdict · 1 not measured · 64 usage · 66 no such file · 77 no permission, or wrong token
    """
    import asyncio

    from probes import ProbeFailed, ProbeMisconfigured, Secret

    if direction not in DIRECTIONS:
        _output.fail(Exit.USAGE, text("line_test.direction", given=direction[:40]))
    method = method or ("tcp" if full else "udp")
    if full and method == "udp":
        _output.fail(Exit.USAGE, text("line_test.full_udp"))
    if method == "http" and url is None:
        _output.fail(Exit.USAGE, text("line_test.no_url"))
    if method == "router" and user is None:
        _output.fail(Exit.USAGE, text("line_test.no_user"))
    secrets = {SECRETS[method]: Secret(read_token(token_file))} if method in SECRETS else {}
    given = {"url": url, "port": port, "method": method, "burst_bytes": burst_bytes, "max_bytes": max_bytes, "max_seconds": max_seconds}
    given |= {"dial_in_port": dial_in_port, "streams": streams, "full": full or None}
    given |= {"user": user, "fetch_port": fetch_port, "ca_file": ca_file, "verify": False if insecure else None}
    probe = _probe(contract, direction, given)
    if full and dial_in_port is not None:
        _output.fail(Exit.USAGE, text("line_test.full_dials_in"))
    if full:
        _ask(probe, yes=yes)
    try:
        outcome = asyncio.run(_measure(probe, address, source, secrets))
    except ProbeFailed as failure:
        _not_measured(address, failure.code, failure.reading.detail, as_json, turned_away=isinstance(failure, ProbeMisconfigured))
    except OSError as error:
        _not_measured(address, _code(error), error.strerror or str(error) or type(error).__name__, as_json)
    if as_json:
        from probes.bandwidth import document

        _output.print_json({"schema": "netwatch/v1/bandwidth", "target": address, **document(outcome)})
    else:
        _print(outcome)


def read_token(file: Path | None) -> str:
    """From the file or the environment, never as an option, which all users of the host could read."""
    if file is None:
        found = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not found:
            _output.fail(Exit.USAGE, text("line_test.no_token", variable=TOKEN_VARIABLE))
        return found
    try:
        lines = file.read_text("utf-8").splitlines()
    except PermissionError:
        _output.fail(Exit.NO_PERMISSION, text("line_test.file_denied", file=file))
    except (OSError, UnicodeDecodeError):
        _output.fail(Exit.NO_INPUT, text("line_test.file", file=file))
    if not lines or not lines[0].strip():
        _output.fail(Exit.NO_INPUT, text("line_test.file_empty", file=file))
    return lines[0].strip()


def _probe(contract: str, direction: str, given: dict[str, Any]) -> Bandwidth:
    from netwatch.cli.probe import build
    from netwatch.inventory import _units
    from probes.bandwidth import LEAST_CONTRACT, MOST_CONTRACT, Bandwidth

    try:
        bits = _units.rate(contract)
    except _units.WrongUnit:
        _output.fail(Exit.USAGE, text("line_test.contract_wrong", given=contract[:40]))
    if not LEAST_CONTRACT <= bits <= MOST_CONTRACT:
        least, most = (f"{limit / 1e6:g}Mbps" for limit in (LEAST_CONTRACT, MOST_CONTRACT))
        _output.fail(Exit.USAGE, text("line_test.contract_range", given=contract[:40], least=least, most=most))
    fields = {"contract_bits_per_second": bits, "direction": direction, **given}
    return cast("Bandwidth", build(Bandwidth, {name: value for name, value in fields.items() if value is not None}))


async def _measure(probe: Bandwidth, address: str, source: str, secrets: dict[str, Any]) -> Outcome:
    import asyncio

    from probes import Shared, Target

    shared = Shared()
    waiting_seconds = 30 if probe.dial_in_port is None else 60
    deadline = asyncio.get_running_loop().time() + probe.plan().max_seconds + waiting_seconds
    try:
        async with asyncio.timeout_at(deadline):
            return await probe.measure(Target(address=address, deadline=deadline, source=source or None, secrets=secrets), shared)
    finally:
        await shared.aclose()


def _ask(probe: Bandwidth, *, yes: bool) -> None:
    import sys

    plan = probe.plan()
    print(text("line_test.full_cost_one", seconds=f"{plan.max_seconds:g}", megabytes=round(plan.max_bytes / 1e6)), file=sys.stderr)
    if not yes:
        agree()


def _code(error: OSError) -> str:
    import socket

    if isinstance(error, socket.gaierror):
        return "resolve"
    return "timeout" if isinstance(error, TimeoutError) else "refused" if isinstance(error, ConnectionRefusedError) else "network"


def _not_measured(address: str, code: str, detail: str, as_json: bool, *, turned_away: bool = False) -> NoReturn:
    if as_json:
        nothing = {"bytes": 0, "seconds": 0.0, "goodput_bits_per_second": 0, "line_bits_per_second": 0, "confidence": 0.0}
        _output.print_json({"schema": "netwatch/v1/bandwidth", "target": address, "verdict": "inconclusive", **nothing, "reason": code})
    known = _output.words().has(f"line_test.failed_{code}")
    why = text(f"line_test.failed_{code}", detail=detail) if known else f"{code}: {detail}"
    _output.fail(Exit.NO_PERMISSION if turned_away else Exit.FAILED, f"{address}: {why}")


def _print(outcome: Outcome) -> None:
    print(text(f"line_test.verdict_{outcome.verdict}", reason=text(f"line_test.reason_{outcome.reason}")))
    bounds = outcome.estimate
    rows = [
        ("contract", _mbps(outcome.plan.contract_bits_per_second)),
        ("line", f"{_mbps(bounds.value)} ({_mbps(bounds.low)} – {_mbps(bounds.high)})" if bounds.value else ""),
        ("goodput", _mbps(outcome.goodput_bits_per_second) if outcome.goodput_bits_per_second else ""),
        ("spent", f"{outcome.bytes_ip / 1e6:.1f} MB · {outcome.seconds:.2f} s"),
        ("burst", f"{outcome.plan.burst_bytes / 1e6:g} MB"),
        ("confidence", f"{100 * outcome.confidence:g}%" if bounds.value else ""),
        ("limit", text(f"line_test.end_{outcome.limit_end}") if outcome.limit_end else ""),
    ]
    for name, value in rows:
        if value:
            print(f"  {text(f'line_test.{name}')}: {value}")
    if outcome.full is not None:
        from netwatch.web.line import full_figures
        from probes.bandwidth import document

        for heading, value in full_figures(document(outcome)["full"], _output.words()):
            print(f"  {heading}: {value}")


def _mbps(bits_per_second: float) -> str:
    return "∞" if bits_per_second == float("inf") else f"{bits_per_second / 1e6:.1f} Mbps"
