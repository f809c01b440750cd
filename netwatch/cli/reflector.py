"""`netwatch reflector`: the far end of a line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli import _output, probe_bandwidth
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from netwatch.reflector import Network, Reflector

__all__ = ["reflector"]


def reflector(
    listen: Annotated[
        str, typer.Option("--listen", help="Address and port, TCP and UDP; without an address all of this machine.")
    ] = ":8621",
    dial: Annotated[
        str, typer.Option("--dial", help="Where nothing can call in: netwatch's address and port, which is called instead of listening.")
    ] = "",
    site: Annotated[str, typer.Option("--site", help="With --dial: the name netwatch knows this reflector by.")] = "",
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help=f"File whose first line is the token; or {probe_bandwidth.TOKEN_VARIABLE}.")
    ] = None,
    max_rate: Annotated[str, typer.Option("--max-rate", help="The fastest test that is taken.")] = "1.5Gbps",
    max_bytes: Annotated[int, typer.Option("--max-bytes", help="The most that one test may carry.", min=100_000)] = 500_000_000,
    stamp_port: Annotated[
        int, typer.Option("--stamp-port", help="Also answers STAMP and TWAMP-light on this UDP port (862).", max=65535)
    ] = 0,
    iperf3_port: Annotated[
        int, typer.Option("--iperf3-port", help="Is a server for stock iperf3 clients too, on this TCP port (5201).", min=0, max=65535)
    ] = 0,
    iperf3_from: Annotated[
        list[str] | None,
        typer.Option("--iperf3-from", help="Network of those clients, since iperf3 has no token: 10.45.0.0/24. Repeatable."),
    ] = None,
    max_day_bytes: Annotated[int, typer.Option("--max-day-bytes", help="The most in 24 hours.", min=100_000)] = 20_000_000_000,
) -> None:
    """Takes part in line tests at a site: sends or counts, one test at a time, for who knows the token.

    It runs on any small machine behind the line. Without the token nothing is sent to anybody; a busy one says so.

    Examples: netwatch reflector --token-file token · netwatch reflector --listen 10.45.7.9:8621 --token-file token --max-rate 300Mbps ·
    netwatch reflector --dial hub.example:8622 --site na-tau --token-file token ·
    netwatch reflector --token-file token --iperf3-port 5201 --iperf3-from 10.45.0.0/24

    Exit codes: 0 stopped · 1 cannot listen · 64 usage · 66 no such file · 77 no permission
    """
    import signal

    from netwatch.inventory import _units
    from netwatch.reflector import Limits, Reflector

    host, port = _where(listen)
    token = probe_bandwidth.read_token(token_file)
    try:
        most = _units.rate(max_rate)
    except _units.WrongUnit:
        _output.fail(Exit.USAGE, text("line_test.rate", given=max_rate[:40]))
    far_end = Reflector(token.encode(), Limits(bits_per_second=most, test_bytes=max_bytes, day_bytes=max_day_bytes))
    networks = _networks(iperf3_port, iperf3_from or [])
    for option, given in (("--stamp-port", stamp_port), ("--iperf3-port", iperf3_port)):
        if given and dial:
            _output.fail(Exit.USAGE, text("line_test.dial_only", option=option))
    if dial:
        _dial(far_end, dial, site, token.encode())
        return
    _listen(far_end, host, port, listen)
    if stamp_port:
        _also_listen(f"UDP {host}:{stamp_port}", lambda: far_end.listen_stamp(host, stamp_port))
    if iperf3_port:
        _also_listen(f"{host}:{iperf3_port}", lambda: far_end.listen_iperf3(host, iperf3_port, networks))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: far_end.close())
    far_end.serve()


def _dial(far_end: Reflector, dial: str, site: str, token: bytes) -> None:
    import logging
    import signal

    from netwatch.reflector import Dialler
    from probes._control import NAME

    host, port = _where(dial, "line_test.dial")
    if not host or not port:
        _output.fail(Exit.USAGE, text("line_test.dial", given=dial[:60]))
    if not NAME.fullmatch(site.encode()):
        _output.fail(Exit.USAGE, text("line_test.site", given=site[:60]))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    dialler = Dialler(far_end, host, port, site.encode(), token)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dialler.close())
    dialler.run()


def _where(listen: str, complaint: str = "line_test.listen") -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        _output.fail(Exit.USAGE, text(complaint, given=listen[:60]))
    return host.removeprefix("[").removesuffix("]"), int(port)


def _networks(port: int, given: list[str]) -> list[Network]:
    import ipaddress

    if bool(port) != bool(given):
        _output.fail(Exit.USAGE, text("line_test.iperf3_from"))
    found: list[Network] = []
    for one in given:
        try:
            found.append(ipaddress.ip_network(one))
        except ValueError:
            _output.fail(Exit.USAGE, text("line_test.iperf3_network", given=one[:60]))
    return found


def _also_listen(where: str, listen: Callable[[], object]) -> None:
    try:
        listen()
    except OSError as error:
        code = Exit.NO_PERMISSION if isinstance(error, PermissionError) else Exit.FAILED
        _output.fail(code, text("line_test.cannot_listen", where=where, why=error.strerror or error))


def _listen(far_end: Reflector, host: str, port: int, listen: str) -> None:
    try:
        bound = far_end.listen(host, port)
    except OSError as error:
        code = Exit.NO_PERMISSION if isinstance(error, PermissionError) else Exit.FAILED
        _output.fail(code, text("line_test.cannot_listen", where=listen, why=error.strerror or error))
    where = ", ".join(f"[{address}]:{number}" if ":" in address else f"{address}:{number}" for address, number in bound)
    print(text("line_test.listening", where=where), file=sys.stderr, flush=True)
