"""`netwatch probe TYPE ADDRESS`: one measurement, now, without the daemon. Every probe type is a command by itself."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from netwatch.cli import _output, _probe_secrets, probe_bandwidth, probe_icmp, probe_snmp
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails
    from typer._click import Command, Context

    from netwatch.model import Check, Result
    from probes import Probe, Secret

__all__ = ["app", "document", "run_once"]

AddressArgument = Annotated[str, typer.Argument(help="Address or host name to measure.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, max=300, help="Seconds for the whole measurement.")]
SourceOption = Annotated[str, typer.Option("--source", help="Local address to measure from.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]
NO_SECRETS: Mapping[str, Secret] = MappingProxyType({})
NOTHING = "none"
MOST_VALUES = 8  # in a cell of the table
EXIT_CODES = "Exit codes: 0 measured · 1 failed · 64 usage · 77 no permission"
EXAMPLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dns": ("10.45.7.1 --name dienbien.gov.vn", "10.45.7.1 --name 1.7.45.10.in-addr.arpa --record PTR --json"),
        "http": ("10.45.7.21", "dichvucong.gov.vn --scheme https --path / --timeout 5"),
        "h323": (
            "10.45.7.10",
            "10.45.7.10 --ras-port 1719 --gatekeeper 10.45.250.12 --lookup na-tau --json",
            "10.45.250.12 --port none --ras-port 1719",
        ),
        "pexip": ("10.45.250.11 --user netwatch --password-file password", "10.45.250.11 --rooms na-tau@dienbien.vn --verify false --json"),
        "poly": ("10.45.7.10 --password-file password --verify false",),
        "sip": ("10.45.7.10", "10.45.7.10 --transport tls --verify false --json"),
        "stamp": ("10.45.7.9", "10.45.7.9 --count 100 --spacing-seconds 0.02 --dscp 34 --json"),
        "tcp": ("10.45.7.1 --port 443",),
        "tls": ("dichvucong.gov.vn", "10.45.7.1 --port 8443 --server-name router.local --json"),
    }
)


class ProbeTypes(TyperGroup):
    """Makes a probe type's command when it is asked for, so that no other type is imported."""

    def list_commands(self, ctx: Context) -> list[str]:
        import probes

        return sorted({*super().list_commands(ctx), *probes.names()})

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        import probes

        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in probes.names():
            return own
        return probe_command(cmd_name, probes.get(cmd_name))


app = typer.Typer(
    cls=ProbeTypes,
    no_args_is_help=True,
    help=f"Measures once, without the daemon: netwatch probe tcp 10.45.7.1 --port 443\n\n{EXIT_CODES}",
)
app.command("bandwidth")(probe_bandwidth.bandwidth)
app.command("icmp")(probe_icmp.icmp)
app.command("snmp")(probe_snmp.snmp)


def probe_command(name: str, kind: type[Probe]) -> Command:
    """A command whose options are the probe's fields; pydantic judges what is given, as it does for inventory.yaml."""

    def measure(**given: Any) -> None:
        address, seconds, source, as_json = (given.pop(option) for option in ("address", "timeout", "source", "as_json"))
        files = {secret: given.pop(f"{secret}_file") for secret in kind.secret_names}
        probe = build(kind, {field: value for field, value in given.items() if value is not None and value != []})
        secrets = _probe_secrets.found(name, probe, files)
        run_once(name, probe, address, seconds, source, as_json, secrets)

    summary = (inspect.getdoc(kind) or name).splitlines()[0]
    examples = " · ".join(f"netwatch probe {name} {given}" for given in EXAMPLES.get(name, ("10.45.7.1",)))
    measure.__doc__ = f"{summary}\n\nExamples: {examples}\n\n{EXIT_CODES}"
    measure.__signature__ = inspect.Signature(list(_parameters(name, kind)))  # type: ignore[attr-defined]  # typer reads it
    measure.__annotations__ = {}
    maker = typer.Typer(add_completion=False, rich_markup_mode=None)
    maker.command(name)(measure)
    return get_command(maker)


