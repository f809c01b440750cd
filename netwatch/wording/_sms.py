"""Any text as one SMS: no marks, no icons, one segment. Pure."""

from __future__ import annotations

import unicodedata

from netwatch.lang import fold

__all__ = ["LONGEST_SMS", "one_segment", "plain", "without_icon"]

LONGEST_SMS = 160  # one segment of GSM 03.38 letters
# GSM 03.38 counts these twice or has none of them.
LETTERS = str.maketrans(
    {"[": "(", "]": ")", "{": "(", "}": ")", "\\": "/", "|": "/", "^": "-", "~": "-", "`": "'", "–": "-", "—": "-", "·": "-"}
)
NOT_SAID = frozenset({"So", "Sk", "Mn", "Cf", "Cc"})  # icons, and what only shapes them


def one_segment(text: str) -> str:
    said = plain(text)
    return said if len(said) <= LONGEST_SMS else said[: LONGEST_SMS - 3] + "..."


def plain(text: str) -> str:
    """Only letters that GSM 03.38 counts once; of any length."""
    folded = fold(unicodedata.normalize("NFKC", " ".join(text.split()).replace("…", "..."))).translate(LETTERS)
    said = "".join(letter for letter in folded if unicodedata.category(letter) not in NOT_SAID)
    return " ".join(said.translate(LETTERS).encode("ascii", "replace").decode().split())


def without_icon(title: str) -> str:
    """A title in the middle of other text; one's own words for it may have no icon."""
    first, _, rest = title.partition(" ")
    return title if any(letter.isalnum() for letter in first) else rest
