"""SIP messages (RFC 3261): an OPTIONS request, and what an answer to it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["BadMessage", "Options", "Response", "content_length", "read"]

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 section 8.1.1.7
MAX_FORWARDS = 70
# A header nobody has: one that is longer, or a message with more of them, is an attack or a fault.
MOST_HEADERS = 200
LONGEST_HEAD_BYTES = 64 << 10
LONGEST_LENGTH_DIGITS = 9

STATUS_LINE = re.compile(r"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+(.*))?", re.IGNORECASE)
BRANCH = re.compile(r";[ \t]*branch[ \t]*=[ \t]*([^;, \t]+)", re.IGNORECASE)
CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([A-Za-z]+)")
DIGITS = re.compile(r"[0-9]+")
# RFC 3261 section 7.3.3, those that are read here
COMPACT = {"v": "via", "i": "call-id", "f": "from", "t": "to", "l": "content-length", "m": "contact"}


class BadMessage(ValueError):
    """Bytes that are no SIP response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One OPTIONS request. `branch`, `tag` and `call_id` are chance; `local` and `remote` an address or name and a port."""

    remote: tuple[str, int]
    local: tuple[str, int]
    transport: Literal["udp", "tcp", "tls"]
    branch: str
    tag: str
    call_id: str
    user: str = ""
    sequence: int = 1

    def to_wire(self) -> bytes:
        to = _uri(self.user, *self.remote, self.transport)
        sent_by = f"{_host(self.local[0])}:{self.local[1]}"
        lines = (
            f"OPTIONS {to} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {sent_by};branch={MAGIC_COOKIE}{self.branch};rport",  # rport: RFC 3581
            f"Max-Forwards: {MAX_FORWARDS}",
            f"From: <sip:netwatch@{_host(self.local[0])}>;tag={self.tag}",
            f"To: <{to}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} OPTIONS",
            f"Contact: <{_uri('netwatch', *self.local, self.transport)}>",
            "Accept: application/sdp",
            "User-Agent: netwatch",
            "Content-Length: 0",
        )
        return "\r\n".join((*lines, "", "")).encode()

    def is_answered_by(self, response: Response) -> bool:
        """As a transaction is matched (section 17.1.3), and by the Call-ID, too: none but the one who was asked can know all three."""
        return (
            response.branch.lower() == f"{MAGIC_COOKIE}{self.branch}".lower()
            and response.call_id == self.call_id
            and response.sequence == (self.sequence, "OPTIONS")
        )


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _uri(user: str, host: str, port: int, transport: str) -> str:
    """`sip:` with `transport=tls`, which every device understands; `sips:` asks for TLS on each hop beyond it, too."""
    return f"sip:{f'{user}@' if user else ''}{_host(host)}:{port}{'' if transport == 'udp' else f';transport={transport}'}"


@dataclass(frozen=True, slots=True)
class Response:
    """The status line, and the headers by their names in lower case: of each the first."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.status >= 200

    @property
    def branch(self) -> str:
        """Of the topmost Via, which is the one we wrote."""
        found = BRANCH.search(self.headers.get("via", "").partition(",")[0])
        return found[1] if found else ""

    @property
    def call_id(self) -> str:
        return self.headers.get("call-id", "")

    @property
    def sequence(self) -> tuple[int, str]:
        found = CSEQ.fullmatch(self.headers.get("cseq", ""))
        return (int(found[1]), found[2].upper()) if found else (-1, "")

    @property
    def retry_after_seconds(self) -> float:
        """0 where none is told. RFC 3261 section 20.33: delta seconds, then perhaps a comment or parameters."""
        found = DIGITS.match(self.headers.get("retry-after", ""))
        return float(found[0][:LONGEST_LENGTH_DIGITS]) if found else 0.0


def read(data: bytes) -> Response:
    """The response that the bytes begin with; a body is not looked at. Raises BadMessage."""
    head, _, _ = data[:LONGEST_HEAD_BYTES].lstrip(b"\r\n").partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    status = STATUS_LINE.fullmatch(first)
    if status is None:
        raise BadMessage("no SIP response")
    headers: dict[str, list[str]] = {}
    current: list[str] = []
    if len(lines) > MOST_HEADERS:
        raise BadMessage(f"{len(lines)} headers")
    for line in lines:
        if line[:1] in {" ", "\t"}:  # folded: section 7.3.1
            current.append(line.strip())
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMessage("a header without a colon")
        current = [value.strip()]
        name = name.strip().lower()
        headers.setdefault(COMPACT.get(name, name), current)
    return Response(int(status[1]), (status[2] or "").strip(), {name: " ".join(parts) for name, parts in headers.items()})


def content_length(response: Response) -> int:
    """Of the body that follows on a stream (section 18.3); 0 where none is told. Raises BadMessage."""
    told = response.headers.get("content-length", "0")
    if len(told) > LONGEST_LENGTH_DIGITS or not DIGITS.fullmatch(told):
        raise BadMessage("a Content-Length that is no number")
    return int(told)
