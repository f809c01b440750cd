"""A train of STAMP packets and its answers, in figures. Pure: no socket, and the clocks come in as arguments.

What the far end writes is not believed until it can be true: its times must fit between ours, its numbers must fit what came back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from probes._clock import ClockState
from probes._wire.stamp import ErrorEstimate, Reply, Request, from_ntp, from_ptp, to_ntp

__all__ = ["Answer", "Losses", "OneWay", "Session", "Train", "losses", "one_way", "round_trips"]

# More than any slewing of the wall clock within a wait (500 ppm of 1 s): the clock was set in between.
CLOCK_TOLERANCE_NS = 1_000_000
NEAR_NS = 86_400_000_000_000  # two clocks that are meant to tell the same time
WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class Answer:
    """One packet that came back. `elapsed_ns` is T4 − T1 by our own clock, whatever the far end says."""

    sequence: int
    sent_ns: int
    elapsed_ns: int
    reply: Reply
    stepped: bool  # our wall clock was set in between


@dataclass(slots=True)
class Session:
    """What outlives a train, so that the far end sees one session: `port` is ours, `ssid` goes out with every packet.

    `lost_ahead` is by how much our numbers were ahead of the far end's at `judged`, the last packet that was answered.
    """

    ssid: int
    port: int = 0
    next_sequence: int = 0
    judged: int = -1
    lost_ahead: int = 0
    previous: dict[int, int] = field(default_factory=dict)  # T1 by sequence number, of the train before


@dataclass(slots=True)
class Train:
    """Takes what is sent and what comes. Sequence numbers here do not wrap; those on the wire do."""

    session: Session
    clock: ErrorEstimate
    stamps: dict[int, int] = field(default_factory=dict)  # T1 as written, by sequence number
    left: dict[int, tuple[int, int]] = field(default_factory=dict)  # wall and monotonic clock at sending
    answers: dict[int, Answer] = field(default_factory=dict)
    late: int = 0
    duplicates: int = 0
    reordered: int = 0
    foreign: int = 0
    doubled_ahead: bool = False  # the far end got a packet twice: its numbers no longer tell what it lost
    highest: int = -1

    def send(self, wall_ns: int, monotonic_ns: int) -> Request:
        """The next packet, to be sent at once."""
        sequence = self.session.next_sequence
        self.session.next_sequence += 1
        request = Request(sequence % WRAP, to_ntp(wall_ns), self.clock, self.session.ssid)
        self.stamps[sequence] = request.stamp
        self.left[sequence] = (wall_ns, monotonic_ns)
        return request

    def receive(self, reply: Reply, stamp_ns: int | None, wall_ns: int, monotonic_ns: int) -> None:
        """`stamp_ns`: when the kernel received it; the clocks are read now.

        Only who has seen the packet knows the nanosecond at which it left: a forged or stray answer does not count.
        """
        asked = reply.request
        sequence = self.session.next_sequence - 1 - (self.session.next_sequence - 1 - asked.sequence) % WRAP
        if asked.ssid not in {0, self.session.ssid}:
            self.foreign += 1
        elif self.session.previous.get(sequence) == asked.stamp:
            self.late += 1
        elif self.stamps.get(sequence) != asked.stamp:
            self.foreign += 1
        elif sequence in self.answers:
            self.duplicates += 1
            self.doubled_ahead |= self.answers[sequence].reply.sequence != reply.sequence
        else:
            self.reordered += sequence < self.highest
            self.highest = max(self.highest, sequence)
            self.answers[sequence] = self._answer(sequence, reply, stamp_ns, wall_ns, monotonic_ns)

    def _answer(self, sequence: int, reply: Reply, stamp_ns: int | None, wall_ns: int, monotonic_ns: int) -> Answer:
        sent_ns, sent_monotonic_ns = self.left[sequence]
        waited = monotonic_ns - sent_monotonic_ns
        step = (wall_ns - sent_ns) - waited
        elapsed = waited if stamp_ns is None else stamp_ns - sent_ns
        stepped = not (-CLOCK_TOLERANCE_NS < step < CLOCK_TOLERANCE_NS and 0 <= elapsed <= waited + CLOCK_TOLERANCE_NS)
        return Answer(sequence, sent_ns, waited if stepped else elapsed, reply, stepped)

    @property
    def sent(self) -> int:
        return len(self.stamps)

    @property
    def settled(self) -> bool:
        return len(self.answers) == len(self.stamps)

    def in_order(self) -> list[Answer]:
        return [self.answers[sequence] for sequence in sorted(self.answers)]

    def end(self) -> None:
        """From here on what comes is late."""
        self.session.previous = self.stamps


def _times(answers: Sequence[Answer]) -> list[tuple[int, int]] | None:
    """T2 and T3 of each answer in nanoseconds since 1970; None when they cannot be true.

    The Z bit is only asked first: some reflectors send back the one they got. The whole train is written in one way.
    """
    possible = []
    for ptp in dict.fromkeys((answers[0].reply.error.ptp, not answers[0].reply.error.ptp)):
        times = [
            tuple(_read(stamp, answer.sent_ns, ptp=ptp) for stamp in (answer.reply.received, answer.reply.stamp)) for answer in answers
        ]
        if all(0 <= left - came <= answer.elapsed_ns for (came, left), answer in zip(times, answers, strict=True)):
            possible.append([(came, left) for came, left in times])
    near = (times for times in possible if all(abs(came - one.sent_ns) < NEAR_NS for (came, _), one in zip(times, answers, strict=True)))
    return next(near, possible[0] if possible else None)


def _read(stamp: int, near_ns: int, *, ptp: bool) -> int:
    return from_ptp(stamp) if ptp else from_ntp(stamp, near_ns)


def round_trips(answers: Sequence[Answer]) -> tuple[tuple[float, ...], bool]:
    """(T4 − T1) − (T3 − T2) in seconds, and whether T2 and T3 could be used.

    If those of one answer cannot be true, none of the train's are used: half of them would look like jitter.
    """
    times = _times(answers) if answers else None
    if times is None:
        return tuple(answer.elapsed_ns / 1e9 for answer in answers), not answers
    return tuple((answer.elapsed_ns - (left - came)) / 1e9 for answer, (came, left) in zip(answers, times, strict=True)), True


@dataclass(frozen=True, slots=True)
class OneWay:
    """Seconds towards the far end and back. Delays are empty where the clocks cannot carry them; jitter needs no common time."""

    down_jitter: float
    up_jitter: float
    down: tuple[float, ...] = ()
    up: tuple[float, ...] = ()
    error_seconds: float = 0.0


def one_way(answers: Sequence[Answer], own: ClockState) -> OneWay | None:
    """None when the far end's times tell nothing: zeros, copies of ours, or what is no passing of time."""
    times = _times(answers) if len(answers) > 1 else None
    if times is None or any(answer.stepped for answer in answers):
        return None
    if len({came for came, _ in times}) < len(times) or any(answer.reply.received == answer.reply.request.stamp for answer in answers):
        return None
    down = [came - answer.sent_ns for answer, (came, _) in zip(answers, times, strict=True)]
    up = [answer.elapsed_ns - (left - came) - ahead for answer, (came, left), ahead in zip(answers, times, down, strict=True)]
    longest = max(ahead + back for ahead, back in zip(down, up, strict=True))
    if max(down) - min(down) > longest or max(up) - min(up) > longest:
        return None  # no delay one way can vary by more than the whole way there and back: the far clock was set meanwhile
    jitter = (_mean_step(down), _mean_step(up))
    error = own.error_seconds + max(answer.reply.error.seconds for answer in answers)
    if _carried(answers, own, error, down, up):
        return OneWay(*jitter, tuple(max(one, 0) / 1e9 for one in down), tuple(max(one, 0) / 1e9 for one in up), error)
    return OneWay(*jitter)


