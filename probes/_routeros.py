"""What is asked of a RouterOS router by its REST API (RouterOS 7, service `www-ssl`): its load, and to fetch a URL. In threads."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probes._capacity_run import connect
from probes._control import ANSWER_SECONDS, Gone
from probes._stream_pipe import ServerRefuses
from probes._stream_tls import secured
from probes._wire.capacity import BadFrame

__all__ = ["Load", "RouterOs", "Session", "load_of"]

MOST_ANSWER_BYTES = 65_536
MOST_CORES = 1024
MOST_DETAIL = 120


@dataclass(frozen=True, slots=True)
class Load:
    """`ratio` is of all cores together; `cores` is how many cores' worth that is: from one on, a single one may be full."""

    ratio: float
    cores: float


def load_of(told: Any) -> Load:
    """From /system/resource, which older versions put in a list; all its values are text. Raises BadFrame."""
    found = told[0] if isinstance(told, list) and told else told
    if not isinstance(found, Mapping):
        raise BadFrame("no resources")
    percent, count = _whole(found, "cpu-load", 0, 100), _whole(found, "cpu-count", 1, MOST_CORES)
    return Load(percent / 100, percent / 100 * count)


def _whole(found: Mapping[Any, Any], name: str, least: int, most: int) -> int:
    text = found.get(name)
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise BadFrame(f"{name} of {str(text)[:40]}")
    return int(text)


class RouterOs:
    """Where it is and who asks. `session` gives a connection of its own to whoever asks at the same time as others."""

    def __init__(self, user: str, password: str, context: ssl.SSLContext, server_name: str) -> None:
        self._secret = password
        self._login = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self._context, self._server_name = context, server_name

    def session(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> Session:
        """Raises ServerRefuses where TLS cannot be had, OSError."""
        connection = secured(connect(family, where, source, ANSWER_SECONDS), self._context, self._server_name)
        return Session(connection, self._login, self._server_name, self._secret)


class Session:
    """One connection, kept as long as the router keeps it. Raises Gone when it is over."""

    def __init__(self, connection: ssl.SSLSocket, login: str, name: str, secret: str) -> None:
        self._connection, self._login, self._secret = connection, login, secret
        self._http = http.client.HTTPConnection(f"[{name}]" if ":" in name else name)
        self._http.auto_open = 0  # never again without TLS
        self._http.sock = connection
        self.here: str = connection.getsockname()[0]  # as the router sees us if there is no NAT between

    def load(self) -> Load:
        """Raises ServerRefuses, BadFrame, OSError."""
        return load_of(self._ask("GET", "/rest/system/resource", None, ANSWER_SECONDS))

    def fetch(self, url: str, seconds: float) -> None:
        """Returns when the router has ended fetching, of which it keeps nothing, or after so long. Raises as `load` does."""
        self._ask("POST", "/rest/tool/fetch", {"url": url, "output": "none"}, seconds)

    @property
    def over(self) -> bool:
        """Whether the router has closed it, as it may after any answer."""
        return self._http.sock is None

    def end(self) -> None:
        """From any thread: whoever waits for an answer waits no longer. Not the shutdown of TLS, after which what is sent would be plain."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def close(self) -> None:
        """By whoever knows that nobody uses it any more."""
        self._http.close()
        self._connection.close()

    def _ask(self, verb: str, path: str, body: Mapping[str, str] | None, seconds: float) -> Any:
        late = threading.Event()
        timer = threading.Timer(seconds, self._too_late, (late,))
        timer.daemon = True
        timer.start()
        self._connection.settimeout(seconds)
        try:
            sent = json.dumps(body).encode() if body is not None else None
            headers = {"Authorization": self._login, "Accept": "application/json", "Content-Type": "application/json"}
            self._http.request(verb, path, sent, headers)
            answer = self._http.getresponse()
            told = answer.read(MOST_ANSWER_BYTES)
        except (http.client.NotConnected, http.client.RemoteDisconnected, ConnectionError) as error:
            raise TimeoutError("no answer in time") if late.is_set() else Gone("the router closed the connection") from error
        except http.client.HTTPException as error:
            raise TimeoutError("no answer in time") if late.is_set() else BadFrame("no HTTP answer") from error
        except ssl.SSLError as error:
            raise TimeoutError("no answer in time") if late.is_set() else Gone("TLS ended") from error
        finally:
            timer.cancel()
        return self._told(answer.status, told)

    def _too_late(self, late: threading.Event) -> None:
        late.set()
        self.end()

    def _told(self, status: int, told: bytes) -> Any:
        if status in {401, 403}:
            raise ServerRefuses("router_login", f"status {status}")
        try:
            found = json.loads(told)
        except (ValueError, RecursionError) as error:
            if status != 200:
                raise ServerRefuses("router_refuses", f"status {status}") from error
            raise BadFrame("no JSON answer") from error
        if status != 200:
            detail = found.get("detail") if isinstance(found, Mapping) else ""
            raise ServerRefuses("router_refuses", f"status {status} {self._clean(str(detail or ''))}".rstrip())
        return found

    def _clean(self, detail: str) -> str:
        """Of what cannot be printed, and of what nobody is to see."""
        shown = detail.replace(self._secret, "…") if self._secret else detail
        return "".join(letter if letter.isprintable() else " " for letter in shown)[:MOST_DETAIL]
