"""`netwatch lab`: faults by hand in a running lab, such as the one of `netwatch demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from netwatch.cli import _output
from netwatch.cli._lab_words import (
    Calls,
    Duplex,
    Form,
    Paper,
    Power,
    Registration,
    Supply,
    UpDown,
    Way,
    has_line,
    line_of,
    number,
    place_of,
)
from netwatch.cli._output import Exit, fail, text

__all__ = ["DEFAULT_SOCKET", "app"]

DEFAULT_SOCKET = Path(".demo/lab.sock")
OF_LINES = frozenset({"cut", "loss", "delay", "rate", "traffic"})  # what can be broken of a site's lines alone

app = typer.Typer(
    name="lab",
    no_args_is_help=True,
    help="Faults by hand in a running lab: cut a line, switch a device off, let a battery drain.\n\n"
    "Exit codes: 0 done · 1 not possible in this lab · 64 wrong place or value · 69 there is no lab",
)


Place = Annotated[
    str, typer.Argument(metavar="WHERE", help="A site (na-tau), one of its lines (na-tau/main), a tag (ring=tuan-giao), or * for all.")
]
Devices = Annotated[str, typer.Argument(metavar="WHERE", help="SITE, SITE/DEVICE or a tag; without a device all that it can strike.")]
OneDevice = Annotated[str, typer.Argument(metavar="SITE/DEVICE")]
LineOption = Annotated[str, typer.Option("--line", help="One line of the site, by id or role: main, backup.")]
SocketOption = Annotated[
    Path, typer.Option("--socket", envvar="NETWATCH_LAB_SOCKET", help="The lab's control socket, as the demo prints it.")
]


@app.command()
def cut(where: Place, line: LineOption = "", socket: SocketOption = DEFAULT_SOCKET) -> None:
    """Silence on all lines of a site, or on one.

    Examples: netwatch lab cut na-tau · netwatch lab cut muong-nhe/backup · netwatch lab cut ring=tuan-giao --line main
    """
    _put(socket, "cut", where, line=line)


@app.command()
def restore(where: Devices, line: LineOption = "", socket: SocketOption = DEFAULT_SOCKET) -> None:
    """Lines as they were at the start; with SITE/LINE or SITE/DEVICE, that one.

    Examples: netwatch lab restore na-tau · netwatch lab restore na-tau/main · netwatch lab restore thanh-an/printer1
    """
    place, _, part = where.partition("/")
    if part and not line and has_line(socket, place, part):
        where, line = place, part
    _put(socket, "restore", where, line=line)


@app.command()
def loss(
    where: Place,
    ratio: Annotated[str, typer.Argument(help="15% or 0.15.")],
    direction: Annotated[Way, typer.Option("--direction", help="Which way packets are lost.")] = Way.DOWN,
    line: LineOption = "",
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """Random loss.

    Example: netwatch lab loss muong-nhe 12%
    """
    _put(socket, "loss", where, line=line, ratio=number(ratio), direction=direction.value)


@app.command()
def delay(
    where: Place,
    round_trip: Annotated[str, typer.Argument(help="80ms, 0.08 …")],
    jitter: Annotated[str, typer.Option("--jitter", help="The most a packet is late, one way.")] = "",
    line: LineOption = "",
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """Round-trip delay, half of it each way.

    Example: netwatch lab delay sin-thau 180ms --jitter 20ms
    """
    _put(socket, "delay", where, line=line, round_trip=number(round_trip), jitter=number(jitter))


@app.command()
def rate(
    where: Place,
    down: Annotated[str, typer.Option("--down", help="Towards the site, such as '64 Mbps'.")] = "",
    up: Annotated[str, typer.Option("--up", help="From the site.")] = "",
    line: LineOption = "",
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """What the lines carry, counted in IP packets.

    Example: netwatch lab rate pu-nhi --down '64 Mbps'
    """
    _put(socket, "rate", where, line=line, down=down, up=up)


@app.command()
def traffic(
    where: Place,
    down: Annotated[str, typer.Option("--down", help="Towards the site, such as '30 Mbps'.")] = "",
    up: Annotated[str, typer.Option("--up", help="From the site.")] = "",
    line: LineOption = "",
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """Other people's traffic on the lines, until they are restored; the site's router counts it.

    Example: netwatch lab traffic pu-nhi --down '30 Mbps'
    """
    _put(socket, "traffic", where, line=line, down=down, up=up)


@app.command()
def uplink(state: UpDown, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """The way out of netwatch itself.

    Example: netwatch lab uplink down
    """
    _put(socket, "uplink", "", state=state.value)


@app.command()
def power(where: Devices, state: Power, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """A device off and on; without a device the whole site goes dark.

    Examples: netwatch lab power tua-chua/vc off · netwatch lab power feeder=473-tuan-giao off
    """
    _put(socket, "power", where, state=state.value)


@app.command()
def reboot(
    where: OneDevice,
    takes: Annotated[str, typer.Option("--takes", help="How long it stays away.")] = "",
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """Off for a minute, then uptime and counters from zero.

    Example: netwatch lab reboot na-tau/switch
    """
    _put(socket, "reboot", where, takes=number(takes))


@app.command()
def ups(
    where: Devices,
    state: Supply,
    lasts: Annotated[str, typer.Option("--lasts", help="How long a full battery carries the site: 20m.")] = "",
    charge: Annotated[str, typer.Option("--charge", help="How full it is: 80%.")] = "",
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """On battery or on mains; with the battery empty the site goes dark.

    Example: netwatch lab ups si-pa-phin battery --lasts 18m
    """
    _put(socket, "ups", where, state=state.value, lasts=number(lasts), charge=number(charge))


@app.command()
def paper(where: Devices, state: Paper, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """Printers without paper.

    Example: netwatch lab paper thanh-an out
    """
    _put(socket, "paper", where, state=state.value)


@app.command()
def toner(where: Devices, ratio: Annotated[str, typer.Argument(help="7% or 0.07.")], socket: SocketOption = DEFAULT_SOCKET) -> None:
    """What is left of the toner.

    Example: netwatch lab toner thanh-an/printer1 3%
    """
    _put(socket, "toner", where, ratio=number(ratio))


@app.command()
def registration(where: Devices, state: Registration, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """Rooms that are not registered.

    Example: netwatch lab registration na-tau lost
    """
    _put(socket, "registration", where, state=state.value)


@app.command()
def calls(where: Devices, state: Calls, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """Rooms that take no calls: they answer SIP with 503.

    Example: netwatch lab calls na-tau/vc refused
    """
    _put(socket, "calls", where, state=state.value)


@app.command()
def licences(where: Devices, ratio: Annotated[str, typer.Argument(help="100% or 1.")], socket: SocketOption = DEFAULT_SOCKET) -> None:
    """How many of a Pexip platform's licences are in use.

    Example: netwatch lab licences ha-noi/pexip 100%
    """
    _put(socket, "licences", where, ratio=number(ratio))


@app.command()
def errors(where: OneDevice, port: str, per_second: float, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """Receive errors on a port.

    Example: netwatch lab errors pu-nhi/router ether1 20
    """
    _put(socket, "errors", where, port=port, per_second=per_second)


@app.command()
def port(where: OneDevice, name: str, state: UpDown, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """A port down or up, as SNMP tells it.

    Example: netwatch lab port na-tau/switch GigabitEthernet0/0/3 down
    """
    _put(socket, "port", where, port=name, state=state.value)


@app.command()
def negotiate(
    where: OneDevice,
    name: str,
    speed: Annotated[str, typer.Argument(help="'10 Mbps', '1 Gbps' …")],
    duplex: Annotated[Duplex, typer.Option("--duplex", help="half or full.")] = Duplex.FULL,
    socket: SocketOption = DEFAULT_SOCKET,
) -> None:
    """What a port has agreed on with its neighbour, as SNMP tells it.

    Example: netwatch lab negotiate na-tau/router ether1 '10 Mbps' --duplex half
    """
    _put(socket, "negotiate", where, port=name, speed=speed, duplex=duplex.value)


@app.command()
def snmp(where: OneDevice, oid: str, value: str, socket: SocketOption = DEFAULT_SOCKET) -> None:
    """What a device answers for an SNMP object that it has.

    Example: netwatch lab snmp na-tau/router 1.3.6.1.2.1.1.5.0 tên-mới
    """
    _put(socket, "snmp", where, oid=oid, value=number(value))


@app.command()
def status(
    output: Annotated[Form, typer.Option("-o", "--output", help="table or json.")] = Form.TABLE, socket: SocketOption = DEFAULT_SOCKET
) -> None:
    """What is set, and how many packets have passed.

    Example: netwatch lab status
    """
    answer = _ask(socket, {})
    if output is Form.JSON:
        _output.print_json({"schema": "netwatch/v1/lab", **answer})
        return
    print(text("lab.status_time", lasted=f"{answer['now']:.0f} s", mode=answer["mode"]))
    if answer["why_not"]:
        print(text("lab.no_line_here", why=answer["why_not"]))
    counters = {"passed": 0, "dropped": 0, "answered": 0, **answer["counters"]}
    print(text("lab.status_counters", **counters))
    print("\n".join(answer["troubles"]) or text("lab.quiet"))


def _put(socket: Path, kind: str, where: str, **values: Any) -> None:
    if kind in OF_LINES and "/" in where:
        where, values = line_of(where, values)
    body = {**place_of(kind, where), **{key: value for key, value in values.items() if value != ""}}
    _ask(socket, {"fault": {kind: body}})
    print(text("lab.done", what=f"{kind} {where} {' '.join(f'{key}={value}' for key, value in values.items() if value != '')}".strip()))


def _ask(socket: Path, request: dict[str, Any]) -> dict[str, Any]:
    from netwatch.lab.client import LabAway, ask

    try:
        answer = ask(socket, request)
    except LabAway:
        fail(Exit.UNAVAILABLE, text("lab.away", socket=socket))
    if not answer["ok"]:
        _explain(answer)
    return answer


def _explain(answer: dict[str, Any]) -> NoReturn:
    from netwatch.lab.complaints import LabComplaint

    if answer["code"] == "refused":
        fail(Exit.USAGE, "\n".join(LabComplaint.from_json(each).line(_output.language()) for each in answer["complaints"]))
    fail(Exit.FAILED, text(f"lab.{answer['code']}", why=answer["why"]))
