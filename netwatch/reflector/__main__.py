"""The reflector on its own, as one file: `python netwatch-reflector.pyz`. Standard library only, on any system with Python 3.10."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import sys
from pathlib import Path
from typing import NoReturn

from netwatch.reflector import Dialler, Limits, Reflector
from probes._control import NAME

__all__ = ["main"]

PORT = 8621
NO_TOKEN, CANNOT_LISTEN = 66, 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="netwatch-reflector", description="The far end of netwatch's line tests: sends or counts, one test at a time."
    )
    parser.add_argument("--dial", default="", metavar="HOST:PORT", help="call netwatch there, where nothing can call in")
    parser.add_argument("--site", default="", metavar="NAME", help="with --dial: the name netwatch knows this reflector by")
    parser.add_argument("--listen", default=f":{PORT}", metavar="[HOST]:PORT", help="without --dial: TCP and UDP, default :8621")
    parser.add_argument("--token-file", required=True, type=Path, metavar="FILE", help="its first line is the token")
    parser.add_argument("--max-rate-mbps", default=1500.0, type=float, metavar="MBPS", help="the fastest test that is taken")
    parser.add_argument("--max-bytes", default=500_000_000, type=int, metavar="BYTES", help="the most that one test may carry")
    parser.add_argument("--max-day-bytes", default=20_000_000_000, type=int, metavar="BYTES", help="the most in 24 hours")
    parser.add_argument("--iperf3-port", default=0, type=int, metavar="PORT", help="also an iperf3 server, usually on 5201")
    parser.add_argument(
        "--iperf3-from", default=[], action="append", type=ipaddress.ip_network, metavar="NETWORK", help="for clients there; repeatable"
    )
    given = parser.parse_args()
    given.host, given.port = _split(parser, given.dial or given.listen)
    if given.dial and not (given.host and NAME.fullmatch(given.site.encode())):
        parser.error("--dial needs HOST:PORT and --site NAME (small letters, digits, - . _)")
    if bool(given.iperf3_port) != bool(given.iperf3_from) or (given.iperf3_port and given.dial):
        parser.error("--iperf3-port needs --iperf3-from NETWORK, since iperf3 has no token, and does not go with --dial")
    return given


def _split(parser: argparse.ArgumentParser, where: str) -> tuple[str, int]:
    host, colon, port = where.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        parser.error(f"{where!r}: write HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _token(file: Path) -> bytes:
    try:
        lines = file.read_text("utf-8-sig").splitlines()  # Windows' own editor puts a mark before the text
    except (OSError, UnicodeDecodeError) as error:
        _leave(f"{file}: {error}", NO_TOKEN)
    token = lines[0].strip() if lines else ""
    if not token:
        _leave(f"{file}: the first line is empty; the token belongs there", NO_TOKEN)
    return token.encode()


def _leave(why: str, code: int) -> NoReturn:
    logging.getLogger(__name__).error("%s", why)
    sys.exit(code)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given = _arguments()
    token = _token(given.token_file)
    limits = Limits(bits_per_second=given.max_rate_mbps * 1e6, test_bytes=given.max_bytes, day_bytes=given.max_day_bytes)
    far_end = Reflector(token, limits)
    try:
        if given.dial:
            Dialler(far_end, given.host, given.port, given.site.encode(), token).run()
        else:
            far_end.listen(given.host, given.port)
            if given.iperf3_port:
                far_end.listen_iperf3(given.host, given.iperf3_port, given.iperf3_from)
            far_end.serve()
    except KeyboardInterrupt:
        return
    except OSError as error:
        _leave(f"{given.listen}: {error}", CANNOT_LISTEN)


if __name__ == "__main__":
    main()
