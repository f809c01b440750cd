"""`netwatch status`, `check`, `reload` and `version`: what is so now, asked of the daemon."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from netwatch import __version__
from netwatch.cli import _output
from netwatch.cli._common import Socket, complete_site
from netwatch.cli._output import Exit, Failed

__all__ = ["check", "reload", "status", "version"]

FORMATS = ("table", "json", "nagios")
Format = Annotated[str, typer.Option("-o", "--output", help="table, json or nagios.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as -o json.")]


def status(
    site: Annotated[
        str,
        typer.Argument(
            help="A site's id or name, with or without diacritics; the whole province when left out.", autocompletion=complete_site
        ),
    ] = "",
    output: Format = "table",
    as_json: AsJson = False,
    every: Annotated[bool, typer.Option("--all", help="Also what waits for office hours, such as a low toner.")] = False,
    socket: Socket = None,
) -> None:
    """How the province, or one site, is doing now.

    Examples: netwatch status · netwatch status na-tau

    Exit codes: 0 all well · 1 warning · 2 critical · 3 unknown, or the daemon does not answer
    """
    from netwatch.cli import _plugin, _report
    from netwatch.cli._daemon import daemon
    from netwatch.cli._lookup import find

    shape = _shape(output, as_json)
    with _told_on_stdout(shape):
        reached = daemon(socket, Exit.UNKNOWN, demo=shape != "nagios")
        if site:
            found = find(reached, site)
            _report.print_site(found, shape)
            raise typer.Exit(_plugin.exit_code(found.subject["state"]))
        summary = reached.summary()
        _report.print_province(summary, shape, every=every)
        raise typer.Exit(_plugin.province_code(summary))


def check(
    path: Annotated[str, typer.Argument(metavar="SITE[/TARGET[/CHECK]]", help="What to look at.", autocompletion=complete_site)],
    output: Format = "table",
    as_json: AsJson = False,
    now: Annotated[bool, typer.Option("--now", help="Measure at once and wait for the result.")] = False,
    socket: Socket = None,
) -> None:
    """The state of a site, device or check, as a monitoring plugin tells it.

    Examples: netwatch check na-tau/vc -o nagios · netwatch check na-tau --now

    Exit codes: 0 OK · 1 WARNING · 2 CRITICAL · 3 UNKNOWN, or the daemon does not answer
    """
    from netwatch.cli import _plugin, _report
    from netwatch.cli._daemon import daemon
    from netwatch.cli._lookup import find

    shape = _shape(output, as_json)
    with _told_on_stdout(shape):
        reached = daemon(socket, Exit.UNKNOWN, demo=shape != "nagios")
        found = find(reached, path)
        if now:
            found = _report.measure_now(reached, found, path)
        _report.print_check(found, shape)
        raise typer.Exit(_plugin.exit_code(found.subject["state"]))


def reload(socket: Socket = None) -> None:
    """Reads inventory.yaml again; a bad file changes nothing.

    Example: netwatch reload

    Exit codes: 0 in force · 69 the daemon does not answer · 77 no permission · 78 errors in the file
    """
    from netwatch.cli._daemon import daemon

    accepted, messages = daemon(socket, Exit.UNAVAILABLE).reload()
    if not accepted:
        for line in messages:
            print(line, file=sys.stderr)
        _output.fail(Exit.BAD_CONFIG, _output.text("cli.reload_refused"))
    for line in messages:
        print(line)
    print(_output.text("cli.reloaded"))


def version(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Which netwatch this is.

    Example: netwatch version --json

    Exit codes: 0
    """
    import platform

    if as_json:
        _output.print_json({"schema": "netwatch/v1/version", "version": __version__, "python": platform.python_version()})
    else:
        print(f"netwatch {__version__} (Python {platform.python_version()})")


@contextlib.contextmanager
def _told_on_stdout(shape: str) -> Iterator[None]:
    """A monitoring system reads only the plugin's first line of output: it must say why even when there is no answer."""
    try:
        yield
    except Failed as failure:
        if shape != "nagios":
            raise
        from netwatch.cli import _plugin

        _plugin.say_unknown(str(failure))
        raise typer.Exit(Exit.UNKNOWN) from failure


def _shape(output: str, as_json: bool) -> str:
    shape = "json" if as_json else output
    if shape not in FORMATS:
        _output.fail(Exit.USAGE, _output.text("cli.bad_output", name=shape, near=", ".join(FORMATS)))
    return shape
