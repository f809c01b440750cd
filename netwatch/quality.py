"""What a line's delay, jitter and loss mean to a conference: percentiles, a voice estimate, HD video limits. Pure.

The E-model speaks of telephony: its MOS is of no use for video and is labelled "voice estimate" wherever it is shown.
Where nothing was measured there is no figure, not a good one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from netwatch.model import Belief

__all__ = [
    "G711",
    "G711_PLC",
    "G729A",
    "PERCENTILES",
    "VIDEO_HD",
    "Codec",
    "Method",
    "Quality",
    "Train",
    "VideoLimits",
    "Voice",
    "grade_video",
    "jitter_seconds",
    "mos",
    "mouth_to_ear_seconds",
    "percentile",
    "quality",
    "r_factor",
    "trains",
    "variations",
    "voice",
]

Method: TypeAlias = Literal["g107", "simple", "shortcut"]
Runs: TypeAlias = Sequence[tuple[float, tuple[float, ...]]]  # wall seconds, values: as history gives them

PERCENTILES = (10, 25, 50, 75, 90, 95, 99)
BEST_R = 93.2  # ITU-T G.107: all at its default
PACKET_SECONDS = 0.020
LEAST_BUFFER_SECONDS = 0.020


@dataclass(frozen=True, slots=True)
class Codec:
    """ITU-T G.113: equipment impairment Ie, and robustness against loss Bpl."""

    name: str
    impairment: float
    robustness: float


G711_PLC = Codec("G.711+PLC", 0.0, 25.1)
G711 = Codec("G.711", 0.0, 4.3)
G729A = Codec("G.729A", 11.0, 19.0)


@dataclass(frozen=True, slots=True)
class Train:
    """Packets sent one after another, and the delays of those that came back, in order."""

    delays: tuple[float, ...]
    sent: int


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice estimate. `delay_seconds` is what went into it."""

    r: float
    mos: float
    method: Method
    codec: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """Up to which a figure is good, and from which on it is a warning or critical."""

    good: tuple[float, float, float]  # round trip in seconds, jitter in seconds, loss ratio
    warn: tuple[float, float, float]
    crit: tuple[float, float, float]


