"""Every word a person reads: `<language>/<area>.json`, flat `key: text with {fields}`; Vietnamese first, English second."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

__all__ = ["LANGUAGES", "Catalog", "catalog", "fold"]

LANGUAGES = ("vi", "en")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The texts of one language. A key is `<area>.<name>`."""

    language: str
    texts: Mapping[str, str]

    def text(self, key: str, **fields: object) -> str:
        """The text of a key with its fields filled in. Raises KeyError for an unknown key or a missing field."""
        return self.texts[key].format(**fields)

    def has(self, key: str) -> bool:
        return key in self.texts

    def with_texts(self, texts: Mapping[str, str]) -> Catalog:
        """The same with other words for some keys; for a key that is not here they are left out."""
        known = {key: text for key, text in texts.items() if key in self.texts}
        return Catalog(self.language, MappingProxyType({**self.texts, **known}))


@functools.cache
def catalog(language: str) -> Catalog:
    """Raises KeyError for a language there is none of."""
    if language not in LANGUAGES:
        raise KeyError(language)
    texts: dict[str, str] = {}
    for file in sorted((Path(__file__).parent / language).glob("*.json")):
        texts.update({f"{file.stem}.{name}": text for name, text in json.loads(file.read_text("utf-8")).items()})
    return Catalog(language, MappingProxyType(texts))


def fold(text: str) -> str:
    """Vietnamese without its marks, for SMS, search and file names: `Điện Biên` becomes `Dien Bien`."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
