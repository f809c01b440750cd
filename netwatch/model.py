"""The nouns: frozen, no I/O, no clock.

`at` is monotonic seconds (intervals), `wall` is seconds since 1970 UTC (people, files, the wire).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from netwatch._duties import Roster
from probes import BEAT_SECONDS, Metric, Probe, Sample, Secret

__all__ = [
    "BEAT_SECONDS",
    "ISOLATED",
    "STOPPED",
    "Acknowledgement",
    "Anchor",
    "Audience",
    "Belief",
    "Cancel",
    "Cause",
    "Check",
    "Contact",
    "Device",
    "Effects",
    "Event",
    "Forgotten",
    "Hint",
    "Hop",
    "Human",
    "Incident",
    "Inventory",
    "Line",
    "LineTest",
    "LineTests",
    "LineVerdict",
    "Maintenance",
    "Meeting",
    "Metric",
    "Outcome",
    "Page",
    "PageText",
    "PagerSettings",
    "PagerTried",
    "Readied",
    "Reloaded",
    "Request",
    "Result",
    "Rule",
    "Run",
    "RunReason",
    "Sample",
    "Secret",
    "Settings",
    "Severity",
    "Site",
    "State",
    "Subject",
    "Tick",
    "Traced",
    "Transition",
]

STOPPED = "stopped"  # the code of a run that we ended

Audience: TypeAlias = Literal["page", "digest", "none"]  # page wakes somebody; digest waits for the morning; none is only shown
Severity: TypeAlias = Literal["critical", "warning", "info"]
RunReason: TypeAlias = Literal["schedule", "soft", "parent", "quality", "hint", "human", "evidence", "meeting"]


class Outcome(StrEnum):
    """How a run ended. FAILED is the device's fault; ERROR is ours and is never DOWN (ADR 0003)."""

    OK = "ok"
    FAILED = "failed"
    ERROR = "error"


class Belief(StrEnum):
    """What is believed of a subject; stored."""

    OK = "ok"
    WARN = "warn"
    CRIT = "crit"
    UNKNOWN = "unknown"


class State(StrEnum):
    """What is shown: a belief plus overlays; never stored."""

    OK = "ok"
    WARN = "warn"
    CRIT = "crit"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    MAINTENANCE = "maintenance"


