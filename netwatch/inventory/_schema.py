"""The shape of inventory.yaml as pydantic models: which keys there are and what each may hold.

Nothing here looks at two keys at once; what only makes sense together is judged in `_build`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from netwatch.inventory._duty_schema import DutyEntry
from netwatch.inventory._line_schema import LineTestEntry, LineTestsEntry, MeetingEntry
from netwatch.inventory._shapes import (
    NAME,
    ONE_LINE,
    SLUG,
    Audience,
    Day,
    Duration,
    Language,
    Name,
    Note,
    Rate,
    Slug,
    Strict,
    Text,
    Threshold,
    one_or_many,
)

__all__ = [
    "NAME",
    "ONE_LINE",
    "SLUG",
    "AnchorEntry",
    "CheckEntry",
    "ContactEntry",
    "DeviceEntry",
    "File",
    "HubEntry",
    "LineEntry",
    "MaintenanceEntry",
    "PagerEntry",
    "ProfileEntry",
    "RoleEntry",
    "RuleEntry",
    "SiteEntry",
    "TrapsEntry",
]


def _contract(value: object) -> object:
    return value if isinstance(value, dict) else {"down": value, "up": value}


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError) as error:
        raise PydanticCustomError("timezone", "unknown time zone") from error
    return value


def _listen(value: object) -> object:
    if isinstance(value, str) and not 0 < int(value.rpartition(":")[2] if value.rpartition(":")[2].isdecimal() else 0) < 65_536:
        raise PydanticCustomError("listen", "not address:port")
    return value


class Contract(Strict):
    down: Rate
    up: Rate


class Thresholds(Strict):
    warn: Threshold | None = None
    crit: Threshold | None = None
    clear: Threshold | None = None


class CheckEntry(Strict):
    """The keys every check has; all others are the probe's own."""

    probe: Name
    interval: Duration | None = None
    timeout: Duration | None = None
    retry: Duration | None = None
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    hard_after: Duration | None = None
    audience: Audience | None = None


class RuleEntry(Strict):
    check: Name
    metric: Name
    above: Thresholds | None = None
    below: Thresholds | None = None
    hold: Duration | None = None
    window: Duration | None = None
    instance: Text = "*"
    audience: Audience | None = None
    strict_in_meetings: bool = False


Loose = dict[Name, dict[str, Any] | None]  # checks and rules are laid over each other before they are judged


class LineEntry(Strict):
    profile: Name | None = None
    label: Text | None = None
    carrier: Text | None = None
    circuit: Text | None = None
    hotline: Text | None = None
    contract: Annotated[Contract | None, BeforeValidator(_contract, json_schema_input_type=Contract | str | None)] = None
    role: Literal["primary", "backup"] | None = None
    interface: Text | None = None
    metered: bool | None = None
    address: Text | None = None
    host: Annotated[int, Field(ge=1, le=65_534)] | None = None
    test: LineTestEntry | None = None
    tags: dict[Name, Text] = Field(default_factory=dict)
    checks: Loose = Field(default_factory=dict)
    rules: Loose = Field(default_factory=dict)


class DeviceEntry(Strict):
    profile: Name | None = None
    role: Name | None = None
    label: Text | None = None
    parent: Annotated[list[Slug] | None, BeforeValidator(one_or_many, json_schema_input_type=list[Slug] | Slug | None)] = None
    address: Text | None = None
    host: Annotated[int, Field(ge=1, le=65_534)] | None = None
    serial: Text | None = None
    warranty_until: Day | None = None
    snmp: dict[str, Any] = Field(default_factory=dict)
    checks: Loose = Field(default_factory=dict)
    rules: Loose = Field(default_factory=dict)


class RoleEntry(Strict):
    lines: dict[Slug, LineEntry] = Field(default_factory=dict)
    devices: dict[Slug, DeviceEntry] = Field(default_factory=dict)


class _Place(Strict):
    n: Annotated[int, Field(ge=1, le=65_535)]
    net: Text | None = None
    tags: dict[Name, Text] = Field(default_factory=dict)
    line: LineEntry = LineEntry()
    lines: dict[Slug, LineEntry | None] = Field(default_factory=dict)
    devices: dict[Slug, DeviceEntry | None] = Field(default_factory=dict)
    snmp: dict[str, Any] = Field(default_factory=dict)
    office: Text | None = None
    note: Note | None = None
    priority: Annotated[int, Field(ge=0, le=9)] = 0
    contact: Slug | None = None
    renamed_from: Slug | None = None
    page_after: Duration | None = None


