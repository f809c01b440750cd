"""DNS messages by dnspython: a question, and what an answer to it says. RFC 1035; 2181 and 2308 for what an answer means."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.txtbase
import dns.reversename

__all__ = ["Answer", "BadAnswer", "CnameLoop", "NotOurs", "Question", "expected", "question", "read"]

Question: TypeAlias = dns.message.QueryMessage

ID_BYTES = 2
HEADER = struct.Struct("!HHHHHH")  # id, flags; how many questions, answers, authorities, additions
# dnspython takes 2.5 ms over a record with the longest names: no answer may keep the loop for long.
MOST_RECORDS = 100


class BadAnswer(ValueError):
    """Bytes with the question's own id that are no answer to it."""


class CnameLoop(BadAnswer):
    """The aliases of the name lead round in a circle, or too far to follow."""


class NotOurs(Exception):
    """An answer with another id: a stranger's guess, or none at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`rcode` is a word such as `noerror` or `nxdomain`; `records` are those of the type asked for, at the end of any aliases.

    Each record stands as in a zone file: names whole and in lower case, a TXT record as its plain text. `ttl_seconds` is the
    least of all of them and of the aliases. Of a truncated answer nothing else is known.
    """

    rcode: str
    records: tuple[str, ...] = ()
    ttl_seconds: int = 0
    truncated: bool = False


def question(name: str, record: str, *, recursion: bool) -> Question:
    """A question with an id of its own. A PTR record may be asked for by address. Raises ValueError for what is no name."""
    flags = dns.flags.RD if recursion else dns.flags.Flag(0)
    try:
        return dns.message.make_query(_owner(name, record), record, flags=flags)
    except dns.exception.DNSException as error:
        raise ValueError(f"{name!r} is not a name: {error}") from error


def _owner(name: str, record: str) -> dns.name.Name:
    if record == "PTR":
        try:
            return dns.reversename.from_address(str(ipaddress.ip_address(name)))
        except ValueError:
            pass
    return dns.name.from_text(name)


def expected(texts: Iterable[str], record: str) -> frozenset[str]:
    """Records as a person writes them, in the form that `Answer.records` has. Raises ValueError."""
    return frozenset(text if record == "TXT" else _normal(text, record) for text in texts)


def _normal(text: str, record: str) -> str:
    try:
        return _text(dns.rdata.from_text("IN", record, text, origin=dns.name.root, relativize=False))
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is not a record of type {record}: {error}") from error


def _text(record: dns.rdata.Rdata) -> str:
    if isinstance(record, dns.rdtypes.txtbase.TXTBase):
        return b"".join(record.strings).decode("utf-8", "replace")
    return record.to_text().lower()


def read(data: bytes, asked: Question) -> Answer:
    """What the bytes answer. Raises NotOurs, BadAnswer."""
    if data[:ID_BYTES] != asked.id.to_bytes(ID_BYTES):
        raise NotOurs
    if len(data) < HEADER.size:
        raise BadAnswer(f"an answer of {len(data)} bytes")
    _id, flags, *counts = HEADER.unpack_from(data)
    if sum(counts) > MOST_RECORDS:
        raise BadAnswer(f"an answer of {sum(counts)} records")
    truncated = bool(flags & dns.flags.TC)
    try:
        answer = dns.message.from_wire(data, question_only=truncated)
        if not asked.is_response(answer) or not isinstance(answer, dns.message.QueryMessage):
            raise BadAnswer("an answer to another question")
        rcode = dns.rcode.to_text(answer.rcode()).lower()
        if truncated or rcode != "noerror":
            return Answer(rcode, truncated=truncated)
        chain = answer.resolve_chaining()
    except dns.message.ChainTooLong as error:
        raise CnameLoop("aliases that lead round in a circle") from error
    except dns.exception.DNSException as error:
        raise BadAnswer(f"a malformed answer: {error}") from error
    if chain.answer is None:
        return Answer(rcode)
    return Answer(rcode, tuple(sorted({_text(record) for record in chain.answer})), chain.minimum_ttl)
