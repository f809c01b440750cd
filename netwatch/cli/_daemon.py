"""The command line's side of the daemon's unix socket: HTTP by the standard library, for a quick start."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import socket
import struct
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwatch import paths
from netwatch.cli import _output
from netwatch.cli._output import Exit
from netwatch.lang import writing

__all__ = ["Daemon", "Document", "answers", "daemon", "usual_socket"]

Document = dict[str, Any]
ANSWER_SECONDS = 10.0
KNOCK_SECONDS = 2.0
RELOAD_SECONDS = 120.0
PRUNE_SECONDS = 600.0
LONGEST_ANSWER_BYTES = 64 * 1024 * 1024


class _UnixConnection(http.client.HTTPConnection):
    """`localhost` is only for the Host header: the connection goes to the socket's path."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that may or may not be there: `unreachable` is the exit code when it is not."""

    path: Path
    unreachable: int

    def get(self, path: str) -> tuple[int, Document]:
        return self._ask("GET", path, ANSWER_SECONDS)

    def shares_our_network(self) -> bool:
        """False when it is known to live in another network namespace, as the demo does: its addresses are others' here."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(ANSWER_SECONDS)
            knock.connect(str(self.path))
            pid = struct.unpack("iII", knock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII")))[0]
            return Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
        return True  # another user's process does not show where it lives

    def summary(self) -> Document:
        return self._fine("/api/v1/summary")

    def _fine(self, path: str) -> Document:
        status, document = self.get(path)
        if status != http.HTTPStatus.OK:
            self._fail_by_answer(f"HTTP {status}")
        return document

    def site(self, slug: str) -> Document | None:
        """None when there is no such site."""
        status, document = self.get(f"/api/v1/sites/{urllib.parse.quote(slug, safe='')}")
        return document if status == http.HTTPStatus.OK else None

    def reload(self) -> tuple[bool, list[str]]:
        _status, document = self._ask("POST", "/api/v1/reload", RELOAD_SECONDS)
        return bool(document.get("ok")), [str(line) for line in document.get("messages", [])]

    def post(self, path: str, timeout_seconds: float = ANSWER_SECONDS, *, body: Mapping[str, object] | None = None) -> tuple[int, Document]:
        return self._ask("POST", path, timeout_seconds, body)

    def prune(self) -> tuple[int, Document]:
        return self._ask("POST", "/api/v1/prune", PRUNE_SECONDS)

    def run_check(self, check: str) -> bool:
        status, _document = self._ask("POST", f"/api/v1/checks/{urllib.parse.quote(check)}/run", ANSWER_SECONDS)
        return status == http.HTTPStatus.ACCEPTED

    def _ask(self, method: str, path: str, timeout_seconds: float, body: Mapping[str, object] | None = None) -> tuple[int, Document]:
        connection = _UnixConnection(self.path, timeout_seconds)
        joint = "&" if "?" in path else "?"
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, f"{path}{joint}lang={_output.language()}", sent, {"X-Netwatch-Who": _who()})
            answer = connection.getresponse()
            document = json.loads(answer.read(LONGEST_ANSWER_BYTES))
        except PermissionError as error:
            _output.fail(self.unreachable if self.unreachable == Exit.UNKNOWN else Exit.NO_PERMISSION, self._why(error.strerror or "?"))
        except OSError as error:
            _output.fail(self.unreachable, self._why(error.strerror or str(error)))
        except (http.client.HTTPException, ValueError) as error:
            self._fail_by_answer(str(error) or type(error).__name__)
        finally:
            connection.close()
        if not isinstance(document, dict):
            self._fail_by_answer("not an object")
        return answer.status, document

    def _why(self, why: str) -> str:
        return _output.text("cli.unreachable", socket=self.path, why=why)

    def _fail_by_answer(self, why: str) -> None:
        _output.fail(self.unreachable, _output.text("cli.bad_answer", socket=self.path, why=writing.clean(why, 80)))


def daemon(given: Path | None, unreachable: int, *, demo: bool = True) -> Daemon:
    """The daemon at the given socket, else where one answers. Says so when that is only the demo in this folder."""
    path = given or usual_socket(demo=demo)
    if given is None and path == paths.DEMO_SOCKET:
        print(f"netwatch: {_output.text('cli.demo_socket', socket=path)}", file=sys.stderr)
    return Daemon(path, unreachable)


def usual_socket(*, demo: bool = True) -> Path:
    """Of all places where a daemon may be met, the first where one answers; else the one to complain about."""
    places = paths.socket_paths(os.environ)
    found = next((place for place in places if answers(place)), None)
    if found is None and demo and not os.environ.get(paths.SOCKET_VARIABLE) and _ours(paths.DEMO_SOCKET) and answers(paths.DEMO_SOCKET):
        return paths.DEMO_SOCKET
    return found or next((place for place in places if os.path.lexists(place)), places[0])


def answers(path: Path) -> bool:
    """Whether somebody listens there; one who does not let us in does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(KNOCK_SECONDS)
            knock.connect(str(path))
    except (PermissionError, TimeoutError):
        return True
    except OSError:
        return False
    return True


def _ours(path: Path) -> bool:
    """In a folder that others may write to, anybody could have put it there."""
    try:
        return path.stat().st_uid in {0, os.geteuid()}
    except OSError:
        return False


def _who() -> str:
    """Who asks, for the record; a header takes ASCII only."""
    try:
        return getpass.getuser().encode("ascii", "replace").decode()
    except (KeyError, OSError):
        return str(os.getuid())