class SiteEntry(_Place):
    """One of the 45 communes; names and coordinates come with the code."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{5}$")]
    role: Slug = "commune"
    name: Text | None = None


class HubEntry(_Place):
    """A place that is watched but is no commune."""

    name: Text
    full_name: Text | None = None
    role: Slug | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class ProfileEntry(Strict):
    """A profile in inventory.yaml: new, or laid over the one it is based on (of the same name, if there is one)."""

    base: Name | None = None
    role: Name | None = None
    label: Text | None = None
    audience: Audience | None = None
    checks: Loose = Field(default_factory=dict)
    rules: Loose = Field(default_factory=dict)


class ContactEntry(Strict):
    name: Text
    phone: Annotated[str, StringConstraints(min_length=3, max_length=40)] = ""


class AnchorEntry(Strict):
    """Something outside that answers as long as we ourselves have a way out: an address, or a target `site/line`."""

    name: Slug
    address: Text | None = None
    target: Text | None = None
    carrier: Text | None = None


class MaintenanceEntry(BaseModel):
    """Once, from a day to a day; or `weekly`, from a time to a time."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    match: dict[Name, Text] | Text
    begins: Annotated[Text, Field(alias="from")]
    until: Text
    weekly: Text | None = None
    note: Text | None = None


class PagerEntry(BaseModel):
    """The keys every pager has; all others are the pager's own."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    pager: Name
    language: Language | None = None


class Defaults(Strict):
    line: LineEntry = LineEntry()
    snmp: dict[str, Any] = Field(default_factory=dict)
    intervals: dict[Name, Duration] = Field(default_factory=dict)
    contact: Slug | None = None
    page_after: Duration | None = None


class Plan(Strict):
    site_net: Text
    hosts: dict[Slug, Annotated[int, Field(ge=1, le=65_534)]] = Field(default_factory=dict)


class DeliveryEntry(Strict):
    """How pages get out, whatever the pager."""

    takeover: Duration = 120.0
    pages_per_minute: Annotated[int, Field(ge=1, le=600)] = 30
    trial_at: Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|never)$")] = "08:00"
    blind_note: Duration = 300.0
    dead_man: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$")] | None = None


Listen = Annotated[
    str, BeforeValidator(_listen, json_schema_input_type=str), StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\s]+):[0-9]{1,5}$")
]


class TrapsEntry(Strict):
    """Where traps and informs of devices are listened for, and how many of one device are looked at."""

    listen: Listen = "0.0.0.0:162"
    per_minute: Annotated[int, Field(ge=1, le=600)] = 60


class File(Strict):
    version: Literal[1]
    language: Language = "vi"
    timezone: Annotated[
        Text, BeforeValidator(lambda value: _timezone(value) if isinstance(value, str) else value, json_schema_input_type=Text)
    ] = "Asia/Ho_Chi_Minh"
    listen: Listen = "127.0.0.1:9780"
    page_url: Annotated[str, StringConstraints(max_length=200, pattern=r"^https?://[^\s/?#@]+$")] | None = None
    power_hotline: Annotated[str, StringConstraints(max_length=30, pattern=r"^[0-9+() .-]*$")] = "19006769"
    digest_at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "07:00"
    defaults: Defaults = Defaults()
    plan: Plan
    anchors: Annotated[list[AnchorEntry], Field(max_length=20)] = Field(default_factory=list)
    maintenance: Annotated[list[MaintenanceEntry], Field(max_length=500)] = Field(default_factory=list)
    meetings: Annotated[list[MeetingEntry], Field(max_length=500)] = Field(default_factory=list)
    line_tests: LineTestsEntry = LineTestsEntry()
    contacts: dict[Slug, ContactEntry] = Field(default_factory=dict)
    pagers: dict[Slug, PagerEntry] = Field(default_factory=dict)
    delivery: DeliveryEntry = DeliveryEntry()
    traps: TrapsEntry | None = None
    duty: DutyEntry | None = None
    profiles: dict[Name, ProfileEntry] = Field(default_factory=dict)
    roles: dict[Slug, RoleEntry] = Field(default_factory=dict)
    sites: dict[Slug, SiteEntry] = Field(default_factory=dict)
    hubs: dict[Slug, HubEntry] = Field(default_factory=dict)
