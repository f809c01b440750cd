"""`netwatch probe snmp`: what a check of a device would see, now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output, _snmp_secrets
from netwatch.cli._output import Exit, text
from netwatch.cli._snmp_secrets import AUTH_VARIABLE, COMMUNITY_VARIABLE, PRIVACY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probes import Reading, Secret
    from probes.snmp import Snmp

__all__ = ["snmp"]

VERSIONS = ("1", "2c", "3")
NO_PRIVACY = "none"
SECONDS_BETWEEN_POLLS = 10.0
SECONDS_A_POLL = 60.0


def snmp(
    address: Annotated[str, typer.Argument(help="IPv4 or IPv6 address of the device.")],
    port: Annotated[int, typer.Option("--port", help="UDP port.", min=1, max=65535)] = 161,
    community: Annotated[
        str, typer.Option("--community", help=f"Read community; seen by all users of this host, so better {COMMUNITY_VARIABLE}.")
    ] = "",
    community_file: Annotated[Path | None, typer.Option("--community-file", help="File whose first line is the community.")] = None,
    version: Annotated[str, typer.Option("--version", help="1, 2c or 3.")] = "2c",
    user: Annotated[str, typer.Option("--user", help="User of version 3.")] = "",
    auth_protocol: Annotated[str, typer.Option("--auth-protocol", help="sha1, sha224, sha256, sha384 or sha512.")] = "sha256",
    auth_file: Annotated[
        Path | None, typer.Option("--auth-password-file", help=f"File whose first line is the password; or set {AUTH_VARIABLE}.")
    ] = None,
    privacy_protocol: Annotated[str, typer.Option("--privacy-protocol", help="aes128, aes192, aes256, or none to sign only.")] = "aes128",
    privacy_file: Annotated[
        Path | None, typer.Option("--privacy-password-file", help=f"File whose first line is the password; or set {PRIVACY_VARIABLE}.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Kind of device; auto finds it out.")] = "auto",
    rates: Annotated[bool, typer.Option("--rates", help="Poll twice, ten seconds apart: rates need two readings.")] = False,
    timeout_seconds: Annotated[float, typer.Option("--timeout", help="Seconds to wait for each answer.")] = 2.0,
    retries: Annotated[int, typer.Option("--retries", help="How often to ask again.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json.")] = "table",
) -> None:
    """What a check would see on a device: profile, facts and samples.

    Examples: netwatch probe snmp 10.45.7.2 --community-file secret · netwatch probe snmp 10.45.7.2 --profile switch --rates --json ·
    netwatch probe snmp 10.45.7.2 --version 3 --user netwatch --auth-password-file auth --privacy-password-file privacy

    Exit codes: 0 measured · 1 failed · 64 usage · 66 no such file · 77 no permission, or turned away
    """
    import asyncio

    from probes import ProbeFailed, ProbeMisconfigured

    if output not in {"table", "json"}:
        _output.fail(Exit.USAGE, text("snmp.output", given=output))
    as_json = as_json or output == "json"
    _check_address(address)
    probe = _probe(
        version, user, auth_protocol, privacy_protocol, profile=profile, port=port, timeout_seconds=timeout_seconds, retries=retries
    )
    if version == "3":
        secrets = _snmp_secrets.by_passwords(auth_file, privacy_file, private=probe.privacy is not None)
    else:
        secrets = _snmp_secrets.by_community(community, community_file)
    try:
        reading = asyncio.run(_poll(probe, address, secrets, 2 if rates else 1))
    except ProbeFailed as failure:
        if as_json:
            _output.print_json(_document(address, port, failure.reading, failure.code))
        turned_away = isinstance(failure, ProbeMisconfigured)
        _output.fail(Exit.NO_PERMISSION if turned_away else Exit.FAILED, _why(failure.code, address, port))
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


def _probe(version: str, user: str, auth_protocol: str, privacy_protocol: str, **settings: Any) -> Snmp:
    from typing import get_args

    from probes._snmp_user import AuthProtocol, PrivacyProtocol
    from probes.snmp import Auth, Privacy, Snmp

    ciphers = (*get_args(PrivacyProtocol), NO_PRIVACY)
    for option, given, known in (
        ("--version", version, VERSIONS),
        ("--auth-protocol", auth_protocol, get_args(AuthProtocol)),
        ("--privacy-protocol", privacy_protocol, ciphers),
    ):
        if given not in known:
            _output.fail(Exit.USAGE, text("snmp.choice", option=option, given=given, known=", ".join(known)))
    if version == "3" and not user:
        _output.fail(Exit.USAGE, text("snmp.no_user"))
    settings["version"] = version
    if version == "3":
        settings |= {"user": user, "auth": Auth(protocol=auth_protocol)}  # type: ignore[arg-type]  # one of them, as was just seen
        if privacy_protocol != NO_PRIVACY:
            settings["privacy"] = Privacy(protocol=privacy_protocol)  # type: ignore[arg-type]  # as above
    try:
        return Snmp(**settings)
    except ValueError as error:
        _output.fail(Exit.USAGE, text("snmp.settings", what=error))


async def _poll(probe: Snmp, address: str, secrets: Mapping[str, Secret], times: int) -> Reading:
    import asyncio

    from probes import Reading, Shared, Target

    loop = asyncio.get_running_loop()
    shared = Shared()
    reading = Reading()
    try:
        for turn in range(times):
            if turn:
                await asyncio.sleep(SECONDS_BETWEEN_POLLS)
            target = Target(address=address, deadline=loop.time() + SECONDS_A_POLL, secrets=secrets)
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
