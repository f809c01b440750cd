"""`netwatch demo`: 45 sites on this machine, the daemon watching them, incidents from a scenario."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit, fail, text
from netwatch.paths import SOCKET_NAME, SOCKET_VARIABLE

if TYPE_CHECKING:
    import socket

    from netwatch.lab.faults import Scenario
    from netwatch.lab.lab import Lab
    from netwatch.model import Inventory, PagerSettings

__all__ = ["demo"]

COMMUNITY = "NETWATCH_SNMP_COMMUNITY"
LOCK = "demo.lock"


def demo(
    for_: Annotated[str, typer.Option("--for", help="End by itself after this long: 60s, 2m. Else Ctrl-C ends it.")] = "",
    scenario: Annotated[str, typer.Option("--scenario", help="What happens: a shipped scenario or a file.")] = "demo",
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same run; else the scenario's.")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port of the page on 127.0.0.1.")] = 9780,
    inventory: Annotated[Path, typer.Option("--inventory", "-i", help="Else ./inventory.yaml, else the one that comes along.")] = Path(
        "inventory.yaml"
    ),
    state: Annotated[Path, typer.Option("--state", help="A directory of the demo's own, emptied at the start.")] = Path(".demo"),
) -> None:
    """45 sites on this machine, watched, with incidents.

    Examples: netwatch demo --for 60s · netwatch demo --scenario my-storm.yaml --port 9781

    Exit codes: 0 done · 64 bad option · 66 no such file · 69 port or directory in use · 73 no place for its state · 78 bad inventory or scenario
    """
    from netwatch import shipped
    from netwatch.lab import network
    from netwatch.lab.lab import Lab, LabFailed

    inventory = shipped.inventory_path(inventory)
    for_seconds = _duration("--for", for_) if for_ else None
    # Before any namespace is entered: sockets keep the network that they were made in, and the page belongs to this one.
    listener = _listen(port)
    with _state_directory(state) as directory:
        why_not = network.why_not()
        known = _load(inventory, "loopback" if why_not else "namespaces", {})
        story = _scenario(scenario, seed, known)
        print(text("lab.starting", sites=sum(site.kind == "commune" for site in known.sites.values())), flush=True)
        try:
            lab = Lab.start(
                known, directory / "lab.sock", community=_environment()[COMMUNITY], seed=story.seed, why_not=why_not, private=True
            )
        except (LabFailed, OSError) as failed:
            fail(Exit.UNAVAILABLE, text("lab.lab_failed", why=failed))
        try:
            _run(lab, story, inventory, directory, listener, port, for_seconds)
        finally:
            lab.close()


def _run(lab: Lab, scenario: Scenario, inventory: Path, state: Path, listener: socket.socket, port: int, for_seconds: float | None) -> None:
    import asyncio
    import base64
    import socket

    from netwatch.cli import _demo_run
    from netwatch.cli._demo_story import Story
    from netwatch.daemon import DaemonRefused
    from netwatch.lab import stage
    from netwatch.model import PagerSettings

    home = state / "state"
    _log_to(state / "netwatch.log")
    print(text("lab.namespaces") if lab.mode == "namespaces" else text("lab.loopback", why=lab.why_not))
    if scenario.haste_seconds is not None:
        print(text("lab.hastened", seconds=f"{scenario.haste_seconds:g}"))
    print(text("lab.lab_at", socket=lab.control_path))
    print(text("lab.look_at", command=f"{SOCKET_VARIABLE}={shlex.quote(str(home / SOCKET_NAME))} {_program()} status"))
    print(text("lab.page_at", url=f"http://127.0.0.1:{port}/"), flush=True)
    receiver = socket.create_server(("127.0.0.1", 0))
    secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    options = {"url": f"http://127.0.0.1:{receiver.getsockname()[1]}/", "secret": secret}
    pagers = {"demo": PagerSettings(name="demo", kind="webhook", options=options, language=_output.language())}
    setup = _demo_run.Setup(
        inventory_path=inventory,
        state=home,
        control_path=lab.control_path,
        load=lambda: stage.hastened(_read(inventory, lab.mode, pagers), lab.port_offset, scenario.haste_seconds),
        listener=listener,
        receiver=receiver,
        scenario=scenario,
        for_seconds=for_seconds,
    )
    story = Story(_output.words(), (lambda _line: None) if sys.stdout.isatty() else lambda line: print(line, flush=True))
    try:
        asyncio.run(_demo_run.run(setup, story))
    except DaemonRefused as refused:
        fail(refused.code, str(refused))
    finally:
        receiver.close()
    print(story.summary())


def _program() -> str:
    """How this netwatch is called from another terminal, in whatever folder."""
    beside = Path(sys.executable).absolute().parent / "netwatch"
    return shlex.quote(str(beside)) if beside.exists() else f"{shlex.quote(sys.executable)} -m netwatch"


def _duration(option: str, written: str) -> float:
    from netwatch.lab.values import SECONDS

    seconds = SECONDS.read(float(written) if written.replace(".", "", 1).isdecimal() else written)
    if not isinstance(seconds, float) or seconds <= 0:
        fail(Exit.USAGE, text("lab.bad_duration", name=option, found=written))
    return seconds


def _listen(port: int) -> socket.socket:
    import socket

    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        other = port + 1 if port < 65535 else port - 1
        fail(Exit.UNAVAILABLE, text("lab.port_taken", port=port, why=os.strerror(error.errno or 0), other=other))


@contextlib.contextmanager
def _state_directory(path: Path) -> Iterator[Path]:
    """An empty directory that no other demo uses. Never empties one that a demo did not make."""
    import fcntl

    with contextlib.ExitStack() as held:
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()) and not (path / LOCK).exists():
                fail(Exit.CANNOT_CREATE, text("lab.state_not_ours", path=path))
            fcntl.flock(held.enter_context((path / LOCK).open("a")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            _empty(path)
        except BlockingIOError:
            fail(Exit.UNAVAILABLE, text("lab.state_taken", path=path))
        except OSError as error:
            fail(Exit.CANNOT_CREATE, text("lab.state_failed", path=path, why=error.strerror or error))
        yield path.absolute()


def _empty(path: Path) -> None:
    import shutil

    for old in path.iterdir():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        elif old.name != LOCK:
            old.unlink()


def _load(path: Path, mode: str, pagers: dict[str, PagerSettings]) -> Inventory:
    from netwatch.inventory import InventoryRefused

    if not path.exists():
        fail(Exit.NO_INPUT, text("lab.no_inventory", path=path))
    try:
        return _read(path, mode, pagers)
    except InventoryRefused as refused:
        fail(Exit.BAD_CONFIG, "\n".join(refused.lines(_output.language())))


def _read(path: Path, mode: str, pagers: dict[str, PagerSettings]) -> Inventory:
    from netwatch import inventory
    from netwatch.lab.stage import SITE_NETS

    return inventory.load(path, environment=_environment(), site_net=SITE_NETS[mode], pagers=pagers)


def _environment() -> dict[str, str]:
    from netwatch.lab.stage import DEMO_ENVIRONMENT

    return {**DEMO_ENVIRONMENT, **os.environ}


def _scenario(name: str, seed: int | None, inventory: Inventory) -> Scenario:
    from dataclasses import replace

    from netwatch.lab import scenario_file
    from netwatch.lab.complaints import ScenarioRefused

    path = scenario_file.find(name)
    if not path.is_file():
        fail(Exit.NO_INPUT, text("lab.no_scenario", name=name, known=", ".join(scenario_file.shipped())))
    try:
        read = scenario_file.load(path, inventory)
    except ScenarioRefused as refused:
        fail(Exit.BAD_CONFIG, "\n".join(refused.lines(_output.language())))
    return read if seed is None else replace(read, seed=seed)


def _log_to(path: Path) -> None:
    """The screen belongs to the demo; what the daemon logs goes to a file."""
    import logging

    from netwatch.logs import LineFormatter

    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
