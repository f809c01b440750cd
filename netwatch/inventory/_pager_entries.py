"""`pagers:` of inventory.yaml: each entry is tried on the pager it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netwatch._complaint import closest
from netwatch._yaml_document import Document, Keys
from netwatch.inventory._collect import Collector, Where
from netwatch.inventory._schema import PagerEntry
from netwatch.model import PagerSettings, Secret

__all__ = ["pager_settings"]

_SECRET_KEYS = ("secret", "token", "password", "routing_key", "api_key")


def pager_settings(
    entries: Mapping[str, PagerEntry], document: Document, language: str, references: frozenset[Keys], collector: Collector
) -> dict[str, PagerSettings]:
    """What came from `${…}` or stands under the name of a secret becomes a Secret."""
    made = {}
    for name, entry in entries.items():
        path: Keys = ("pagers", name)
        options = {key: _sealed(value, (*path, key), references) for key, value in (entry.model_extra or {}).items()}
        settings = PagerSettings(name=name, kind=entry.pager, options=options, language=entry.language or language)
        accepted = _accepted(settings, (document, path), collector)
        if accepted is not None:
            made[name] = accepted
    for name, settings in made.items():
        fallback = settings.options.get("fallback")
        if isinstance(fallback, str) and fallback and (fallback == name or fallback not in entries):
            collector.unknown((document, ("pagers", name, "fallback")), "unknown_pager_name", fallback, entries.keys() - {name})
    return made


def _sealed(value: Any, path: Keys, references: frozenset[Keys]) -> Any:
    if isinstance(value, list):
        return [_sealed(inner, (*path, index), references) for index, inner in enumerate(value)]
    named = any(_is_named_secret(str(part)) for part in path[2:])
    return Secret(value) if isinstance(value, str) and (named or path in references) else value


def _is_named_secret(name: str) -> bool:
    return any(name == word or name.endswith(f"_{word}") for word in _SECRET_KEYS)


def _opened(value: Any) -> Any:
    if isinstance(value, list):
        return [_opened(inner) for inner in value]
    return value.reveal() if isinstance(value, Secret) else value


def _accepted(settings: PagerSettings, where: Where, collector: Collector) -> PagerSettings | None:
    from netwatch import pagers  # noqa: PLC0415  # brings aiohttp along: only for those who page

    document, path = where
    if settings.kind not in pagers.names():
        collector.unknown((document, (*path, "pager")), "unknown_pager", settings.kind, pagers.names())
        return None
    while True:
        try:
            pagers.build(settings)
        except pagers.PagerMisconfigured as wrong:
            first = wrong.key.split(".")[0]
            opened = _opened(settings.options.get(first))
            if opened != settings.options.get(first) and not _is_named_secret(first):
                # A plain text option (a label, say) may come from the environment too.
                settings = replace(settings, options={**settings.options, first: opened})
                continue
            _refuse(wrong.message, first, settings, pagers.get(settings.kind), where, collector)
            return None
        except (ImportError, TypeError) as error:
            collector.error((document, (*path, "pager")), "pager_option", reason=str(error))
            return None
        return settings


def _refuse(message: str, first: str, settings: PagerSettings, kind: type, where: Where, collector: Collector) -> None:
    document, path = where
    known = sorted(field for field in getattr(kind, "__dataclass_fields__", ()) if not field.startswith("_"))
    given = first in settings.options
    unknown = given and first not in known
    collector.error(
        (document, (*path, first) if given else path),
        "unknown_key" if unknown else "pager_option",
        at_key=unknown,
        hint=closest(first, known) if unknown else "",
        name="" if given else first,
        reason=message,
        known=", ".join(known),
    )
