"""The 45 commune-level units of Điện Biên since 1 July 2025 (Resolution 1661/NQ-UBTVQH15; codes: Decision 19/2025/QĐ-TTg).

Coordinates are points inside each commune's area, not of its office; `tile` is its place on an 8 × 10 cartogram.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from netwatch.lang import fold

__all__ = ["Commune", "communes", "slug"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commune:
    code: str
    name: str
    full_name: str
    slug: str
    district: str  # as it was before 1 July 2025; people still speak of it
    office: str
    latitude: float
    longitude: float
    tile: tuple[int, int]  # column, row


@functools.cache
def communes() -> Mapping[str, Commune]:
    """All 45, by code."""
    with (Path(__file__).parent / "data" / "communes.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = {
        row["code"]: Commune(
            code=row["code"],
            name=row["name"],
            full_name=row["full_name"],
            slug=row["slug"],
            district=row["old_district"],
            office=row["office"],
            latitude=float(row["lat"]),
            longitude=float(row["lon"]),
            tile=(int(row["tile_col"]), int(row["tile_row"])),
        )
        for row in rows
    }
    return MappingProxyType(found)


def slug(text: str) -> str:
    """`Nà Tấu` as `na-tau`: what an id may look like."""
    return re.sub(r"[^a-z0-9]+", "-", fold(text).lower()).strip("-")[:63].strip("-")
