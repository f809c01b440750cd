"""The running part of `netwatch demo`: the daemon, a receiver for its pages, the scenario, the display."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web as http

from netwatch.cli._output import wants_color
from netwatch.daemon import Daemon, DaemonRefused
from netwatch.lab.client import LabAway, ask
from netwatch.lab.faults import ONLY_SIMULATED, Fault, Scenario
from netwatch.lab.scenario import as_document
from netwatch.model import Inventory
from netwatch.paths import SOCKET_NAME
from netwatch.web import words as say

if TYPE_CHECKING:
    from netwatch.cli._demo_story import Story

__all__ = ["Setup", "run"]

LOOK_SECONDS = 0.5
COUNTS_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that is ready before the event loop starts."""

    inventory_path: Path
    state: Path
    control_path: Path
    load: Callable[[], Inventory]
    listener: socket.socket
    receiver: socket.socket
    scenario: Scenario
    for_seconds: float | None


async def run(setup: Setup, story: Story) -> None:
    """Ends by itself after `for_seconds`, or at SIGINT or SIGTERM. Raises DaemonRefused."""
    daemon = Daemon(
        inventory_path=setup.inventory_path,
        state_directory=setup.state,
        load=setup.load,
        listener=setup.listener,
        control_path=setup.state / SOCKET_NAME,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, daemon.stop)
    if setup.for_seconds is not None:
        loop.call_later(setup.for_seconds, daemon.stop)
    refused = None
    async with contextlib.AsyncExitStack() as stack:
        await _receive_pages(stack, setup.receiver, story)
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(_show(daemon, story)), group.create_task(_play(setup, daemon, story))]
            try:
                await daemon.run()
                story.look(daemon.snapshot())
            except DaemonRefused as refusal:
                refused = refusal
            for helper in helpers:
                helper.cancel()
    if refused is not None:
        raise refused
    _show_end(daemon, story)


async def _receive_pages(stack: contextlib.AsyncExitStack, listener: socket.socket, story: Story) -> None:
    """A receiver of signed webhooks, as a NOC would run one."""

    async def take(request: http.Request) -> http.Response:
        story.page(await request.json(loads=json.loads))
        return http.Response(status=204)

    app = http.Application()
    app.router.add_post("/", take)
    runner = http.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await http.SockSite(runner, listener).start()


async def _play(setup: Setup, daemon: Daemon, story: Story) -> None:
    """Lets the scenario's faults happen; again and again while the demo has no end."""
    await daemon.changed(1)
    loop = asyncio.get_running_loop()
    start = loop.time()
    while True:
        for fault in setup.scenario.faults:
            await asyncio.sleep(start + fault.at_seconds - loop.time())
            await _let_happen(fault, setup.control_path, daemon, story)
        start += setup.scenario.duration_seconds
        await asyncio.sleep(start - loop.time())


async def _let_happen(fault: Fault, control_path: Path, daemon: Daemon, story: Story) -> None:
    what = _in_words(fault)
    if fault.kind == "reload":
        story.say("fault", what=what)
        await daemon.reload()
    elif fault.kind in ONLY_SIMULATED:
        story.say("fault_skipped", what=what, why=story.words.text("lab.only_simulated"))
    else:
        try:
            answer = await asyncio.to_thread(ask, control_path, {"fault": as_document(fault)})
        except LabAway as away:
            answer = {"ok": False, "code": "not_understood", "why": str(away)}
        if answer["ok"]:
            story.say("fault", what=what)
        else:
            story.say("fault_skipped", what=what, why=answer.get("why") or answer["code"])


def _in_words(fault: Fault) -> str:
    values: Mapping[str, Any] = as_document(fault)[fault.kind] or {}
    rest = " ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items() if key in fault.values
    )
    return f"{fault.kind} {fault.where} {rest}".strip()


async def _show(daemon: Daemon, story: Story) -> None:
    """Looks twice a second; draws on a terminal, else says how many are well every ten seconds."""
    await daemon.changed(1)
    if sys.stdout.isatty():
        await _show_live(daemon, story)
    counted = 0.0
    while True:
        snapshot = daemon.snapshot()
        story.look(snapshot)
        if story.lasted() - counted >= COUNTS_SECONDS:
            counted = story.lasted()
            total = sum(snapshot.counts().values())
            story.say("counts", sites=total, counts=say.sentence(snapshot, story.words))
        await asyncio.sleep(LOOK_SECONDS)


async def _show_live(daemon: Daemon, story: Story) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(no_color=not wants_color(), highlight=False), auto_refresh=False, redirect_stdout=False) as live:
        while True:
            snapshot = daemon.snapshot()
            story.look(snapshot)
            live.update(story.screen(snapshot), refresh=True)
            await asyncio.sleep(2 * LOOK_SECONDS)


def _show_end(daemon: Daemon, story: Story) -> None:
    """Without a terminal the table comes once, at the end."""
    if not sys.stdout.isatty():
        from netwatch.cli._output import print_table

        print_table(story.headings(), [row for _state, row in story.rows(daemon.snapshot())])
