"""Does a web page answer as it should, and where does the time go?"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from aiohttp import CookieJar
from pydantic import Field
from yarl import URL

from probes import Metric, Probe, ProbeFailed, Reading, Shared, Target
from probes._http_exchange import Exchange, Notes, clean, text
from probes._tls import TlsContexts, server_name

__all__ = ["Http"]

MEBIBYTE = 1 << 20
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(kw_only=True, eq=False)
class Http(Probe):
    """Fetches one page with a fresh look-up, connection and handshake, as the first visit of a user would.

    It only ever connects to the target's own address: `host` (Host header, SNI, name in the certificate) does not change
    that, and a redirect to any other host is refused. With `max_redirects: 0` a redirect is the answer, judged by
    `expect_status` (codes, or classes such as `2xx`). `body_match` is a Python regular expression, searched in the body;
    write it so that it cannot backtrack for long.
    """

    scheme: Literal["http", "https"] = "http"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    path: Annotated[str, Field(pattern=r"^/[!-\"$-~]*$", max_length=2000)] = "/"
    host: Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]*$", max_length=253)] = ""
    method: Literal["GET", "HEAD"] = "GET"
    expect_status: list[int | str] = field(default_factory=lambda: ["2xx"])
    body_match: Annotated[str, Field(max_length=500)] = ""
    max_bytes: Annotated[int, Field(ge=1, le=MEBIBYTE)] = MEBIBYTE
    max_redirects: Annotated[int, Field(ge=0, le=3)] = 3
    verify: bool = True
    ca_file: str = ""
    _expected: frozenset[int] = field(init=False, repr=False, default=frozenset())
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Raises ValueError for a key that cannot be right."""
        self._expected = status_codes(self.expect_status)
        try:
            server_name(self.host)
        except ValueError as error:
            raise ValueError(f"host: {error}") from error
        if self.body_match and self.method == "HEAD":
            raise ValueError("body_match: an answer to HEAD has no body; use method: GET")
        try:
            self._pattern = re.compile(self.body_match) if self.body_match else None
        except re.error as error:
            raise ValueError(f"body_match: {error}") from error

    def metrics(self) -> Mapping[str, Metric]:
        return {
            "http_duration_seconds": Metric(
                "gauge",
                "seconds",
                "Time spent in each phase (resolve, connect, tls, processing, transfer), redirects included.",
                instance_label="phase",
                keep="mean",
            ),
            "http_status_code": Metric("gauge", "", "Status code of the last answer.", keep="change"),
            "http_response_bytes": Metric("gauge", "bytes", "Size of the body as it was sent.", keep="mean"),
            "http_redirects": Metric("gauge", "", "Redirects followed.", keep="change"),
            "http_tls_left_seconds": Metric(
                "gauge", "seconds", "Time until the server's certificate ends; negative when it has ended.", keep="mean"
            ),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        notes = Notes()
        try:
            await self._visit(target, shared.get(TlsContexts), notes)
        except ProbeFailed as failure:
            raise ProbeFailed(failure.code, reading=notes.reading(str(failure))) from failure
        except (OSError, asyncio.CancelledError):
            # Cut off by the network or by the deadline: how far it came is worth keeping.
            for sample in notes.samples():
                target.report(sample)
            raise
        return notes.reading()

    async def _visit(self, target: Target, contexts: TlsContexts, notes: Notes) -> None:
        cookies = CookieJar(unsafe=True)  # unsafe: sites are reached by address, too; forgotten after this run
        url = first_url(self.scheme, self.host or target.address, self.port, self.path)
        for redirects in range(self.max_redirects + 1):
            notes.values["http_redirects"] = float(redirects)
            async with Exchange(url, target, notes) as exchange:
                secure = contexts.get(verify=self.verify, ca_file=self.ca_file) if url.scheme == "https" else None
                await exchange.open(secure)
                response = await exchange.ask(self.method, cookies)
                location = response.headers.get("Location")
                if not self.max_redirects or response.status not in REDIRECTS or location is None:
                    if response.status not in self._expected:
                        raise ProbeFailed("status", f"status {response.status}")
                    body = await exchange.body(response, self.max_bytes)
                    if self._pattern is not None and not self._pattern.search(text(response, body, self.max_bytes)):
                        raise ProbeFailed("body_mismatch", f"body_match is not in the {len(body)} bytes that came")
                    return
            url = next_url(url, location, (self.host, target.address))
        raise ProbeFailed("redirect_loop", f"more than {self.max_redirects} redirects")


def status_codes(expected: Sequence[int | str]) -> frozenset[int]:
    """`[200, "3xx"]` as the codes meant. Raises ValueError."""
    codes: set[int] = set()
    for entry in expected:
        word = str(entry)
        if re.fullmatch("[1-5]xx", word):
            codes.update(range(int(word[0]) * 100, int(word[0]) * 100 + 100))
        elif re.fullmatch("[1-5][0-9][0-9]", word):
            codes.add(int(word))
        else:
            raise ValueError(f"expect_status: {entry!r}; a code such as 200 or a class such as 2xx")
    if not codes:
        raise ValueError("expect_status: is empty; a code such as 200 or a class such as 2xx")
    return frozenset(codes)


def first_url(scheme: str, host: str, port: int | None, path: str) -> URL:
    name = f"[{host}]" if ":" in host else host
    return URL(f"{scheme}://{name}{f':{port}' if port else ''}{path}", encoded=True)


def next_url(url: URL, location: str, own: Sequence[str]) -> URL:
    """Where a redirect leads: only ever to http or https on one of the target's `own` names. Raises ProbeFailed."""
    try:
        following = url.join(URL(location))
        host, port = following.host or "", following.port
    except ValueError as error:
        raise ProbeFailed("bad_response", "redirect to what is no URL") from error
    if following.scheme not in {"http", "https"} or not port or same_name(host) not in {same_name(name) for name in own if name}:
        # Its path and query are left out: they may hold another system's tokens.
        raise ProbeFailed("redirect_refused", f"redirect to {clean(f'{following.scheme}://{host}')}")
    return following.with_user(None).with_fragment(None)


def same_name(host: str) -> str:
    """A host name or address in the one form that can be compared."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.rstrip(".").lower()
