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

_SECRET_KEYS = ("secret", "token", "password", "routing_key", "routing_keys", "api_key", "topic")
_NEVER_ALONE = frozenset({"telegram", "apprise"})


def pager_settings(
    entries: Mapping[str, PagerEntry], document: Document, language: str, references: frozenset[Keys], collector: Collector
) -> dict[str, PagerSettings]:
    """What came from `${…}` or stands under the name of a secret becomes a Secret."""
    made = {}
    for name, entry in entries.items():
        path: Keys = ("pagers", name)
        extra = entry.model_extra or {}
        for key, value in extra.items():
            _check_in_clear(value, (*path, key), document, references, collector)
        options = {key: _sealed(value, (*path, key), references) for key, value in extra.items()}
        settings = PagerSettings(name=name, kind=entry.pager, options=options, language=entry.language or language)
        accepted = _accepted(settings, (document, path), collector)
        if accepted is not None:
            made[name] = accepted
    for name, settings in made.items():
        _check_fallback(name, settings, entries, document, collector)
    _check_company({name: entry.pager for name, entry in entries.items()}, document, collector)
    return made


def _check_fallback(
    name: str, settings: PagerSettings, entries: Mapping[str, PagerEntry], document: Document, collector: Collector
) -> None:
    from netwatch import pagers  # noqa: PLC0415  # brings aiohttp along: only for those who page

    fallback, where = settings.options.get("fallback"), (document, ("pagers", name, "fallback"))
    if not isinstance(fallback, str) or not fallback:
        return
    if fallback == name or fallback not in entries:
        collector.unknown(where, "unknown_pager_name", fallback, entries.keys() - {name})
    elif entries[fallback].pager in pagers.names() and not issubclass(pagers.get(entries[fallback].pager), pagers.EventPager):
        collector.error(where, "fallback_of_states", word=fallback, kind=entries[fallback].pager)


def _check_company(kinds: Mapping[str, str], document: Document, collector: Collector) -> None:
    """Who must not be alone: what may be blocked, and what knows neither a refusal nor how long to wait."""
    if not set(kinds.values()) <= _NEVER_ALONE:
        return
    for name, kind in kinds.items():
        if kind == "telegram":
            collector.warn((document, ("pagers", name)), "telegram_alone", at_key=True)
        elif set(kinds.values()) == {kind}:
            collector.error((document, ("pagers", name)), "apprise_alone", at_key=True)


def _check_in_clear(value: Any, path: Keys, document: Document, references: frozenset[Keys], collector: Collector) -> None:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            _check_in_clear(inner, (*path, index), document, references, collector)
    elif isinstance(value, str) and _is_named_secret(str(path[2])) and path not in references:
        collector.warn((document, path), "secret_in_clear")


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
    try:
        wrong = pagers.faults(settings)
        plain = {fault.key.split(".")[0] for fault in wrong if not _is_named_secret(fault.key.split(".")[0])} & settings.options.keys()
        if plain:  # a plain text option (a label, say) may come from the environment too
            settings = replace(settings, options={**settings.options, **{key: _opened(settings.options[key]) for key in plain}})
            wrong = pagers.faults(settings)
    except (ImportError, TypeError) as error:
        collector.error((document, (*path, "pager")), "pager_option", reason=str(error))
        return None
    for key, message in {fault.key.split(".")[0]: fault.message for fault in reversed(wrong)}.items():
        _refuse(message, key, settings, pagers.get(settings.kind), where, collector)
    return None if wrong else settings


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
