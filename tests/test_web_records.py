"""The API of what has happened and of the inventory in force."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.history import HistoryFailed
from netwatch.web import records
from tests.page_server import ask
from tests.province import WALL


def found(query=""):
    status, _, body = ask(f"/api/v1/transitions{query}")
    return status, json.loads(body)


def test_transitions_are_newest_first_each_with_its_site():
    status, document = found(f"?since={WALL - 100_000}")
    assert (status, document["schema"], document["complete"]) == (200, "netwatch/v1/transitions", True)
    times = [one["wall"] for one in document["transitions"]]
    assert times == sorted(times, reverse=True)
    assert {(one["site"], one["site_name"]) for one in document["transitions"]} == {("na-tau", "Nà Tấu")}


def test_a_day_is_shown_when_nothing_is_said():
    assert len(found()[1]["transitions"]) == 1


def test_a_time_may_be_rfc_3339():
    assert len(found("?since=2026-11-23T01:00:00%2B07:00")[1]["transitions"]) == 3


def test_a_site_that_is_unknown_has_had_no_transitions():
    assert found("?site=nowhere&since=0")[1]["transitions"] == []


def test_more_than_the_limit_is_said():
    document = found("?since=0&limit=2")[1]
    assert (len(document["transitions"]), document["complete"]) == (2, False)
    assert found("?since=0&limit=3")[1]["complete"]
    assert len(found("?since=0&limit=1")[1]["transitions"]) == 1


def incidents(query):
    document = json.loads(ask(f"/api/v1/incidents{query}")[2])
    assert document["schema"] == "netwatch/v1/incidents"
    return [one["closed"] for one in document["incidents"]], document["complete"]


def test_incidents_that_ended_are_told_beside_those_that_are_open():
    still_open = len(incidents("")[0])
    assert incidents("") == ([None] * still_open, True)
    both, complete = incidents(f"?since={WALL - 100_000}")
    assert (both[:still_open], len(both), complete) == ([None] * still_open, 2 * still_open, True)
    assert incidents("?since=0&limit=1") == ([None], False)
    assert incidents("?since=0&site=nowhere") == ([], True)
    assert ask("/api/v1/incidents?since=x")[0] == 400


@pytest.mark.parametrize(
    "query", ["?since=x", "?since=nan", "?since=inf", "?since=2026-11-24T02:00", "?limit=0", "?limit=10001", "?limit=x"]
)
def test_nonsense_is_400(query):
    status, document = found(query)
    assert (status, document["error"]) == (400, "bad_query")


def test_what_the_inventory_comes_to_is_told_on_the_control_socket_only():
    assert ask("/api/v1/inventory")[0] == 404
    status, _, body = ask("/api/v1/inventory", control=True)
    assert (status, json.loads(body)) == (200, {"schema": "netwatch/v1/inventory", "entries": {}})


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text):
    try:
        records.moment(text, 0.0)
    except ValueError:
        return


def test_a_history_that_fails_is_503(monkeypatch):
    async def fails(*_arguments):
        raise HistoryFailed("disk I/O error")

    monkeypatch.setattr("tests.page_server.FakeDaemon.transitions", fails)
    status, document = found()
    assert (status, document["error"]) == (503, "history_failed")
