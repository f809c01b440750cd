"""Text from a device is hostile: it is cleaned before anybody sees it."""

from __future__ import annotations

import unicodedata

__all__ = ["LONGEST", "clean"]

LONGEST = 256  # characters
_SHOWN_AS_SPACE = frozenset({"Zl", "Zp", "Zs"})
_BLANK = frozenset("\t\n\v\f\r")


def clean(raw: object) -> str:
    """Printable text of at most 256 characters; "" for what is not text at all.

    NULs, control and format characters (ANSI escapes, bidi overrides, zero-width joiners), surrogates and code points
    nobody has assigned are dropped; bytes that are not UTF-8 show as U+FFFD; white space is folded.
    """
    if isinstance(raw, bytes):
        text = raw[: 16 * LONGEST].decode("utf-8", "replace")
    elif isinstance(raw, str):
        text = raw[: 16 * LONGEST]
    else:
        return ""
    return " ".join("".join(_kept(letter) for letter in unicodedata.normalize("NFC", text)).split())[:LONGEST].rstrip()


def _kept(letter: str) -> str:
    category = unicodedata.category(letter)
    if letter in _BLANK or category in _SHOWN_AS_SPACE:
        return " "
    return "" if category.startswith("C") else letter
