"""E-mail by SMTP (RFC 5321): one message a page; an incident is one thread; what one recipient's server says stops no other."""

from __future__ import annotations

import datetime as dt
import email.message
import email.policy
import email.utils
import logging
import re
import ssl
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
import aiosmtplib
import pydantic

from netwatch.model import Page, Secret
from netwatch.pagers import Busy, EventPager, PageText, Receipt, Refused

__all__ = ["Smtp", "compose", "message_id"]

log = logging.getLogger(__name__)

PORTS = {"starttls": 587, "tls": 465, "none": 25}
ANSWER_SECONDS = 30.0  # the caller's deadline is shorter
LONGEST_HEADER = 200
PAGES_REMEMBERED = 200
BUSY_BELOW, REFUSED_FROM = 500, 500  # RFC 5321 §4.2.1: 4yz for now, 5yz for good
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")  # RFC 5322 §3.2.3: what may stand unquoted


def _checked_address(value: object) -> str:
    if not isinstance(value, str) or not ADDRESS.fullmatch(value) or ".." in value:
        raise ValueError("must be an address such as noc@dienbien.example.vn")
    return value


Address = Annotated[str, pydantic.BeforeValidator(_checked_address)]


@dataclass(kw_only=True, eq=False)
class Smtp(EventPager):
    """`tls`: starttls (the default), tls or none; certificates are verified, against `ca_file` if one is given."""

    host: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")]
    sender: Address
    recipients: Annotated[tuple[Address, ...], pydantic.Field(min_length=1, max_length=50)]
    tls: Literal["starttls", "tls", "none"] = "starttls"
    port: Annotated[int, pydantic.Field(ge=0, le=65_535)] = 0  # 0: the usual one for `tls`
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    ca_file: str = ""
    _settled: OrderedDict[str, set[str]] = field(init=False, default_factory=OrderedDict)  # by page: who needs no more of it

    def __post_init__(self) -> None:
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ValueError("ca_file: there is no such file")
        if self.username and self.tls == "none":
            raise ValueError("a password is never sent without encryption: tls must be starttls or tls")

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del http
        own = message_id(page, self.sender)
        root = thread.thread if thread is not None and thread.thread else ""
        message = compose(page, text, self.sender, self.recipients, root)
        waiting = [one for one in self.recipients if one not in self._settled.get(page.id, ())]
        try:
            answers = await self._deliver(message, waiting)
        except aiosmtplib.SMTPResponseException as answer:
            raise _judged(answer.code, type(answer).__name__.removeprefix("SMTP")) from None
        except aiosmtplib.SMTPException as trouble:
            if isinstance(trouble, OSError):
                raise
            raise Busy(type(trouble).__name__) from None
        self._judge_each(page.id, waiting, answers)
        return Receipt(root or own)

    async def _deliver(self, message: bytes, recipients: list[str]) -> Mapping[str, int]:
        """The code of each recipient that was not taken."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port or PORTS[self.tls],
            timeout=ANSWER_SECONDS,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            tls_context=None if self.tls == "none" else ssl.create_default_context(cafile=self.ca_file or None),
            local_hostname=self.sender.rpartition("@")[2],
        )
        try:
            await client.connect()
            if self.username:
                await client.login(self.username, self.password.reveal())
            try:
                refused, _said = await client.sendmail(self.sender, recipients, message)
            except aiosmtplib.SMTPRecipientsRefused as everybody:
                return {one.recipient: one.code for one in everybody.recipients}
            return {recipient: answer.code for recipient, answer in refused.items()}
        finally:
            client.close()  # no QUIT: the message is theirs, and a server that hangs now must not make it look lost

    def _judge_each(self, page_id: str, asked: list[str], answers: Mapping[str, int]) -> None:
        refused = {one for one, code in answers.items() if code >= REFUSED_FROM}
        busy = {one for one, code in answers.items() if code < BUSY_BELOW}
        taken = set(asked) - refused - busy
        before = self._settled.get(page_id, set())
        for code in sorted({answers[one] for one in refused}):
            log.warning("a recipient is refused", extra={"page": page_id, "code": code, "recipients": len(refused)})
        if busy:
            self._settled[page_id] = before | taken | refused
            self._settled.move_to_end(page_id)
            while len(self._settled) > PAGES_REMEMBERED:
                self._settled.popitem(last=False)
            raise Busy(f"SMTP {answers[min(busy)]} for {len(busy)} of {len(self.recipients)} recipients")
        self._settled.pop(page_id, None)
        if not taken and not before:
            raise Refused(f"SMTP {answers[min(refused)]} for every recipient")


def _judged(code: int, about: str) -> Busy | Refused:
    detail = f"SMTP {code} ({about})"
    return Refused(detail) if code >= REFUSED_FROM else Busy(detail)


def message_id(page: Page, sender: str) -> str:
    """The same on every retry: the receiving server's key against duplicates."""
    incident = page.incident
    local = NOT_IN_AN_ID.sub("-", f"{incident.key}.{incident.id}.{incident.sequence}").replace("..", ".-").strip(".")
    return f"<{local[:120]}@{sender.rpartition('@')[2]}>"


def compose(page: Page, text: PageText, sender: str, recipients: tuple[str, ...], root: str) -> bytes:
    """The message, the same bytes on every retry. `root` is the Message-ID that the thread began with."""
    # SMTP as 7-bit: what a server may do with anything else is its own affair.
    message = email.message.EmailMessage(policy=email.policy.SMTP.clone(cte_type="7bit"))
    message["From"] = f"netwatch <{sender}>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = _one_line(text.title)
    message["Date"] = email.utils.format_datetime(dt.datetime.fromtimestamp(page.wall, dt.UTC))
    message["Message-ID"] = message_id(page, sender)
    if root:
        message["In-Reply-To"] = message["References"] = _one_line(root)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message["X-Netwatch-Key"] = _ascii(page.incident.key)
    if page.kind != "recover" and page.incident.severity == "critical":
        message["X-Priority"] = "1"
    lines = [text.body, *(address for address in (text.acknowledge_url,) if address and address not in text.body)]
    body = "\n".join(lines).encode("utf-8", "replace").decode()
    message.set_content("\n".join(_one_line(line, 2_000) for line in body.splitlines()) + "\n", cte="base64")
    return message.as_bytes()


def _one_line(text: str, limit: int = LONGEST_HEADER) -> str:
    """Without anything that could begin another header or steer a terminal."""
    kept = "".join(" " if letter in "\r\n\t" else letter for letter in text if letter in "\r\n\t" or unicodedata.category(letter)[0] != "C")
    return " ".join(kept.split())[:limit]


def _ascii(text: str) -> str:
    return NOT_IN_AN_ID.sub("-", text)[:LONGEST_HEADER]