# Between what the makers of rooms ask for: Cisco TelePresence 150 ms and 0.05 %, BlueJeans 40 ms and 1 %. See docs/quality.md.
VIDEO_HD = VideoLimits(good=(0.150, 0.020, 0.001), warn=(0.200, 0.030, 0.005), crit=(0.300, 0.050, 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Of one way out over some minutes. `variation_p95_seconds`: 95 of 100 neighbours differ by no more. None: not measured."""

    sent: int
    received: int
    loss_ratio: float
    rtt_seconds: Mapping[int, float]  # by percentile; empty when nothing came back
    mean_rtt_seconds: float | None
    jitter_seconds: float | None
    variation_p95_seconds: float | None
    voice: Voice | None
    video: Belief


def percentile(values: Iterable[float], point: float) -> float | None:
    """`point` from 0 to 100, interpolated between neighbours as in R's type 7."""
    found = sorted(values)
    if not found:
        return None
    place = (len(found) - 1) * point / 100
    below = math.floor(place)
    above = min(below + 1, len(found) - 1)
    return found[below] + (found[above] - found[below]) * (place - below)


def variations(several: Iterable[Train]) -> list[float]:
    """How much the delays of neighbours differ (IPDV, RFC 3393); never over the pause between two trains."""
    return [later - earlier for train in several for earlier, later in itertools.pairwise(train.delays)]


def jitter_seconds(several: Iterable[Train]) -> float | None:
    """RFC 3550 section 6.4.1: J += (|D| − J) / 16 from packet to packet. It begins at the first |D|, not at 0: it is not always long."""
    jitter: float | None = None
    for difference in variations(several):
        jitter = abs(difference) if jitter is None else jitter + (abs(difference) - jitter) / 16
    return jitter


def mouth_to_ear_seconds(one_way_seconds: float, jitter: float) -> float:
    """With a packet of speech, and a buffer for twice the jitter."""
    return one_way_seconds + max(2 * jitter, LEAST_BUFFER_SECONDS) + PACKET_SECONDS


def r_factor(
    delay_seconds: float, loss_ratio: float, *, codec: Codec = G711_PLC, burst: float = 1.0, method: Literal["g107", "simple"] = "g107"
) -> float:
    """E-model (ITU-T G.107) with all at its default but delay, mouth to ear, and loss; never below 0.

    `simple`: the delay impairment of Cole and Rosenbluth (2001). `burst` 1 is random loss (BurstR).
    """
    delay = _delay_impairment(delay_seconds * 1000) if method == "g107" else _simple_impairment(delay_seconds * 1000)
    percent = loss_ratio * 100
    equipment = codec.impairment + (95 - codec.impairment) * percent / (percent / burst + codec.robustness)
    return max(0.0, BEST_R - delay - equipment)


def _simple_impairment(milliseconds: float) -> float:
    return 0.024 * milliseconds + 0.11 * max(0.0, milliseconds - 177.3)


def _delay_impairment(milliseconds: float) -> float:
    """Idd of G.107, equation 7-27."""
    if milliseconds <= 100:
        return 0.0
    x = math.log2(milliseconds / 100)
    return 25 * (math.pow(1 + x**6, 1 / 6) - 3 * math.pow(1 + (x / 3) ** 6, 1 / 6) + 2)


def mos(r: float) -> float:
    """ITU-T G.107 annex B; from 1 to 4.5. Its curve dips below 1 for small R, which is cut off."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def voice(rtt_seconds: float | None, jitter: float | None, loss_ratio: float, *, method: Method = "g107") -> Voice | None:
    """None when nothing came back. Half the round trip stands for one way.

    `shortcut` is what network tools widely show instead of the E-model; it takes the round trip, as they do.
    """
    if rtt_seconds is None:
        return None
    if method == "shortcut":
        delay = rtt_seconds + 2 * (jitter or 0.0) + 0.010
        milliseconds = delay * 1000
        r = BEST_R - milliseconds / 40 if milliseconds < 160 else BEST_R - (milliseconds - 120) / 10
        r = max(0.0, r - 2.5 * loss_ratio * 100)
    else:
        delay = mouth_to_ear_seconds(rtt_seconds / 2, jitter or 0.0)
        r = r_factor(delay, loss_ratio, method=method)
    return Voice(r, mos(r), method, G711_PLC.name, delay)


def grade_video(
    rtt_seconds: float | None, jitter: float | None, sent: int, received: int, *, strict: bool = False, limits: VideoLimits = VIDEO_HD
) -> Belief:
    """Unknown when nothing was sent. `strict`, in a meeting: what is no longer good is a warning already.

    A single packet is no rate of loss: of 300, one would be more than HD video allows.
    """
    if sent == 0:
        return Belief.UNKNOWN
    lost = sent - received
    found = (rtt_seconds or 0.0, jitter or 0.0, lost / sent if lost > 1 or received == 0 else 0.0)
    if any(value > limit for value, limit in zip(found, limits.crit, strict=True)):
        return Belief.CRIT
    bearable = limits.good if strict else limits.warn
    return Belief.WARN if any(value > limit for value, limit in zip(found, bearable, strict=True)) else Belief.OK


def quality(several: Sequence[Train], *, method: Method = "g107", strict: bool = False) -> Quality | None:
    """None when nothing was sent."""
    sent, delays = sum(train.sent for train in several), [delay for train in several for delay in train.delays]
    if sent == 0:
        return None
    loss_ratio = 1 - len(delays) / sent
    jitter = jitter_seconds(several)
    mean = math.fsum(delays) / len(delays) if delays else None
    points = {point: percentile(delays, point) for point in PERCENTILES}
    return Quality(
        sent=sent,
        received=len(delays),
        loss_ratio=loss_ratio,
        rtt_seconds=MappingProxyType({point: value for point, value in points.items() if value is not None}),
        mean_rtt_seconds=mean,
        jitter_seconds=jitter,
        variation_p95_seconds=percentile([abs(one) for one in variations(several)], 95),
        voice=voice(mean, jitter, loss_ratio, method=method),
        video=grade_video(mean, jitter, sent, len(delays), strict=strict),
    )


def trains(delays: Runs, losses: Runs, count: int) -> list[Train]:
    """What history keeps of a check, delays and part lost of each run, as trains of packets.

    How many were sent follows from the two; where all were lost, it was a train of `count`, then re-checks of one.
    """
    by_wall = dict(delays)
    found: list[Train] = []
    silent = False
    for wall, (ratio, *_) in losses:
        came = by_wall.get(wall, ())
        whole = len(came) / (1 - ratio) if ratio < 1 else 0.0
        sent = max(round(whole), len(came)) if came else 1 if silent else count
        silent = not came
        found.append(Train(came, sent))
    return found
