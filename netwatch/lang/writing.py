"""How numbers, times and strangers' texts are written for a person. Pure."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata

from netwatch.lang import Catalog

__all__ = ["VIETNAM", "age", "bits_per_second", "clean", "clock", "clock_or_day", "number", "percent", "rfc3339", "seconds", "stamp"]

VIETNAM = dt.timezone(dt.timedelta(hours=7), "Asia/Ho_Chi_Minh")  # no daylight saving since 1975
LONGEST = 256
HARMFUL = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def clean(text: str, limit: int = LONGEST) -> str:
    """A device's own words made harmless: no control, escape or text-direction characters, one line, bounded.

    Escaping is still the business of whatever shows it.
    """
    spaced = "".join(" " if letter in "\n\r\t\v\f\u2028\u2029" else letter for letter in text[: limit * 4])
    kept = "".join(letter for letter in spaced if unicodedata.category(letter) not in HARMFUL)
    line = " ".join(unicodedata.normalize("NFC", kept).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: float, decimals: int, words: Catalog) -> str:
    """1,204.5 in English is 1.204,5 in Vietnamese."""
    if not math.isfinite(value):
        return "–"
    written = f"{value:,.{decimals}f}"
    if float(f"{value:.{decimals}f}") == 0:
        written = written.lstrip("-")
    if words.language == "vi":
        written = written.translate(str.maketrans(",.", ".,"))
    return written


def _short(value: float, words: Catalog) -> str:
    """As many figures as anybody looks at: 0,03 · 0,8 · 12 · 346."""
    return number(value, 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.0995 or value == 0 else 2, words)


def percent(ratio: float, words: Catalog) -> str:
    """One decimal where it tells something: below ten, and between 99 and 100, where a line is judged."""
    value = ratio * 100
    telling = -9.95 < value < 9.95 or 99 < value < 100
    return f"{number(value, 1 if telling and not float(f'{value:.1f}').is_integer() else 0, words)}%"


def seconds(value: float, words: Catalog) -> str:
    """A measured time, such as a round trip: `12 ms`, `1,2 s`."""
    if abs(value) < 0.9995:
        return f"{_short(value * 1000, words)} ms"
    return f"{_short(value, words)} s"


def bits_per_second(value: float, words: Catalog) -> str:
    for size, unit in ((1e9, "Gbps"), (1e6, "Mbps"), (1e3, "kbps")):
        if abs(value) >= size:
            decimals = 0 if float(f"{value / size:.1f}").is_integer() else 1  # 99,6 Mbps is not 100
            return f"{number(value / size, decimals, words)} {unit}"
    return f"{number(value, 0, words)} bps"


def age(value: float, words: Catalog) -> str:
    """How long something has lasted, in at most two units: `38 phút`, `2 giờ 5 phút`, `3 ngày`."""
    whole = max(0, int(value)) if math.isfinite(value) else 0
    if whole < 60:
        return words.text("state.seconds", count=whole)
    parts = []
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(words.text(f"state.{name}", count=count))
        elif parts:
            break
    return " ".join(parts[:2])


def _moment(wall: float, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(wall, zone)


def clock(wall: float, now: float, words: Catalog, zone: dt.tzinfo = VIETNAM) -> str:
    """When, as short as the reader can bear: `02:47` today, with the date otherwise."""
    then, today = _moment(wall, zone), _moment(now, zone)
    if then.date() == today.date():
        return f"{then:%H:%M}"
    if words.language != "vi":
        return f"{then:%Y-%m-%d %H:%M}"
    return f"{then:%d/%m %H:%M}" if then.year == today.year else f"{then:%d/%m/%Y %H:%M}"


def clock_or_day(wall: float, now: float, words: Catalog, zone: dt.tzinfo = VIETNAM) -> str:
    """When, where there is room for five letters: `02:47` today, `23/11` before."""
    written = clock(wall, now, words, zone)
    if len(written) == len("02:47"):
        return written
    return f"{_moment(wall, zone):%d/%m}" if words.language == "vi" else f"{_moment(wall, zone):%m-%d}"


def stamp(wall: float, words: Catalog, zone: dt.tzinfo = VIETNAM) -> str:
    """When, in full: `02:47:10 24/11/2026`."""
    return f"{_moment(wall, zone):%H:%M:%S %d/%m/%Y}" if words.language == "vi" else f"{_moment(wall, zone):%Y-%m-%d %H:%M:%S}"


def rfc3339(wall: float, zone: dt.tzinfo = VIETNAM) -> str:
    """For machines, to the millisecond, with the offset."""
    return _moment(wall, zone).isoformat(timespec="milliseconds")
