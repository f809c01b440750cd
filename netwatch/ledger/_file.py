"""The evidence ledger: what was found of a line, frozen, one record a line of a file that only grows.

A line is `<seal> <signature> <record>`. The record is JSON in one form: keys sorted, no blanks, UTF-8. It holds its number, and as
`previous` the seal of the record before it. The seal is SHA-256 over the previous seal and the record's own SHA-256, both written
in hexadecimal; so whoever is shown only the SHA-256 of other records can still follow the chain to its head. The signature is
Ed25519 (RFC 8032) over the record's bytes, in base64. docs/evidence-of-a-line.md checks all of it with openssl and sha256sum.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from netwatch.ledger._key import BadKey, Key, sync_directory

__all__ = [
    "DIRECTORY",
    "EMPTY_SEAL",
    "RECORDS",
    "Entry",
    "Head",
    "Ledger",
    "LedgerRefused",
    "canonical",
    "next_seal",
    "parse",
    "path_in",
    "sound_end",
    "tail_of",
]

DIRECTORY = "ledger"
RECORDS, TORN = "records", "torn"
EMPTY_SEAL = "0" * 64
LINE = re.compile(rb"([0-9a-f]{64}) ([A-Za-z0-9+/]{86}==) (\{.*\})", re.DOTALL)
LONGEST_LINE_BYTES = 4 * 1024 * 1024
BLOCK_BYTES = 64 * 1024


class LedgerRefused(Exception):
    """Nothing was written. Its text is for the log."""

    def __init__(self, code: Literal["damaged", "key_missing", "key_bad", "unwritable", "too_long"], path: Path, detail: str = "") -> None:
        self.code = code
        self.path = path
        self.detail = detail
        super().__init__(f"{path}: {code}" + (f": {detail}" if detail else ""))


@dataclass(frozen=True, slots=True)
class Head:
    """The last record's number and seal: whoever knows it can tell whether anything before it was changed."""

    number: int
    seal: str

    def __str__(self) -> str:
        return f"{self.number}:{self.seal}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file; `raw` is the record as it was hashed and signed, `record` what it says."""

    number: int
    previous: str
    seal: str
    signature: bytes
    raw: bytes
    record: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def signature_text(self) -> str:
        return base64.b64encode(self.signature).decode()

    def sealed(self) -> bool:
        """Whether its seal is the one of its record and of the seal before."""
        return self.seal == next_seal(self.previous, self.sha256)

    def follows(self, last: Entry | None) -> bool:
        return (self.number, self.previous) == ((last.number + 1, last.seal) if last else (1, EMPTY_SEAL))


def canonical(record: Mapping[str, Any]) -> bytes:
    """The one form of a record. What is not finite becomes null: JSON has no NaN."""
    return _written(_plain(record))


def _written(record: Any) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        rounded = round(value, 9)
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    return value


def next_seal(previous: str, sha256: str) -> str:
    return hashlib.sha256((previous + sha256).encode()).hexdigest()


def path_in(state_directory: Path) -> Path:
    """Where a state directory has its ledger; it need not be there yet. Its key stands beside it."""
    return state_directory / DIRECTORY / RECORDS


