"""`netwatch probe snmp`: what a check of a device would see, now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from probes import Reading
    from probes.snmp import Snmp

__all__ = ["snmp"]

COMMUNITY_VARIABLE = "NETWATCH_SNMP_COMMUNITY"
SECONDS_BETWEEN_POLLS = 10.0
SECONDS_A_POLL = 60.0


def snmp(
    address: Annotated[str, typer.Argument(help="IPv4 or IPv6 address of the device.")],
    port: Annotated[int, typer.Option("--port", help="UDP port.", min=1, max=65535)] = 161,
    community: Annotated[
        str, typer.Option("--community", help=f"Read community; seen by all users of this host, so better {COMMUNITY_VARIABLE}.")
    ] = "",
    community_file: Annotated[Path | None, typer.Option("--community-file", help="File whose first line is the community.")] = None,
    profile: Annotated[str, typer.Option("--profile", help="Kind of device; auto finds it out.")] = "auto",
    rates: Annotated[bool, typer.Option("--rates", help="Poll twice, ten seconds apart: rates need two readings.")] = False,
    timeout_seconds: Annotated[float, typer.Option("--timeout", help="Seconds to wait for each answer.")] = 2.0,
    retries: Annotated[int, typer.Option("--retries", help="How often to ask again.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
) -> None:
    """What a check would see on a device: profile, facts and samples.

    Examples: netwatch probe snmp 10.45.7.2 --community-file secret · netwatch probe snmp 10.45.7.2 --profile switch --rates --json

    Exit codes: 0 measured · 1 failed · 64 usage · 66 no such file · 77 no permission
    """
    import asyncio

    from probes import ProbeFailed
    from probes.snmp import Snmp

    if output not in {"table", "json"}:
        _output.fail(Exit.USAGE, text("snmp.output", given=output))
    as_json = as_json or output == "json"
    _check_address(address)
    secret = _community(community, community_file)
    try:
        probe = Snmp(profile=profile, port=port, timeout_seconds=timeout_seconds, retries=retries)
    except ValueError as error:
        _output.fail(Exit.USAGE, text("snmp.settings", what=error))
    try:
        reading = asyncio.run(_poll(probe, address, secret, 2 if rates else 1))
    except ProbeFailed as failure:
        if as_json:
            _output.print_json(_document(address, port, failure.reading, failure.code))
        _output.fail(Exit.FAILED, _why(failure.code, address, port))
    except OSError as error:
        _output.fail(Exit.NO_PERMISSION if isinstance(error, PermissionError) else Exit.FAILED, f"{address}: {error.strerror or error}")
    if as_json:
        _output.print_json(_document(address, port, reading, ""))
    else:
        _print(reading)


def _check_address(address: str) -> None:
    import ipaddress

    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        parsed = None
    if parsed is None or getattr(parsed, "scope_id", None):
        _output.fail(Exit.USAGE, text("snmp.address", given=address))


def _community(given: str, file: Path | None) -> str:
    """From the option, the file or the environment, in this order."""
    import os

    if given:
        return given
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except PermissionError:
            _output.fail(Exit.NO_PERMISSION, text("snmp.file_denied", file=file))
        except (OSError, UnicodeDecodeError):
            _output.fail(Exit.NO_INPUT, text("snmp.file", file=file))
        if lines and lines[0].strip():
            return lines[0].strip()
        _output.fail(Exit.NO_INPUT, text("snmp.file", file=file))
    found = os.environ.get(COMMUNITY_VARIABLE, "")
    if not found:
        _output.fail(Exit.USAGE, text("snmp.no_community", variable=COMMUNITY_VARIABLE))
    return found


async def _poll(probe: Snmp, address: str, community: str, times: int) -> Reading:
    import asyncio

    from probes import Reading, Secret, Shared, Target

    loop = asyncio.get_running_loop()
    shared = Shared()
    reading = Reading()
    try:
        for turn in range(times):
            if turn:
                await asyncio.sleep(SECONDS_BETWEEN_POLLS)
            target = Target(address=address, deadline=loop.time() + SECONDS_A_POLL, secrets={"community": Secret(community)})
            reading = await probe.run(target, shared)
    finally:
        await shared.aclose()
    return reading


def _why(code: str, address: str, port: int) -> str:
    known = f"snmp.code_{code}"
    return text(known if _output.words().has(known) else "snmp.code_other", address=address, port=port, code=code)


def _document(address: str, port: int, reading: Reading, code: str) -> dict[str, Any]:
    facts = dict(reading.facts)
    return {
        "address": address,
        "port": port,
        "code": code,
        "profile": facts.pop("profile", None),
        "facts": facts,
        "samples": [{"name": one.name, "instance": one.instance, "value": one.values[0]} for one in reading.samples],
        "detail": reading.detail,
    }


def _print(reading: Reading) -> None:
    _output.print_table([text("snmp.fact"), text("snmp.value")], [[name, value] for name, value in reading.facts.items()])
    print()
    _output.print_table(
        [text("snmp.metric"), text("snmp.instance"), text("snmp.value")],
        [[sample.name, sample.instance, f"{sample.values[0]:.10g}"] for sample in reading.samples],
    )
    if reading.detail:
        print()
        print(text("snmp.flaws", detail=reading.detail))
