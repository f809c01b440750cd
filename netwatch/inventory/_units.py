"""Quantities as people write them: `5s`, `1d12h`, `100 Mbps`, `15%`. Pure; what is wrong is a `WrongUnit`."""

from __future__ import annotations

import re

__all__ = ["WrongUnit", "duration", "rate", "ratio", "size", "threshold"]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|m|h|d|w)", re.ASCII)
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern} ?)+", re.ASCII)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([kMG]?)(?:bps|bit/s)", re.ASCII)
_BYTES = re.compile(r"\d+(?:\.\d+)? ?[kKmMgG]?i?B(?:ps|/s)?", re.ASCII)
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([kMG])B", re.ASCII)
_RATIO = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%", re.ASCII)
_POWERS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_MAX_SECONDS = 400 * 86_400.0
_MAX_RATE = 1e12


class WrongUnit(ValueError):
    """`key` names the text in the `inventory` language area that says what to write instead."""

    def __init__(self, key: str, **fields: str) -> None:
        self.key = key
        self.fields = fields
        super().__init__(key)


def _shown(value: object) -> str:
    text = {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def duration(value: object) -> float:
    """Seconds, more than none and at most 400 days."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise WrongUnit("duration_no_unit" if value > 0 else "duration_not_positive", value=_shown(value))
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        negative = isinstance(value, str) and value.startswith("-") and _DURATION.fullmatch(value[1:])
        raise WrongUnit("duration_not_positive" if negative else "duration", value=_shown(value))
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if seconds <= 0:
        raise WrongUnit("duration_not_positive", value=_shown(value))
    if seconds > _MAX_SECONDS:
        raise WrongUnit("duration_too_long", value=_shown(value))
    return seconds


def rate(value: object) -> float:
    """Bits per second, as a contract is written; bytes are refused rather than guessed."""
    if isinstance(value, str) and _BYTES.fullmatch(value):
        raise WrongUnit("rate_bytes", value=_shown(value))
    match = (
        _RATE.fullmatch(value.replace("mbps", "Mbps").replace("gbps", "Gbps").replace("Kbps", "kbps")) if isinstance(value, str) else None
    )
    if match is None:
        raise WrongUnit("rate", value=_shown(value))
    bits = float(match[1]) * _POWERS[match[2]]
    if not 0 < bits <= _MAX_RATE:
        raise WrongUnit("rate_range", value=_shown(value))
    return bits


def size(value: object) -> float:
    """Bytes, in powers of ten as carriers sell them."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or not float(match[1]) > 0:
        raise WrongUnit("size", value=_shown(value))
    return float(match[1]) * _POWERS[match[2]]


def ratio(value: object) -> float:
    """A share between 0 and 1, written `15%` or 0.15."""
    if isinstance(value, str) and (match := _RATIO.fullmatch(value)):
        share = float(match[1]) / 100
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        share = float(value)
    else:
        raise WrongUnit("ratio", value=_shown(value))
    if not 0 <= share <= 1:
        raise WrongUnit("ratio", value=_shown(value))
    return share


def threshold(value: object) -> float:
    """A number in the metric's base unit, or `15%`, or a duration in words."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        if _RATIO.fullmatch(value):
            return ratio(value)
        if _DURATION.fullmatch(value):
            return duration(value)
    raise WrongUnit("threshold", value=_shown(value))
