"""`netwatch run`: the daemon in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit

__all__ = ["run"]


def run(
    inventory: Annotated[Path, typer.Option("--inventory", "-i", envvar="NETWATCH_INVENTORY", help="The inventory file.")] = Path(
        "inventory.yaml"
    ),
    state: Annotated[Path | None, typer.Option("--state", help="Where history is kept; else $STATE_DIRECTORY or the XDG one.")] = None,
    socket_path: Annotated[
        Path | None, typer.Option("--socket", help="The control socket; else $NETWATCH_SOCKET, else in $RUNTIME_DIRECTORY or the state.")
    ] = None,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "info",
) -> None:
    """Watches what inventory.yaml says until SIGTERM; SIGHUP reads it again.

    Examples: netwatch run --inventory /etc/netwatch/inventory.yaml · STATE_DIRECTORY=/var/lib/netwatch netwatch run

    Exit codes: 0 stopped · 1 another daemon, a broken history or a port in use · 66 no inventory · 77 not permitted · 78 bad inventory
    """
    import asyncio
    import socket

    from netwatch import inventory as inventories
    from netwatch import logs, paths
    from netwatch.daemon import Daemon, DaemonRefused
    from netwatch.web.serving import ControlRefused

    try:
        logs.configure(log_level)
    except ValueError:
        _output.fail(Exit.USAGE, _output.text("run.log_level", level=log_level))
    if not inventory.exists():
        _output.fail(Exit.NO_INPUT, _output.text("run.no_inventory", path=inventory))
    try:
        first = inventories.load(inventory)
        demo_plan = first.demo_plan
    except inventories.InventoryRefused as refused:
        if not refused.demo_plan:
            code = Exit.NO_INPUT if refused.unreadable else Exit.BAD_CONFIG
            _output.fail(code, "\n".join(error.block(_output.language()) for error in refused.errors))
        demo_plan = True
    if demo_plan:
        _output.fail(Exit.BAD_CONFIG, _output.text("run.demo_plan"))
    state_directory = state or paths.state_directory(os.environ)
    control = socket_path or paths.listen_path(os.environ, state)
    try:
        listener = socket.create_server((first.settings.listen, first.settings.port))
    except OSError as error:
        _output.fail(Exit.FAILED, _output.text("run.port", address=first.settings.listen, port=first.settings.port, error=error.strerror))
    try:
        daemon = Daemon(
            inventory_path=inventory,
            state_directory=state_directory,
            load=lambda: inventories.load(inventory),
            listener=listener,
            control_path=control,
        )
        asyncio.run(daemon.run(signals=True))
    except DaemonRefused as refused:
        _output.fail(refused.code, str(refused))
    except ControlRefused as refused:
        code = Exit.NO_PERMISSION if refused.permission else Exit.FAILED
        _output.fail(code, _output.text("run.socket_taken" if refused.taken else "run.socket", socket=refused.path, why=refused.why))
