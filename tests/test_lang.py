"""Every word a person reads exists in every language, with the same blanks to fill."""

import re
import string
from pathlib import Path

import pytest

import netwatch
from netwatch.lang import LANGUAGES, catalog

PACKAGE = Path(netwatch.__file__).parent
LITERAL_KEY = re.compile(r"""\b(?:t|text|words\.text)\(\s*["']([a-z]+\.[a-z0-9_-]+)["']""")


def fields(text):
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})


def test_both_languages_have_the_same_keys():
    keys = {language: set(catalog(language).texts) for language in LANGUAGES}
    assert keys["vi"] ^ keys["en"] == set()


@pytest.mark.parametrize("key", sorted(catalog("vi").texts))
def test_a_text_has_the_same_fields_in_both_languages_and_is_not_empty(key):
    vietnamese, english = (catalog(language).texts[key] for language in ("vi", "en"))
    assert fields(vietnamese) == fields(english)
    assert vietnamese.strip()
    assert english.strip()


def test_every_key_that_the_program_names_exists():
    named = {
        key: file.name
        for pattern in ("**/*.py", "web/templates/*.html")
        for file in PACKAGE.glob(pattern)
        for key in LITERAL_KEY.findall(file.read_text("utf-8"))
    }
    assert len(named) > 50
    assert {key: file for key, file in named.items() if not catalog("vi").has(key)} == {}


def test_an_unknown_language_is_a_fault():
    with pytest.raises(KeyError):
        catalog("fr")