class Ledger:
    """The ledger of a state directory, written to. Each record is on the disk when `append` returns, or was not taken."""

    def __init__(self, state_directory: Path) -> None:
        self.path = path_in(state_directory)
        self._directory = self.path.parent

    def append(self, record: Mapping[str, Any]) -> Entry:
        """Adds `number`, `previous` and `key` to the record and seals it. Raises LedgerRefused.

        Waits for another process that is appending; no lock is held between records.
        """
        try:
            with self._locked() as descriptor:
                last = self._last(descriptor)
                key = self._key(new=last is None)
                number, previous = (last.number + 1, last.seal) if last else (1, EMPTY_SEAL)
                whole = {**record, "number": number, "previous": previous, "key": key.public}
                raw = canonical(whole)
                seal = next_seal(previous, hashlib.sha256(raw).hexdigest())
                entry = Entry(number, previous, seal, key.sign(raw), raw, whole)
                self._write(descriptor, entry)
        except OSError as error:
            raise LedgerRefused("unwritable", self.path, error.strerror or str(error)) from error
        return entry

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _key(self, *, new: bool) -> Key:
        """Made with the first record only: a ledger that goes on under a new key would hide that the old one was lost."""
        try:
            return Key.made_in(self._directory) if new else Key.read_from(self._directory)
        except FileNotFoundError as error:
            raise LedgerRefused("key_missing", self._directory) from error
        except BadKey as error:
            raise LedgerRefused("key_bad", self._directory, str(error)) from error

    def _last(self, descriptor: int) -> Entry | None:
        """The record to go on from, after what a kill or a power cut left half-written has been set aside."""
        size = os.fstat(descriptor).st_size
        tail = tail_of(descriptor, size)
        end = sound_end(tail)
        whole, rest = tail[:end], tail[end:]
        last = parse(whole[:-1].rpartition(b"\n")[2]) if whole else None
        if whole and (last is None or not last.sealed()):
            raise LedgerRefused("damaged", self.path)
        finished = parse(rest)
        if finished is not None and finished.sealed() and finished.follows(last):
            os.write(descriptor, b"\n")  # only the end of the line was missing: the record is as good as any
            os.fsync(descriptor)
            return finished
        if rest:
            self._set_aside(descriptor, rest, size - len(rest))
        return last

    def _set_aside(self, descriptor: int, rest: bytes, offset: int) -> None:
        """Never sealed, never told of as written; kept all the same, for whoever asks what happened."""
        aside = os.open(self._directory / TORN, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_whole(aside, b"%d %b\n" % (offset, rest.replace(b"\n", b"")))
            os.fsync(aside)
        finally:
            os.close(aside)
        os.ftruncate(descriptor, offset)
        os.fsync(descriptor)

    def _write(self, descriptor: int, entry: Entry) -> None:
        line = b"%b %b %b\n" % (entry.seal.encode(), entry.signature_text.encode(), entry.raw)
        if len(line) > LONGEST_LINE_BYTES:
            raise LedgerRefused("too_long", self.path)
        before = os.fstat(descriptor).st_size
        try:
            _write_whole(descriptor, line)
            os.fsync(descriptor)
        except OSError:  # a full disk: the next record must not follow half of this one
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, before)
            raise
        if entry.number == 1:
            sync_directory(self._directory)


def _write_whole(descriptor: int, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[os.write(descriptor, view) :]


def tail_of(descriptor: int, size: int) -> bytes:
    """As much of the end as holds the last whole line and what follows it."""
    tail, offset = b"", size
    while offset and (tail.count(b"\n", 0, sound_end(tail)) < 2 and len(tail) <= 2 * LONGEST_LINE_BYTES):
        step = min(BLOCK_BYTES, offset)
        offset -= step
        tail = os.pread(descriptor, step, offset) + tail
    return tail


def sound_end(tail: bytes) -> int:
    """Where the last line ends that was written whole. A power cut may leave zeros (xfs.org FAQ), which no record has in it."""
    zero = tail.find(b"\0")
    return tail.rfind(b"\n", 0, len(tail) if zero < 0 else zero) + 1


def parse(line: bytes, *, strict: bool = True) -> Entry | None:
    """None for what is no record; `strict`: or not in its one form. Neither seal nor signature is looked at."""
    match = LINE.fullmatch(line)
    if match is None:
        return None
    try:
        signature = base64.b64decode(match[2], validate=True)
        record = json.loads(match[3])
    except (binascii.Error, ValueError, RecursionError):
        return None
    number, previous = record.get("number"), record.get("previous")
    if type(number) is not int or not isinstance(previous, str) or (strict and _reads_otherwise(record, match[3])):
        return None
    return Entry(number, previous, match[1].decode(), signature, match[3], record)


def _reads_otherwise(record: Mapping[str, Any], raw: bytes) -> bool:
    """A key twice, blanks, another order: what another program might read in another way."""
    try:
        return _written(record) != raw
    except (ValueError, UnicodeError):  # such as half a surrogate pair
        return True
