"""The shape of what inventory.yaml says of line tests, and of meetings, which no test may disturb."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from netwatch.inventory._shapes import Duration, Name, Rate, Size, Slug, Strict, Text

__all__ = ["LineTestEntry", "LineTestsEntry", "MeetingEntry", "Method"]

CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
Port = Annotated[int, Field(ge=1, le=65_535)]
Method: TypeAlias = Literal["udp", "tcp", "iperf3", "http", "router"]


class LineTestEntry(Strict):
    """How a line is tested: by what, against which far end, when, and what it may cost in a day. `_line_methods` says what goes together."""

    method: Method | None = None
    device: Slug | None = None
    host: Annotated[int, Field(ge=1, le=65_534)] | None = None
    address: Text | None = None
    port: Port | None = None
    dial_in_port: Port | None = None
    token: Text | None = None
    url: Text | None = None
    streams: Annotated[int, Field(ge=1, le=16)] | None = None
    user: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^:\x00-\x1f\x7f]*$")] | None = None
    password: Text | None = None
    fetch_port: Port | None = None
    verify: bool | None = None
    ca_file: Text | None = None
    every: Duration | None = None
    window: Annotated[str, StringConstraints(pattern=rf"^{CLOCK}-{CLOCK}$")] | None = None
    budget: Size | None = None
    burst: Size | None = None
    directions: Literal["both", "down", "up"] | None = None


class ControlEntry(Strict):
    """A reflector next to netwatch: what it carries our own end can do."""

    address: Text
    port: Port = 8621
    token: Text


class LineTestsEntry(Strict):
    head_room: dict[Name, Rate] = Field(default_factory=dict)
    control: ControlEntry | None = None
    stale_after: Duration = 7 * 86_400.0


class MeetingEntry(BaseModel):
    """Once, from a moment to a moment; or `weekly`, from a time to a time. Without `match` it is of every site."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    name: Text
    begins: Annotated[Text, Field(alias="from")]
    until: Text
    weekly: Text | None = None
    match: dict[Name, Text] | Text | None = None
    rate: Rate = 2e6
