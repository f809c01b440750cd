"""What a silence or a maintenance is about: `site=na-tau`, `na-tau/printer1`, `site=na-*, role=printer`, `district="Mường Ảng"`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from netwatch.model import Incident, Site

__all__ = ["Matcher", "WrongMatcher", "cover", "of_terms", "parse", "target_of"]

KEY = r"([a-z0-9]+(?:[_-][a-z0-9]+)*)"
BARE = r"""(?!["'])[^\s,=]+"""
QUOTED = r"""\"[^"\r\n]+\"|'[^'\r\n]+'"""  # for what a blank, a comma or = would end
TERM = re.compile(rf"{KEY}=({BARE}|{QUOTED})")
PART = re.compile(rf"[^\s,=\"']+=(?:{QUOTED})(?=[\s,]|$)|[^\s,]+")
PLACE = re.compile(r"""[^\s,=/"']+(/[^\s,=/"']+)?""")
OF_TARGETS = frozenset({"target", "line", "device", "role", "carrier"})
LONGEST = 200


class WrongMatcher(ValueError):
    """Not a matcher. The message names the part that is wrong."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """All of its terms must hold. Values are shell patterns."""

    terms: tuple[tuple[str, str], ...]

    def covers(self, site: Site, target: str = "") -> bool:
        """Whether it is about a line or device of a site, or, with no target, about all of the site."""
        return all(_holds(key, pattern, site, target) for key, pattern in self.terms)

    def __str__(self) -> str:
        return ",".join(_written(key, pattern) for key, pattern in self.terms)


@lru_cache(maxsize=1_024)
def parse(text: str) -> Matcher:
    """Terms are parted by commas or blanks. `na-tau` is `site=na-tau`, `na-tau/ups` is `site=na-tau,target=ups`. Raises WrongMatcher."""
    parts = PART.findall(text[: LONGEST + 1])
    if not parts or len(text) > LONGEST:
        raise WrongMatcher(text[:LONGEST])
    terms: list[tuple[str, str]] = []
    for part in parts:
        term = TERM.fullmatch(part)
        if term is not None:
            terms.append((term[1], term[2] if re.fullmatch(BARE, term[2]) else term[2][1:-1]))
        elif len(parts) == 1 and PLACE.fullmatch(part):
            site, _, target = part.partition("/")
            terms += [("site", site), *([("target", target)] if target else [])]
        else:
            raise WrongMatcher(part)
    return Matcher(tuple(terms))


def of_terms(terms: Mapping[str, str]) -> Matcher:
    """As `parse`, of terms that are already apart. Raises WrongMatcher."""
    text = ",".join(_written(key, value) for key, value in terms.items())
    made = parse(text)
    if made.terms != tuple(terms.items()):  # a value with both kinds of quotes may pass for something else
        raise WrongMatcher(text)
    return made


def _written(key: str, value: str) -> str:
    """A term as `parse` reads it."""
    if re.fullmatch(BARE, value):
        return f"{key}={value}"
    return f"{key}='{value}'" if '"' in value else f'{key}="{value}"'


def cover(matchers: Sequence[Matcher], incident: Incident, sites: Mapping[str, Site]) -> bool:
    """Whether they cover, together, all that an incident is about. One about netwatch itself is never covered."""
    if not matchers or not incident.sites:
        return False
    target = target_of(incident)
    concerned = [sites[site] for site in (*incident.sites, *incident.degraded) if site in sites]
    return bool(concerned) and all(any(matcher.covers(site, target) for matcher in matchers) for site in concerned)


def target_of(incident: Incident) -> str:
    """The line or device that an incident is about; '' for a whole site or more."""
    if incident.cause.type not in {"line", "device", "check"}:
        return ""
    return incident.cause.name.split("/")[1] if "/" in incident.cause.name else ""


def _holds(key: str, pattern: str, site: Site, target: str) -> bool:
    if key == "site":
        return fnmatchcase(site.id, pattern)
    if key == "district":
        return fnmatchcase(site.district, pattern)
    if key in OF_TARGETS and target:
        return _holds_of_target(key, pattern, site, target)
    tag = site.tags.get(key)
    return tag is not None and fnmatchcase(tag, pattern)


def _holds_of_target(key: str, pattern: str, site: Site, target: str) -> bool:
    line, device = site.lines.get(target), site.devices.get(target)
    if key == "target" or (key == "line" and line is not None) or (key == "device" and device is not None):
        return fnmatchcase(target, pattern)
    if key == "role":
        role = line.role if line is not None else device.role if device is not None else ""
        return bool(role) and fnmatchcase(role, pattern)
    if key == "carrier":
        carrier = line.tags.get("carrier", "") if line is not None else site.tags.get("carrier", "")
        return fnmatchcase(carrier, pattern)
    return False
