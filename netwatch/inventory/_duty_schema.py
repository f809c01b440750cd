"""The shape of `duty:` in inventory.yaml; what refers to what is judged in `_roster`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from netwatch.inventory._shapes import Duration, Name, Slug, Strict, Text, one_or_many

__all__ = ["AreaEntry", "AwayEntry", "DutyEntry", "HolidayEntry", "PersonEntry", "RotationEntry", "ShiftEntry", "StepEntry"]

Names = Annotated[list[Slug], BeforeValidator(one_or_many, json_schema_input_type=list[Slug] | Slug), Field(min_length=1, max_length=50)]
Match = dict[Name, Text] | Text


class _Ranged(BaseModel):
    """`from` is no name that Python lets a field have."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class PersonEntry(Strict):
    name: Text
    phone: Annotated[str, StringConstraints(max_length=40)] = ""
    pagers: Annotated[list[Slug], Field(max_length=20)] = Field(default_factory=list)


class RotationEntry(Strict):
    order: Annotated[list[Slug], Field(min_length=1, max_length=100)]
    starts: Text
    handover: Text = "07:30"
    turn: Literal["week", "day"] = "week"


class ShiftEntry(_Ranged):
    days: Text = "daily"
    begins: Annotated[Text, Field(alias="from")]
    until: Text
    who: Names
    backup: Annotated[list[Slug], BeforeValidator(one_or_many, json_schema_input_type=list[Slug] | Slug)] = Field(default_factory=list)
    wakes: Literal["all", "critical"] = "all"
    extra: bool = False


class HolidayEntry(Strict):
    """A solar day `09-02` of every year, one day `2026-12-31`, or a lunar day `01-01` of every year."""

    date: Text | None = None
    lunar: Text | None = None
    before: Annotated[int, Field(ge=0, le=30)] = 0
    after: Annotated[int, Field(ge=0, le=30)] = 0


class AwayEntry(_Ranged):
    """A person is away, or with `swap` two change places; a day alone is all of that day."""

    person: Slug | None = None
    instead: Slug | None = None
    swap: Annotated[list[Slug], Field(min_length=2, max_length=2)] | None = None
    begins: Annotated[Text, Field(alias="from")]
    until: Text
    note: Text | None = None


class AreaEntry(Strict):
    match: Match
    tell: Names
    hours: Literal["always", "office"] = "always"
    alone: bool = False


class StepEntry(Strict):
    after: Duration
    to: Names


class OfficeEntry(_Ranged):
    days: Text = "mon,tue,wed,thu,fri"
    begins: Annotated[Text, Field(alias="from")]
    until: Text


class DutyEntry(Strict):
    people: dict[Slug, PersonEntry]
    rotations: dict[Slug, RotationEntry] = Field(default_factory=dict)
    shifts: dict[Slug, ShiftEntry]
    holidays: dict[Slug, HolidayEntry] = Field(default_factory=dict)
    exceptions: Annotated[list[AwayEntry], Field(max_length=1_000)] = Field(default_factory=list)
    office: OfficeEntry | None = None
    areas: Annotated[list[AreaEntry], Field(max_length=200)] = Field(default_factory=list)
    escalation: Annotated[list[StepEntry], Field(max_length=10)] = Field(default_factory=list)
    quiet: Annotated[list[Match], Field(max_length=100)] = Field(default_factory=list)
    queue: Literal["on-duty"] | None = None
    digest: Annotated[list[Slug], BeforeValidator(one_or_many, json_schema_input_type=list[Slug] | Slug)] = Field(default_factory=list)
