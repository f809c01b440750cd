"""What lines stand at against their contracts, in words: for a site's page, the API and so for the CLI. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from netwatch.lang import Catalog, writing
from netwatch.snapshot import LineView, SiteView
from netwatch.web.board import Reader
from netwatch.web.line import reason_text

__all__ = ["counted", "document", "mark_of", "month_of", "standing_text"]

SELF_EVIDENT = frozenset({"measured", "below", "old", "never"})  # reasons that the verdict and the rate have told already
ORDER = ("below_contract", "refuted", "inconclusive", "stale", "proved")  # of a line's two directions, the one that counts


def mark_of(one: LineView) -> str:
    """Which icon it goes by."""
    if one.verdict == "proved":
        return "ok"
    return "warn" if one.below_contract or one.verdict == "refuted" else "unknown"


def standing_text(one: LineView, now: float, words: Catalog, zone: dt.tzinfo) -> str:
    """The verdict, the rate, why and since when: in that order, as far as there is something to tell."""
    if one.wall is None:
        return words.text("line.standing_never")
    at = writing.clock(one.wall, now, words, zone)
    rate = (
        words.text("line.standing_rate", rate=writing.bits_per_second(one.value_bits_per_second, words))
        if one.value_bits_per_second
        else ""
    )
    if one.verdict == "stale":
        last = " · ".join(part for part in (words.text(f"line.verdict_{one.decided}"), rate, at) if part)
        return words.text("line.standing_old", last=last)
    verdict = words.text("line.standing_below") if one.below_contract else words.text(f"line.verdict_{one.verdict}")
    reason = "" if one.reason in SELF_EVIDENT else reason_text(one.reason, words)
    return " · ".join(part for part in (verdict, rate if one.verdict != "inconclusive" else "", reason, at) if part)


def document(one: LineView, now: float, reader: Reader) -> dict[str, Any]:
    """As the API tells it."""
    return {
        "direction": one.direction,
        "contract_bits_per_second": one.contract_bits_per_second,
        "verdict": one.verdict,
        "reason": one.reason,
        "value_bits_per_second": one.value_bits_per_second or None,
        "at": writing.rfc3339(one.wall, reader.zone) if one.wall is not None else None,
        "proved_at": writing.rfc3339(one.proved_wall, reader.zone) if one.proved_wall is not None else None,
        "below_contract": one.below_contract,
        "text": standing_text(one, now, reader.words, reader.zone),
    }


def month_of(one: LineView, now: float, zone: dt.tzinfo) -> str:
    """Of the sheet on which its evidence stands."""
    return f"{dt.datetime.fromtimestamp(one.wall if one.wall is not None else now, zone):%Y-%m}"


def counted(sites: Iterable[SiteView]) -> dict[str, Any] | None:
    """How many lines stand at what, by the worse of their directions, and which are below their contract. None where none was ever looked at."""
    counts = dict.fromkeys(ORDER, 0)
    below, known = [], False
    for site in sites:
        for target in site.targets:
            if not target.standings:
                continue
            known = known or any(one.wall is not None for one in target.standings)
            worst = min(("below_contract" if one.below_contract else one.verdict for one in target.standings), key=ORDER.index)
            counts[worst] += 1
            if worst == "below_contract":
                below.append(f"{site.site.id}/{target.id}")
    return {**counts, "below": below} if known else None
