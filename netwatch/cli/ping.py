"""`netwatch ping` and `trace`: by hand, now, to addresses of the inventory only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from netwatch.cli import _output
from netwatch.cli._common import Socket, Target, find
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netwatch.cli._daemon import Document
    from netwatch.model import Hop
    from probes.icmp import Pinger

__all__ = ["ping", "trace"]

SPACING_SECONDS = 0.2
WAIT_SECONDS = 1.0
PAYLOAD_BYTES = 48  # and the nonce of the probe's own
MOST_HOPS = 24
BARS = "▁▂▃▄▅▆▇█"
LOST = "×"
WIDEST = 60
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@dataclass(slots=True)
class Train:
    """Echoes to one target: a round trip each, or None for one that was lost."""

    name: str
    address: str
    rtt_seconds: list[float | None] = field(default_factory=list)
    reason: str = ""


def ping(
    target: Target,
    count: Annotated[int, typer.Option("-c", "--count", min=1, max=1000, help="Echo requests to each address.")] = 10,
    as_json: AsJson = False,
    socket: Socket = None,
) -> None:
    """Sends echoes to a site's lines, or to one of its devices, and shows how they fared; Ctrl-C shows what there is so far.

    Examples: netwatch ping na-tau · netwatch ping na-tau/vc -c 100

    Exit codes: 0 all answered · 1 some were lost · 66 no such target · 69 the daemon does not answer · 77 no permission
    """
    site, targets = _targets(target, socket)
    trains = [Train(f"{site}/{one['id']}", one["address"]) for one in targets]
    interrupted = _send(trains, count)
    if as_json:
        _output.print_json({"schema": "netwatch/v1/ping", "targets": [_document(train) for train in trains]})
    else:
        _print(trains)
    if interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if any(None in train.rtt_seconds for train in trains):
        raise typer.Exit(Exit.FAILED)


def _targets(path: str, socket: Any) -> tuple[str, Sequence[Document]]:
    """The site, and the target that was named or else all its lines; a site without lines is its first device."""
    from netwatch.cli._daemon import daemon

    reached = daemon(socket, Exit.UNAVAILABLE)
    found = find(reached, path)
    if not reached.shares_our_network():
        fail(Exit.UNAVAILABLE, text("tools.other_network", path=path))
    if found.target is not None:
        return str(found.site["id"]), [found.target]
    known = found.site["targets"]
    return str(found.site["id"]), [one for one in known if one["kind"] == "line"] or known[:1]


def _send(trains: Sequence[Train], count: int) -> bool:
    """Whether Ctrl-C cut it short."""
    import asyncio

    try:
        asyncio.run(_ping(trains, count))
    except KeyboardInterrupt:
        return True
    except ExceptionGroup as group:
        _fail_by(group.exceptions[0])
    return False


def _fail_by(error: Exception) -> NoReturn:
    if isinstance(error, PermissionError):
        from netwatch.doctor import PING_EVERYBODY

        fail(Exit.NO_PERMISSION, text("probe.not_permitted", error=error.strerror, command=PING_EVERYBODY))
    if isinstance(error, OSError):
        fail(Exit.FAILED, text("probe.no_socket", error=error.strerror or error))
    raise error


async def _ping(trains: Sequence[Train], count: int) -> None:
    import asyncio

    from probes.icmp import Pinger

    pinger = Pinger()
    try:
        async with asyncio.TaskGroup() as group:
            for train in trains:
                group.create_task(_one(pinger, train, count))
    finally:
        await pinger.aclose()


async def _one(pinger: Pinger, train: Train, count: int) -> None:
    """One echo after the other, so that it is known which of them was lost."""
    import asyncio

    from probes.icmp import Plan, host_address

    loop = asyncio.get_running_loop()
    where, due = host_address(train.address), loop.time()
    for _ in range(count):
        await asyncio.sleep(due - loop.time())
        due = max(due + SPACING_SECONDS, loop.time())
        plan = Plan(
            echoes=1,
            spacing=SPACING_SECONDS,
            wait=WAIT_SECONDS,
            payload=bytes(PAYLOAD_BYTES),
            source=None,
            deadline=loop.time() + 2 * WAIT_SECONDS,
        )
        answer = await pinger.ping(where, plan)
        train.rtt_seconds.append(answer.rtt_seconds[0] if answer.rtt_seconds else None)
        train.reason = train.reason or answer.reason


def _document(train: Train) -> Document:
    received = [rtt for rtt in train.rtt_seconds if rtt is not None]
    return {
        "target": train.name,
        "address": train.address,
        "sent": len(train.rtt_seconds),
        "received": len(received),
        "loss_ratio": 1 - len(received) / len(train.rtt_seconds) if train.rtt_seconds else None,
        "rtt_seconds": train.rtt_seconds,
        "reason": train.reason,
    }


def _print(trains: Sequence[Train]) -> None:
    from netwatch.cli._plugin import say

    for train in trains:
        for line in _lines(train):
            say(line)


def _lines(train: Train) -> list[str]:
    """Sent, lost and the spread; then a bar an echo, as tall as it took."""
    from netwatch.lang import writing

    words = _output.words()
    received = sorted(rtt for rtt in train.rtt_seconds if rtt is not None)
    sent = len(train.rtt_seconds)
    first = f"{train.name} {train.address}: {text('tools.ping_sent', sent=sent, received=len(received))}"
    if not sent:
        return [first]
    first += f", {text('tools.ping_loss', loss=writing.percent(1 - len(received) / sent, words))}"
    if train.reason:
        first += f" ({train.reason})"
    if not received:
        return [first]
    middle = {key: writing.seconds(_quantile(received, share), words) for key, share in (("p10", 0.1), ("median", 0.5), ("p90", 0.9))}
    least, most = writing.seconds(received[0], words), writing.seconds(received[-1], words)
    spread = text("tools.ping_spread", least=least, most=most, **middle)
    return [first, f"  {spread}", f"  {smoke(train.rtt_seconds)}"]


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def smoke(rtt_seconds: Sequence[float | None]) -> str:
    """The last echoes, `×` for a lost one; the tallest bar is the longest of them."""
    shown = rtt_seconds[-WIDEST:]
    longest = max((rtt for rtt in shown if rtt is not None), default=0.0)
    return "".join(LOST if rtt is None else BARS[min(7, int(8 * rtt / longest))] if longest else BARS[0] for rtt in shown)


def trace(
    target: Target,
    hops: Annotated[int, typer.Option("--hops", min=1, max=MOST_HOPS, help="At most this many hops.")] = MOST_HOPS,
    as_json: AsJson = False,
    socket: Socket = None,
) -> None:
    """The way to a site's line, or to one of its devices, router by router; gives up where nobody answers any more.

    Examples: netwatch trace na-tau · netwatch trace na-tau/router --json

    Exit codes: 0 reached · 1 not reached · 66 no such target · 69 the daemon does not answer · 77 no permission
    """
    from netwatch.hops import ended

    site, targets = _targets(target, socket)
    name, address = f"{site}/{targets[0]['id']}", targets[0]["address"]
    if not as_json:
        print(text("tools.trace_to", target=name, address=address), flush=True)
    way: list[Hop | None] = []
    while len(way) < hops and not ended(way, address):
        way.append(_hop(address, len(way) + 1))
        if not as_json:
            print(_hop_line(len(way), way[-1]), flush=True)
    last = way[-1]
    reached = last is not None and last.address == address
    if as_json:
        known = [_hop_document(distance, hop) for distance, hop in enumerate(way, 1)]
        _output.print_json({"schema": "netwatch/v1/trace", "target": name, "address": address, "reached": reached, "hops": known})
    elif not reached:
        print(text("tools.trace_lost", address=address))
    if not reached:
        raise typer.Exit(Exit.FAILED)


def _hop(address: str, distance: int) -> Hop | None:
    from netwatch import hops

    try:
        return hops.hop(address, distance, hops.HOP_SECONDS)
    except hops.PathFailed as failed:
        if failed.permission:
            _fail_by(PermissionError(0, str(failed)))
        fail(Exit.FAILED, text("tools.trace_failed", why=str(failed)))


def _hop_document(distance: int, hop: Hop | None) -> Document:
    return {"distance": distance, "address": hop.address if hop else None, "rtt_seconds": list(hop.rtt_seconds) if hop else []}


def _hop_line(distance: int, hop: Hop | None) -> str:
    from netwatch.lang import writing

    if hop is None:
        return f"{distance:>3}  *"
    times = "  ".join(writing.seconds(rtt, _output.words()) for rtt in hop.rtt_seconds)
    return f"{distance:>3}  {hop.address:<39}  {times}"
