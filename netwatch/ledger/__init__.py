"""The evidence ledger: what was found of a line, sealed so that no change goes unseen. Beside the history; nothing prunes it."""

from netwatch.ledger._check import BadHead, Flaw, Report, head_of, verify
from netwatch.ledger._file import DIRECTORY, EMPTY_SEAL, RECORDS, Entry, Head, Ledger, LedgerRefused, canonical, next_seal, parse, path_in
from netwatch.ledger._key import KEY_NAME, BadKey, Key, key_in, pem, public_of
from netwatch.ledger._select import LedgerState, head, head_text, lines, newest_first, of_site, state_of, sums_between

__all__ = [
    "DIRECTORY",
    "EMPTY_SEAL",
    "KEY_NAME",
    "RECORDS",
    "BadHead",
    "BadKey",
    "Entry",
    "Flaw",
    "Head",
    "Key",
    "Ledger",
    "LedgerRefused",
    "LedgerState",
    "Report",
    "canonical",
    "head",
    "head_of",
    "head_text",
    "key_in",
    "lines",
    "newest_first",
    "next_seal",
    "of_site",
    "parse",
    "path_in",
    "pem",
    "public_of",
    "state_of",
    "sums_between",
    "verify",
]
