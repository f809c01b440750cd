"""The command line: parse, call one function, print. Heavy imports stand inside the commands.

Exit codes: `check` and `status` speak monitoring-plugins (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN); everything else
0 done, 1 failed, then sysexits.h (64 usage, 66 no input, 69 daemon not reachable, 77 no permission, 78 bad config).
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from netwatch.cli import (
    _output,
    acts,
    completion,
    conference,
    db,
    demo,
    devices,
    doctor,
    duty,
    events,
    inventory,
    lab,
    line,
    notify,
    ping,
    probe,
    reflector,
    replay,
    report,
    run,
    setup,
    simulate,
    status,
    traps,
    watch,
    windows,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="netwatch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,  # `netwatch completion` prints it
    rich_markup_mode=None,  # rich takes longer to load than all the rest of --help
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="Watches the internet lines and the equipment of the 45 commune sites of Điện Biên province.\n\n"
    "Exit codes: `status` and `check` are monitoring plugins (0 OK · 1 WARNING · 2 CRITICAL · 3 UNKNOWN); all others: 0 done · "
    "1 failed · 64 usage · 66 no input · 69 no daemon · 73 cannot be made · 77 no permission · 78 bad configuration",
)


@app.callback()
def options(
    lang: Annotated[str, typer.Option("--lang", help="vi or en; else NETWATCH_LANG, else LANG.")] = "",
    color: Annotated[str, typer.Option("--color", help="auto, always or never; NO_COLOR is heeded.")] = "auto",
) -> None:
    """Sets what all commands share."""
    _output.configure(lang, color)


app.add_typer(events.alerts, name="alerts")
app.add_typer(conference.app, name="conference")
app.add_typer(db.app, name="db")
app.add_typer(devices.app, name="devices")
app.add_typer(duty.app, name="duty")
app.add_typer(inventory.app, name="inventory")
app.add_typer(lab.app, name="lab")
app.add_typer(line.app, name="line")
app.add_typer(notify.app, name="notify")
app.add_typer(windows.maintenance, name="maintenance")
app.add_typer(probe.app, name="probe")
app.add_typer(report.app, name="report")
app.add_typer(setup.app, name="setup")
app.add_typer(windows.silence, name="silence")
app.command("ack")(acts.ack)
app.command("unack")(acts.unack)
app.command("note")(acts.note)
app.command("audit")(acts.audit)
app.command("run")(run.run)
app.command("reflector")(reflector.reflector)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("replay")(replay.replay)
app.command("status")(status.status)
app.command("check")(status.check)
app.command("watch")(watch.watch)
app.command("events")(events.events)
app.command("traps")(traps.traps)
app.command("ping")(ping.ping)
app.command("trace")(ping.trace)
app.command("reload")(status.reload)
app.command("version")(status.version)
app.command("doctor")(doctor.doctor)
app.command("restore")(db.restore)
app.command("completion")(completion.completion)


def main() -> NoReturn:
    """Runs the CLI with our exit codes instead of Click's 2, which Nagios reads as CRITICAL."""
    sys.exit(_output.run(app, os.environ))
