"""SMS by a gateway that is reached over HTTP: one request a number, one segment a page.

In `url`, `body` and `headers` these stand for what is sent, escaped as the place needs: {text}, {number} (+84912345678),
{digits} (84912345678), {national} (0912345678).
"""

from __future__ import annotations

import json
import re
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import aiohttp
import pydantic

from netwatch.model import Page, Secret
from netwatch.pagers import Busy, EventPager, PageText, Receipt, Refused, Url
from netwatch.pagers._http import failure, retry_after_seconds
from netwatch.pagers._numbers import Number, digits, national

__all__ = ["SmsHttp"]

BLANK = re.compile(r"\{(text|number|digits|national)\}")
CONTENT_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json", "text": "text/plain; charset=utf-8"}
MOST_ANSWER_BYTES = 4_096  # what `success_body` looks at
PAGES_REMEMBERED = 200


def _sealed(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004  # pydantic turns only ValueError into a complaint
    return Secret(value)


def _header(value: object) -> Secret:
    written = _sealed(value)
    if not written.reveal().isprintable() or not written.reveal().isascii():
        raise ValueError("must be one line of ASCII")
    return written


def _pattern(value: object) -> str:
    try:
        re.compile(str(value))
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return str(value)


Text = Annotated[Secret, pydantic.BeforeValidator(_sealed)]
Header = Annotated[Secret, pydantic.BeforeValidator(_header)]


@dataclass(kw_only=True, eq=False)
class SmsHttp(EventPager):
    """Taken when the status is 2xx and, if `success_body` is given, that regular expression is found in the answer.

    An answer 2xx without it is a refusal: to ask again could send, and bill, the same message for ever.
    """

    url: Url
    numbers: Annotated[tuple[Number, ...], pydantic.Field(min_length=1, max_length=20)]
    method: Literal["GET", "POST"] = "POST"
    body: Text = field(default_factory=lambda: Secret(""))
    body_type: Literal["form", "json", "text"] = "form"
    headers: Mapping[Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9-]{1,60}$")], Header] = field(default_factory=dict)
    success_body: Annotated[str, pydantic.BeforeValidator(_pattern)] = ""
    _settled: OrderedDict[str, dict[str, str]] = field(init=False, default_factory=OrderedDict)  # by page: number to why refused, or ""

    def __post_init__(self) -> None:
        places = [self.url.reveal(), *(header.reveal() for header in self.headers.values())]
        written = " ".join([*places, self.body.reveal()] if self.method == "POST" else places)
        used = set(BLANK.findall(written))
        if "text" not in used or not used - {"text"}:
            raise ValueError("url or body must hold {text} and one of {number}, {digits}, {national}")
        if self.method == "POST" and self.body_type == "json":
            try:
                json.loads(BLANK.sub("0", self.body.reveal()))
            except ValueError:
                raise ValueError("body: is not JSON") from None

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread
        settled = self._settled.setdefault(page.id, {})
        while len(self._settled) > PAGES_REMEMBERED:
            self._settled.popitem(last=False)
        busy: Busy | None = None
        for number in self.numbers:
            if number in settled:
                continue
            try:
                await self._send_one(number, text.sms, http)
            except Refused as refused:
                settled[number] = str(refused)
            except Busy as later:
                busy = busy or later
            else:
                settled[number] = ""
        if busy is not None:
            raise busy
        del self._settled[page.id]
        if all(settled.values()):
            raise Refused(f"{settled[self.numbers[0]]} for every number")
        return Receipt()

    async def _send_one(self, number: str, text: str, http: aiohttp.ClientSession) -> None:
        blanks = {"text": text, "number": number, "digits": digits(number), "national": national(number)}
        url = _filled(self.url.reveal(), blanks, "form")
        headers = {name: _filled(header.reveal(), blanks, "header") for name, header in self.headers.items()}
        body = None
        if self.method == "POST":
            body = _filled(self.body.reveal(), blanks, self.body_type).encode()
            headers = {"Content-Type": CONTENT_TYPES[self.body_type], **headers}
        async with http.request(self.method, url, data=body, headers=headers, allow_redirects=False) as answer:
            if not 200 <= answer.status < 300:
                raise failure(answer.status, retry_after_seconds(answer.headers.get("Retry-After"), time.time()))
            if self.success_body and not re.search(self.success_body, await _prefix(answer)):
                raise Refused(f"HTTP {answer.status}, but the answer does not say what success_body looks for")


async def _prefix(answer: aiohttp.ClientResponse) -> str:
    read = b""
    while len(read) < MOST_ANSWER_BYTES and (some := await answer.content.read(MOST_ANSWER_BYTES - len(read))):
        read += some
    return read.decode("utf-8", "replace")


def _filled(template: str, blanks: Mapping[str, str], place: Literal["form", "json", "text", "header"]) -> str:
    """Each blank once and escaped for where it stands: what is filled in is never read as a template."""

    def written(blank: re.Match[str]) -> str:
        value = blanks[blank[1]]
        if place == "form":
            return urllib.parse.quote(value, safe="")
        if place == "json":
            return json.dumps(value)[1:-1]
        return " ".join(value.split()) if place == "header" else value

    return BLANK.sub(written, template)
