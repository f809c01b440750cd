"""What came of a scenario, held against what it expects. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netwatch.lab.faults import ExpectedDigest, ExpectedPage, Scenario
from netwatch.model import Cause, Incident, Page

__all__ = ["Record", "Report", "Story", "Verdict", "judge"]

SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One page, when it was made and when its pager took it: later when the pager was dead, never when it stayed so."""

    at: float
    page: Page
    delivered_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One incident from its first word to its last, with the pages about it."""

    versions: tuple[tuple[float, Incident], ...]
    pages: tuple[tuple[float, Page], ...]

    @property
    def last(self) -> Incident:
        return self.versions[-1][1]

    @property
    def opened_at(self) -> float | None:
        """When somebody was first told."""
        return next((at for at, page in self.pages if page.kind == "open"), None)

    @property
    def recovered_at(self) -> float | None:
        told = [at for at, page in self.pages if page.kind == "recover"]
        return told[-1] if told and self.pages[-1][1].kind == "recover" else None

    @property
    def sites(self) -> tuple[str, ...]:
        """Those it named when it was at its largest."""
        return max((incident.sites for _, incident in reversed(self.versions)), key=len)

    @property
    def severity(self) -> str:
        return max((incident.severity for _, incident in self.versions), key=SEVERITIES.index)

    def named_at(self, cause: Cause) -> float | None:
        """From when on its cause is this one; None when it does not end so."""
        since = None
        for at, incident in self.versions:
            since = (at if since is None else since) if same_cause(cause, incident.cause) else None
        return since

    def count(self, kind: str) -> int:
        return sum(page.kind == kind for _, page in self.pages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An expectation, the incident that comes nearest to it, and what is wrong with that. None came near: nobody was told."""

    expected: ExpectedPage
    story: Story | None
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a simulation gave. Times are seconds from its start."""

    name: str
    records: tuple[Record, ...]
    stories: tuple[Story, ...]
    transitions: int
    runs: int
    verdicts: tuple[Verdict, ...] = ()
    unexpected: tuple[tuple[float, Page], ...] = ()
    not_in_digest: tuple[ExpectedDigest, ...] = ()
    too_many_pages: bool = False

    @property
    def pages(self) -> tuple[tuple[float, Page], ...]:
        return tuple((record.at, record.page) for record in self.records)

    @property
    def missing(self) -> tuple[ExpectedPage, ...]:
        """The expectations that nothing met."""
        return tuple(verdict.expected for verdict in self.verdicts if verdict.wrong)

    @property
    def as_expected(self) -> bool:
        return not (self.missing or self.unexpected or self.not_in_digest or self.too_many_pages)


def judge(scenario: Scenario, records: Sequence[Record], stories: Sequence[Story], transitions: int, runs: int) -> Report:
    """Each expectation is met by one incident of its own, in time; what is left over was not expected."""
    blank = Report(name=scenario.name, records=tuple(records), stories=tuple(stories), transitions=transitions, runs=runs)
    expect = scenario.expect
    if expect is None:
        return blank
    left = [story for story in stories if story.opened_at is not None]
    met: dict[int, Verdict] = {}
    for index, expected in enumerate(expect.pages):
        story = next((story for story in left if not tuple(complaints(expected, story))), None)
        if story is not None:
            left.remove(story)
            met[index] = Verdict(expected=expected, story=story)
    unexpected = tuple(entry for story in left for entry in story.pages if entry[1].kind == "open" and expect.none_else)
    for index, expected in enumerate(expect.pages):
        if index not in met:
            met[index] = _nearest(expected, left)
            if met[index].story is not None:
                left = [story for story in left if story is not met[index].story]
    told = sum(not record.page.about for record in records)
    return Report(
        name=scenario.name,
        records=blank.records,
        stories=blank.stories,
        transitions=transitions,
        runs=runs,
        verdicts=tuple(met[index] for index in range(len(expect.pages))),
        unexpected=unexpected,
        not_in_digest=tuple(one for one in expect.digest if not any(_waits(one, story) for story in stories)),
        too_many_pages=expect.most_pages is not None and told > expect.most_pages,
    )


def _nearest(expected: ExpectedPage, stories: Sequence[Story]) -> Verdict:
    """The incident with the fewest faults, of those that are about the same at about that time."""
    near = [story for story in stories if _about_the_same(expected, story)]
    if not near:
        return Verdict(expected=expected, story=None, wrong=("missed",))
    story = min(near, key=lambda story: len(tuple(complaints(expected, story))))
    return Verdict(expected=expected, story=story, wrong=tuple(complaints(expected, story)))


def _about_the_same(expected: ExpectedPage, story: Story) -> bool:
    earliest = expected.open_after_seconds if expected.since_seconds is None else expected.since_seconds
    begun_later = story.opened_at is not None and story.opened_at >= earliest
    shares = bool(expected.sites) and bool(set(expected.sites or ()) & set(story.sites))
    return begun_later and (shares or same_cause(expected.cause, story.last.cause))


def complaints(expected: ExpectedPage, story: Story) -> Iterator[str]:
    """What is not as expected, a word each."""
    named_at = story.named_at(expected.cause)
    if named_at is None:
        yield "cause"
    elif expected.named_before_seconds is not None and named_at > expected.named_before_seconds:
        yield "named_late"
    if expected.sites is not None and set(story.sites) != set(expected.sites):
        yield "sites"
    if expected.severity and story.severity != expected.severity:
        yield "severity"
    if not any(_tells(incident, expected) for _, incident in story.versions):
        yield "facts"
    yield from _untimely(expected, story)
    updates = story.count("update")
    if updates < expected.updates_at_least:
        yield "too_few_updates"
    if expected.updates_at_most is not None and updates > expected.updates_at_most:
        yield "too_many_updates"
    if story.count("open") > 1:
        yield "opened_again"


def _untimely(expected: ExpectedPage, story: Story) -> Iterator[str]:
    opened_at = float("inf") if story.opened_at is None else story.opened_at
    if opened_at > expected.open_before_seconds:
        yield "late"
    if opened_at < expected.open_after_seconds:
        yield "early"
    if expected.recover_before_seconds is None:
        return
    if story.recovered_at is None or story.recovered_at > expected.recover_before_seconds:
        yield "not_recovered"
    elif story.recovered_at < expected.recover_after_seconds:
        yield "recovered_early"


def _tells(incident: Incident, expected: ExpectedPage) -> bool:
    return all(incident.facts.get(name) == str(value) for name, value in expected.facts.items())


def _waits(expected: ExpectedDigest, story: Story) -> bool:
    """Whether this is the incident, and nobody was woken for it."""
    return (
        same_cause(expected.cause, story.last.cause)
        and set(story.sites) == set(expected.sites)
        and story.last.audience == "digest"
        and story.opened_at is None
    )


def same_cause(expected: Cause, found: Cause) -> bool:
    """A carrier is written with capitals by people and without by tags."""
    return expected.type == found.type and (not expected.name or expected.name.casefold() == found.name.casefold())
