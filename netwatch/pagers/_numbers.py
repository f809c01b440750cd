"""Telephone numbers, as people write them and as machines want them."""

from __future__ import annotations

import re
from typing import Annotated

import pydantic

__all__ = ["Number", "digits", "national"]

# E.164: at most 15 digits. In Việt Nam the trunk prefix 0 stands for +84.
INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
VIETNAMESE = re.compile(r"0[1-9][0-9]{8,9}")


def _checked_number(value: object) -> str:
    if not isinstance(value, str):
        # YAML reads 0912345678 as a number and loses the zero.
        raise ValueError('must stand in quotation marks: "+84912345678" or "0912345678"')  # noqa: TRY004  # pydantic turns only ValueError into a complaint
    written = re.sub(r"[ .()-]", "", value)
    if VIETNAMESE.fullmatch(written):
        written = f"+84{written[1:]}"
    if not INTERNATIONAL.fullmatch(written) or (written.startswith("+84") and not VIETNAMESE.fullmatch(national(written))):
        raise ValueError('must be a telephone number such as "+84912345678" or "0912345678"')
    return written


Number = Annotated[str, pydantic.BeforeValidator(_checked_number)]  # always as +84912345678


def digits(number: str) -> str:
    """`84912345678`."""
    return number.removeprefix("+")


def national(number: str) -> str:
    """`0912345678`; a foreign number stays as it is."""
    return f"0{number[3:]}" if number.startswith("+84") else number