def _carried(answers: Sequence[Answer], own: ClockState, error: float, down: Sequence[int], up: Sequence[int]) -> bool:
    """Both ends say that their clocks are set, by how much they may be off, and the figures bear it out.

    An error of half the round trip or more says nothing that halving the round trip would not say as well.
    """
    told = own.synchronised and all(answer.reply.error.synchronised and answer.reply.error.multiplier for answer in answers)
    shortest = min(ahead + back for ahead, back in zip(down, up, strict=True))
    return told and error < shortest / 2e9 and min(*down, *up) >= -error * 1e9


def _mean_step(values: Sequence[int]) -> float:
    return sum(abs(later - earlier) for earlier, later in itertools.pairwise(values)) / (len(values) - 1) / 1e9


@dataclass(frozen=True, slots=True)
class Losses:
    """Of `sent` packets since the last one that was judged, up to the newest that was answered."""

    sent: int
    down: int
    up: int


def losses(train: Train, *, counts: bool | None) -> tuple[Losses | None, bool | None]:
    """Which way packets were lost, from a far end that numbers what it gets; and whether this one does, as far as is known.

    One that copies our numbers looks like one that has lost nothing on the way there. What is lost after the last answer
    is judged with the next train. Numbers that do not fit what came back, such as after its restart, begin anew.
    """
    answers, session = train.in_order(), train.session
    if not answers:
        return None, counts
    newest = answers[-1].sequence
    farthest = max(_unwrapped(answers))
    ahead, window, answered = newest - farthest, newest - session.judged, len(answers)
    down, lost = ahead - session.lost_ahead, window - answered
    if counts is None and any(answer.reply.sequence != answer.sequence % WRAP for answer in answers):
        counts = True
    known = counts is True or (counts is None and lost == 0)
    fits = 0 <= down <= lost and not train.doubled_ahead
    session.judged, session.lost_ahead = newest, ahead if fits else newest - list(_unwrapped(answers))[-1]
    return (Losses(window, down, lost - down) if known and fits else None), counts


def _unwrapped(answers: Sequence[Answer]) -> Iterator[int]:
    """The far end's numbers on the scale of ours: each as near to ours as it can be."""
    for answer in answers:
        behind = (answer.sequence - answer.reply.sequence + WRAP // 2) % WRAP - WRAP // 2
        yield answer.sequence - behind
