"""What is stored as text or bytes comes back the same; what we did not write is refused as Malformed."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.history import _codec as codec
from tests.history_cases import HUMANS, INCIDENTS, PAGES, TEXT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)


@given(INCIDENTS)
def test_an_incident_survives_text_with_every_field(found):
    text = codec.incident_text(found)
    text.encode("utf-8")
    assert codec.incident_from(text) == found


@given(PAGES)
def test_a_page_survives_text_with_every_field(found):
    assert codec.page_from(codec.page_text(found)) == found


@given(HUMANS)
def test_what_a_person_did_survives_text_with_every_field(found):
    text = codec.human_text(found)
    text.encode("utf-8")
    assert codec.human_from(text) == found


@given(JSON.map(json.dumps) | TEXT)
def test_a_foreign_document_is_malformed_and_nothing_worse(text):
    for read in (codec.page_from, codec.incident_from, codec.human_from):
        with pytest.raises(codec.Malformed):
            read(text)


@given(INCIDENTS, st.data(), JSON)
def test_a_document_with_one_field_spoilt_is_malformed_or_reads(found, data, junk):
    document = json.loads(codec.incident_text(found))
    document[data.draw(st.sampled_from(sorted(document)))] = junk
    with contextlib.suppress(codec.Malformed):
        codec.incident_from(json.dumps(document))


@given(st.lists(st.floats(width=32), max_size=6).map(tuple))
def test_values_survive_packing(values):
    back = codec.unpack(codec.pack(values))
    assert len(back) == len(values)
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(values, back, strict=True))


def test_bytes_that_are_no_float32_are_malformed():
    with pytest.raises(codec.Malformed):
        codec.unpack(b"abc")


@given(TEXT)
def test_storable_text_is_utf8_and_leaves_good_text_alone(text):
    codec.storable(text).encode("utf-8")
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert codec.storable(text) == text
