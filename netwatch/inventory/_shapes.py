"""What values in inventory.yaml look like, whatever the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from netwatch.inventory import _units

__all__ = [
    "NAME",
    "ONE_LINE",
    "SLUG",
    "Audience",
    "Day",
    "Duration",
    "Language",
    "Name",
    "Note",
    "Rate",
    "Size",
    "Slug",
    "Strict",
    "Text",
    "Threshold",
    "one_or_many",
]

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
ONE_LINE = r"^[^\n\t]*$"
NAME = r"^[a-z0-9]+([_-][a-z0-9]+)*$"


def _unit(parse: Callable[[object], float], written: Any) -> BeforeValidator:
    """`written` is what stands in the file, for the JSON schema."""

    def validate(value: object) -> float:
        try:
            return parse(value)
        except _units.WrongUnit as wrong:
            raise PydanticCustomError("unit", "{key}", {"key": wrong.key, **wrong.fields}) from wrong

    return BeforeValidator(validate, json_schema_input_type=written)


Duration = Annotated[float, _unit(_units.duration, str)]
Rate = Annotated[float, _unit(_units.rate, str)]
Size = Annotated[float, _unit(_units.size, str)]
Threshold = Annotated[float, _unit(_units.threshold, float | str)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)]
Note = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Slug = Annotated[str, StringConstraints(max_length=63, pattern=SLUG)]
Name = Annotated[str, StringConstraints(max_length=63, pattern=NAME)]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Audience = Literal["page", "digest", "none"]
Language = Literal["vi", "en"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value