def _parameters(name: str, kind: type[Probe]) -> Iterator[inspect.Parameter]:
    yield _parameter("address", AddressArgument)
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        option = f"--{field.name.replace('_', '-')}"
        if typing.get_origin(hints[field.name]) is list:
            yield _parameter(field.name, Annotated[list[str] | None, typer.Option(option)], None)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            yield _parameter(field.name, Annotated[str, typer.Option(option)])
        else:
            shown = "" if field.default is dataclasses.MISSING else f"{field.default}"
            yield _parameter(field.name, Annotated[str | None, typer.Option(option, help=f"default: {shown}" if shown else "")], None)
    for secret in kind.secret_names:
        variable = _probe_secrets.variable(name, secret)
        told = f"File that holds the {secret.replace('_', ' ')}; or set {variable}."
        yield _parameter(f"{secret}_file", Annotated[Path | None, typer.Option(f"--{secret.replace('_', '-')}-file", help=told)], None)
    yield _parameter("timeout", TimeoutOption, 10.0)
    yield _parameter("source", SourceOption, "")
    yield _parameter("as_json", JsonOption, False)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def build(kind: type[Probe], given: Mapping[str, Any]) -> Probe:
    """The probe that the texts describe, where `none` says that there is none; a wrong one ends the command with what is wrong."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python({field: None if told == NOTHING else told for field, told in given.items()}, strict=False)
    except ValidationError as invalid:
        wrong = [_wrong(problem) for problem in invalid.errors(include_url=False)]
        _output.fail(Exit.USAGE, "; ".join(wrong))


def _wrong(problem: ErrorDetails) -> str:
    """In the words that are used of inventory.yaml."""
    from netwatch.inventory._collect import in_words

    key, fields = in_words(problem)
    option = str(problem["loc"][0]).replace("_", "-") if problem["loc"] else ""
    return f"--{option}: {text(f'inventory.{key}', **fields)}"


def run_once(
    kind: str, probe: Probe, address: str, timeout_seconds: float, source: str, as_json: bool, secrets: Mapping[str, Secret] = NO_SECRETS
) -> None:
    """Runs a probe as the daemon would and prints what it got."""
    import asyncio

    from netwatch.model import Check, Outcome

    check = Check(
        id=f"probe/{kind}/{address}",
        site="",
        target="",
        name=kind,
        kind=kind,
        probe=probe,
        address=address,
        source=source or None,
        interval_seconds=timeout_seconds,
        timeout_seconds=timeout_seconds,
        retry_seconds=timeout_seconds,
        secrets=secrets,
    )
    result = asyncio.run(_run(check))
    if as_json:
        _output.print_json(document(kind, address, result))
    else:
        _print(probe, result)
    if result.outcome is not Outcome.OK:
        code = Exit.NO_PERMISSION if result.outcome is Outcome.ERROR and result.code in {"eacces", "eperm"} else Exit.FAILED
        _output.fail(code, text("probe.failed", address=address, code=result.code, detail=result.detail))


async def _run(check: Check) -> Result:
    import time

    from netwatch.runner import Runner

    runner = Runner(time.time)
    try:
        return await runner.run(check)
    finally:
        await runner.aclose()


def document(kind: str, address: str, result: Result) -> dict[str, Any]:
    """One run for machines: base units, English words."""
    return {
        "schema": "netwatch/v1/probe",
        "probe": kind,
        "target": address,
        "outcome": str(result.outcome),
        "code": result.code,
        "detail": result.detail,
        "duration_seconds": result.duration_seconds,
        "facts": dict(result.facts),
        "samples": [{"name": one.name, "instance": one.instance, "values": list(one.values)} for one in result.samples],
    }


def _print(probe: Probe, result: Result) -> None:
    metrics = probe.metrics()
    rows = []
    for sample in result.samples:
        unit = metrics[sample.name].unit if sample.name in metrics else ""
        rows.append((sample.name, sample.instance, _values(sample.values), unit))
    rows.extend((name, "", value, "") for name, value in result.facts.items())
    if rows:
        _output.print_table([text(f"probe.column_{name}") for name in ("name", "instance", "value", "unit")], rows)


def _values(values: Sequence[float]) -> str:
    if len(values) <= MOST_VALUES:
        return " ".join(f"{value:.6g}" for value in values)
    found = sorted(values)
    least, median, most = (f"{found[place]:.6g}" for place in (0, len(found) // 2, -1))
    return text("probe.several", least=least, median=median, most=most, count=len(found))
