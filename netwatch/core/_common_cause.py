"""What findings say that many sites may share: the cause, the reasons, who is told. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from netwatch.causes import PROVINCE, Group, Tag
from netwatch.core._world import World
from netwatch.correlate import Finding, place
from netwatch.model import Audience, Belief, Cause, Site, Subject

__all__ = ["Facts", "audience_of", "cause_of", "dark_site", "is_dark", "key_of", "shared_facts", "stands"]

MOST_NAMES = 12


class Facts(Mapping[str, str]):
    """Facts that are put together when somebody asks for them: most findings say what is known already, and nobody does."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Mapping[str, str]]) -> None:
        self._make = make
        self._made: Mapping[str, str] | None = None

    def _facts(self) -> Mapping[str, str]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, name: str) -> str:
        return self._facts()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts())

    def __len__(self) -> int:
        return len(self._facts())


def key_of(tag: Tag) -> str:
    return f"netwatch/{tag[0]}/{tag[1]}"


def cause_of(tag: Tag) -> Cause:
    if tag[0] == "carrier":
        return Cause("carrier", tag[1])
    if tag[0] == "feeder":
        return Cause("feeder", tag[1])
    return Cause("tag", "=".join(tag))


def shared_facts(world: World, group: Group, sites: tuple[str, ...]) -> dict[str, str]:
    """Reasons that need no language: how many of how many, and of which places."""
    tag = group.tag or PROVINCE
    places: list[Site] = [world.inventory.sites[site] for site in sites]
    facts = {
        "tag": tag[0],
        "place": tag[1],
        "place_name": _place_name(world, tag, sites),
        "failed": str(group.failed),
        "standing": str(group.standing),
        "outside": str(len(world.down) - sum(part in world.down for part in group.parts)),
        "names": ", ".join(place.name for place in places[:MOST_NAMES]),
    }
    carriers = {(line.carrier, line.hotline) for place in places for line in place.lines.values() if line.role == "primary"}
    if len(carriers) == 1:
        facts |= dict(zip(("carrier", "hotline"), carriers.pop(), strict=True))
    return {name: text for name, text in facts.items() if text}


def _place_name(world: World, tag: Tag, sites: tuple[str, ...]) -> str:
    """What people call it, where the inventory has a name for it: a ring by the commune it is named for, a carrier as written."""
    if tag[0] == "carrier":
        spelt = (
            line.carrier for site in sites for line in world.inventory.sites[site].lines.values() if line.tags.get("carrier") == tag[1]
        )
        return next(spelt, tag[1])
    name, sites_named = tag[1], world.inventory.sites
    held = max((slug for slug in sites_named if f"-{slug}-" in f"-{name}-"), key=len, default="")
    return name.replace(held, f" {sites_named[held].name} ").replace(" -", " ").replace("- ", " ").strip() if held else name


def audience_of(world: World, lines: Iterable[str]) -> Audience:
    return "page" if any(world.inventory.checks[line].audience == "page" for line in lines) else "digest"


def is_dark(world: World, site: str) -> bool:
    """Whether no line of a site answers."""
    lines = world.lines_of[site]
    return bool(lines) and all(line in world.down or world.memory(line).failed for line in lines)


def stands(world: World, line: str) -> bool:
    """Whether a line is known to work, and nothing says otherwise just now."""
    answers = world.memory(line).answers
    return answers.belief is Belief.OK and answers.candidate is None


def dark_site(
    world: World,
    site: str,
    lines: Sequence[str],
    members: tuple[Subject, ...],
    began_at: float,
    *,
    likely: str,
    more: Callable[[], Mapping[str, str]],
) -> Finding:
    """`likely` is power or line, where something tells; `more` is what else a page says of it."""
    hidden = world.hidden.get(site, 0)

    def facts() -> dict[str, str]:
        check = world.inventory.checks[lines[0]]
        answers = world.memories[check.id].answers
        told = {**place(world.inventory.sites[site], check), "code_word": answers.code, "detail": answers.detail}
        return told | ({"likely": likely} if likely else {}) | {**more()} | ({"hidden": str(hidden)} if hidden else {})

    return Finding(
        key=f"netwatch/{site}",
        cause=Cause("site", site),
        sites=(site,),
        severity="critical",
        audience=audience_of(world, lines),
        members=tuple(dict.fromkeys(members)),
        hidden=hidden,
        facts=Facts(facts),
        confidence=0.9 if likely else 0.8,
        symptom="power" if likely == "power" else "dark",
        began_at=began_at,
    )