# --- what is watched: built by inventory.py, the same until the next reload


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A threshold on a metric, judged in state.py.

    `above`: bad when value >= threshold; `below`: bad when value <= threshold. Back to ok only past `clear`
    (the milder threshold when not given). `instance` is a shell pattern; each instance is a subject of its own.
    With `window_seconds` it is the mean over that time that is judged; `hold_seconds` is how long it must stay bad.
    `strict_in_meetings`: while a meeting is on, whatever is past `clear` is a warning already.
    """

    name: str
    metric: str
    compare: Literal["above", "below"] = "above"
    warn: float | None = None
    crit: float | None = None
    clear: float | None = None
    instance: str = "*"
    hold_seconds: float = 0.0
    window_seconds: float = 0.0
    audience: Audience = "page"
    strict_in_meetings: bool = field(default=False, repr=False)  # how it is judged, not what is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One probe aimed at one device or line; the unit that is scheduled. `id` is `site/target/name`.

    Hard once `attempts` runs in a row failed and `hard_after_seconds` have passed since the first of them began.
    `parents` are redundancy groups of check ids: it is hidden when every check of any one group has failed.
    `fingerprint` changes with anything that alters what is measured: equal means belief and timers survive a reload.
    """

    id: str
    site: str
    target: str
    name: str
    kind: str  # the probe type
    probe: Probe
    address: str
    source: str | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    interval_seconds: float
    timeout_seconds: float
    retry_seconds: float
    attempts: int = 3
    hard_after_seconds: float = 0.0
    rules: tuple[Rule, ...] = ()
    parents: tuple[tuple[str, ...], ...] = ()
    audience: Audience = "page"
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTest:
    """When a line may be tested, and what that may cost in a day. Its checks are `capacity-down` and `capacity-up` of the line."""

    budget_bytes: float
    budget_stated: bool = False  # else it is what the daily tests may take, and binds nobody who asks for more
    from_minute: int = 0  # of the local day
    minutes: int = 1_440


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way out of a site. The contract is IP-layer bits per second, IP header included."""

    id: str
    address: str
    label: str = ""
    carrier: str = ""
    circuit: str = ""
    hotline: str = ""
    contract_down_bits_per_second: float = 0.0
    contract_up_bits_per_second: float = 0.0
    role: Literal["primary", "backup"] = "primary"
    interface: str = ""
    metered: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)  # what it shares with other lines: ring, carrier …
    test: LineTest | None = None  # None: it is not tested

    def contract_bits_per_second(self, direction: Literal["down", "up"]) -> float:
        """0 where there is none."""
        return self.contract_down_bits_per_second if direction == "down" else self.contract_up_bits_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    id: str
    address: str
    profile: str
    role: str  # router, switch, wifi-ap, printer, ups …: what it is to people
    label: str = ""
    parents: tuple[tuple[str, ...], ...] = ()  # groups of ids of this site's devices and lines
    serial: str = ""  # as bought; empty: whatever it says of itself
    warranty_until: str = ""  # YYYY-MM-DD, or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    id: str
    name: str
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place: one of the 45 communes, or a hub (province head-end, Pexip, the leg to Hà Nội)."""

    id: str
    kind: Literal["commune", "hub"] = "commune"
    name: str
    full_name: str = ""
    code: str = ""
    district: str = ""
    office: str = ""
    latitude: float | None = None
    longitude: float | None = None
    tile: tuple[int, int] | None = None  # column, row of the cartogram
    tags: Mapping[str, str] = field(default_factory=dict)  # ring, carrier, feeder, district …
    priority: int = 0
    note: str = ""
    contact: Contact | None = None
    lines: Mapping[str, Line] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    renamed_from: str = ""  # the id it had before: whoever keeps history carries it over
    page_after_seconds: float = 0.0  # how long it must be dark before anybody is woken


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What is asked to know whether we ourselves can see: something outside, by way of one carrier."""

    id: str
    check: str  # its check's id
    carrier: str = ""
    own: bool = False  # watched as an anchor only, not as a target of a site


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """Planned work, written in the inventory: once, or every week by local time. See windows.py."""

    id: str
    matcher: str  # see matcher.py
    note: str = ""
    starts: float | None = None  # wall; once
    ends: float | None = None
    weekdays: tuple[int, ...] = ()  # Monday is 0; every week
    from_minute: int = 0  # of the local day
    minutes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting(Maintenance):
    """A video meeting, of the sites of its `matcher`; of every commune where that is empty. The `id` is its name."""

    rate_bits_per_second: float = 2e6  # of one caller, each way


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTests:
    """What all line tests share. `head_room` is in bits per second, of each value of a tag, or of the `uplink`."""

    head_room: Mapping[str, float] = field(default_factory=dict)
    stale_after_seconds: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerSettings:
    """One entry of `pagers:`; `options` are the fields of the pager's class in `netwatch/pagers/<kind>.py`."""

    name: str
    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    language: str = "vi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    listen: str = "127.0.0.1"
    port: int = 9780
    language: str = "vi"
    timezone: str = "Asia/Ho_Chi_Minh"
    page_url: str = "http://127.0.0.1:9780"
    digest_minute: int = 7 * 60  # of the local day, when what can wait is told
    trial_minute: int | None = 8 * 60  # of the local day, when each pager is tried
    takeover_seconds: float = 120.0  # not taken for so long, a page goes to the fall-back pager too
    pages_per_minute: float = 30.0  # over all pagers that people read; what is more is told together
    blind_note_seconds: float = 300.0  # not having watched for longer is worth a note
    dead_man_url: Secret | None = None  # asked for every minute as long as all is well here
    trap_listen: str = ""  # an address to hear SNMP traps at; empty: nobody listens
    trap_port: int = 162
    traps_per_minute: int = 60  # of one device; what is more is only counted
    power_hotline: str = "19006769"  # of the Northern Power Corporation, cskh.npc.com.vn; empty to name none
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by language: words of pages instead of the shipped ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything inventory.yaml says, with every default filled in."""

    sites: Mapping[str, Site]
    checks: Mapping[str, Check]
    pagers: Mapping[str, PagerSettings] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    demo_plan: bool = False  # site_net is still the shipped 127.45.{n}.0/24
    warnings: tuple[str, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    meetings: tuple[Meeting, ...] = ()
    line_tests: LineTests = field(default_factory=LineTests)
    duty: Roster | None = None  # without one, every pager is told of everything

    def primary_check(self, site: str, target: str) -> str | None:
        """The id of the check that says whether a device or line answers at all: its icmp, or else its first."""
        return self.primary_checks.get((site, target))

    primary_checks: Mapping[tuple[str, str], str] = field(default_factory=dict)


# --- what happens: every event enters core.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of a check. `at` and `wall` are when it began; `generation` is the inventory it was run for."""

    check: str
    at: float
    wall: float
    duration_seconds: float
    outcome: Outcome
    code: str = ""
    detail: str = ""
    samples: tuple[Sample, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0
    reason: RunReason = "schedule"
    in_meeting: bool = False  # a meeting was on at its site
    under_test: bool = False  # its site's lines were being tested: what it says of delay and loss is not judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed: grouping waits, repeats, ends of silences, staleness."""

    at: float
    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """What a person asked for, through the CLI, the page or a pager's button.

    `check_now` names a check; `acknowledge`, `unacknowledge` and `note` an incident; `silence` and `maintenance` say with a
    matcher what, and until when; `end` takes back the silence or maintenance with the number `window`.
    """

    at: float
    wall: float
    action: Literal["check_now", "acknowledge", "unacknowledge", "silence", "maintenance", "end", "note"]
    who: str
    check: str = ""
    incident: int = 0
    matcher: str = ""
    note: str = ""
    starts: float | None = None  # wall; None is now
    until: float | None = None  # wall; of an acknowledgement, when it is expected to be mended
    window: int = 0
    via: str = ""  # cli, page, link, telegram …


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Somebody says a check may have changed (a trap): only ever a reason to look."""

    at: float
    wall: float
    check: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """The inventory was read again: `new` is in force from here on, or None when it was refused for `errors`.

    `pagers` are those there are from now on; None when they are as they were.
    """

    at: float
    wall: float
    generation: int
    new: Inventory | None
    errors: tuple[str, ...] = ()
    pagers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The history was damaged and has been set aside: everything must be learned anew."""

    at: float
    wall: float
    detail: str = ""  # where the damaged file lies


@dataclass(frozen=True, slots=True)
class Hop:
    """Who answered at some distance on the way to an address; one round trip an echo."""

    address: str
    rtt_seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """The way to an incident's failing line has been looked at: who answered at distance 1, 2 …, None for nobody."""

    at: float
    wall: float
    incident: int
    address: str
    hops: tuple[Hop | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerTried:
    """A pager took its daily trial, or did not: then `error` says why, without a secret."""

    at: float
    wall: float
    pager: str
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readied:
    """It was looked at who is ready for a meeting, an hour or a quarter of one before it, or how it was, after it.

    `key` names the meeting and its day. `facts` are what the message tells, see wording/_meeting.py; `sites` those that were not well.
    """

    at: float
    wall: float
    key: str
    step: Literal["before", "shortly", "after"]
    severity: Severity
    sites: tuple[str, ...]
    facts: Mapping[str, str]


Event: TypeAlias = Result | Tick | Human | Hint | Reloaded | Forgotten | Traced | PagerTried | Readied


# --- what follows: all that core.step returns


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What is believed in: a check ("does it answer at all"), or one rule on one instance of it."""

    check: str
    rule: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of belief. `since` is the wall time of the first result that spoke for the new belief."""

    subject: Subject
    old: Belief
    new: Belief
    hard: bool
    wall: float
    since: float
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """`tag` is named `key=value`; `feeder` and `carrier` are tags that people have words of their own for."""

    type: Literal["site", "line", "device", "check", "tag", "feeder", "carrier", "uplink", "netwatch"]
    name: str


ISOLATED = Cause("uplink", "isolated")  # it is we who are cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    who: str
    wall: float
    note: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One cause, many transitions, one thread of pages. `key` stays for good; `id` counts up.

    `facts` are the words a page needs (site_name, office, phone, address, carrier, circuit, detail …), frozen here
    so that a page can still be written after a restart or a reload.
    """

    id: int
    key: str
    cause: Cause
    sites: tuple[str, ...]
    severity: Severity
    audience: Audience = "page"
    opened: float
    updated: float
    closed: float | None = None
    close_reason: Literal["", "recovered", "removed", "merged"] = ""
    members: tuple[Subject, ...] = ()
    hidden: int = 0  # targets that cannot be reached behind the cause
    facts: Mapping[str, str] = field(default_factory=dict)
    sequence: int = 0  # of the last page
    acknowledgement: Acknowledgement | None = None
    confidence: float = 1.0  # that this is the cause; 0 to 1
    announced: bool = False  # whoever is to be told has been told, or would have been if there were a pager
    told: tuple[str, ...] = ()  # the pagers that were; they are told of the end too
    degraded: tuple[str, ...] = ()  # sites that lost a line by it but are served by another
    relapses: int = 0  # how often it came back soon after it was over
    flapping: bool = False
    repeats: int = 0
    reminds: bool = False  # the last page only says again what nobody has acknowledged
    next_repeat: float | None = None  # wall; when it is said again, unless somebody acknowledges


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One notification to one pager. `id` is the same on every retry: the receiver's key against duplicates."""

    incident: Incident
    kind: Literal["open", "update", "recover"]
    wall: float
    pager: str
    about: tuple[Incident, ...] = ()  # of a digest: what it tells of

    @property
    def id(self) -> str:
        return f"{self.incident.key}#{self.incident.id}.{self.incident.sequence}@{self.pager}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """A page in words. `title` is at most 60 characters; `sms` is folded to ASCII, one segment."""

    title: str
    body: str
    sms: str
    url: str = ""  # where to read on
    acknowledge_url: str = ""  # a signed link that shows a form; opening it changes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The one arrow back (ADR 0006): run this check, not before `not_before` (monotonic), and why."""

    check: str
    not_before: float
    reason: RunReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    check: str
    reason: str


Request: TypeAlias = Run | Cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class LineVerdict:
    """What was found of one direction of a line. `record` is what the evidence ledger keeps of it; rates are of the IP layer."""

    site: str
    line: str
    direction: Literal["down", "up"]
    verdict: Literal["proved", "refuted", "inconclusive", "stale"]
    wall: float
    bytes: int
    check: str = ""
    record: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """All that follows from one event; committed in one transaction before anything is sent (ADR 0004)."""

    transitions: tuple[Transition, ...] = ()
    incidents: tuple[Incident, ...] = ()  # as they are now: opened, grown, closed
    pages: tuple[Page, ...] = ()
    requests: tuple[Request, ...] = ()
    humans: tuple[Human, ...] = ()  # what people did, for the audit trail
    verdicts: tuple[LineVerdict, ...] = ()  # in the evidence ledger before any page

    def __bool__(self) -> bool:
        """Whether anything must be stored."""
        return bool(self.transitions or self.incidents or self.pages or self.humans or self.verdicts)
