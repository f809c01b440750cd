"""Full tests through the daemon: asked for, agreed to, recorded as what they are."""

import datetime as dt
import json
import time

import pytest

from netwatch import ledger, line
from netwatch import sheet as sheets
from netwatch.cli._line_list import record_row
from netwatch.lang import catalog
from netwatch.line import evidence_of
from netwatch.web.line import alone, page_of
from tests.capacity_peer import reflecting
from tests.test_daemon import wait_until
from tests.test_line_tests import ZONE, Lines, pages, place

__all__ = ["Lines", "pages", "place"]

AGREED = ("line", "test", "na-tau", "--direction", "down", "--full", "--yes")
MOST = "34 MB"  # eleven seconds at 1.25 times 20 Mbps


def test_a_full_test_is_asked_for_recorded_as_one_and_shown_with_its_figures(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.contract = "20 Mbps"
        place.write(test="directions: down")
        place.start()
        wait_until(lambda: len(place.records()) == 1)
        asked = place.ask(*AGREED, "-o", "json")
        assert asked.returncode == 0, asked.stderr
        assert MOST in asked.stderr
        (told,) = json.loads(asked.stdout)["tests"]
    newest = next(ledger.newest_first(ledger.path_in(place.state)))
    record = newest.record
    assert "tcp · full test" in record_row(newest, catalog("en"), ZONE)
    sheet = sheets.sheet_of(
        ledger.path_in(place.state), "na-tau", sheets.month_of(f"{dt.datetime.now(ZONE):%Y-%m}", ZONE), printed=time.time()
    )
    (part,) = page_of(sheet, catalog("en"), ZONE).parts
    assert ("TCP streams at once", "8") in part.decided[-1].full
    assert "TCP streams at once" in alone(sheet, catalog("en"), ZONE)
    assert (record["step"], record["method"], record["verdict"]) == ("full", "tcp", "proved")
    assert told["full"] == line.figures_of(record)
    assert told["full"]["efficiency_ratio"] > 0.5
    assert 0 <= told["full"]["baseline_rtt_seconds"] < told["full"]["loaded_rtt_seconds"] < 5
    assert told["full"]["streams"] == 8
    assert record["seconds"] > 7  # segments of 64 KB, as loopback has them, leave faster than their pace: then the bytes end it
    assert 20e6 < record["bytes"] < 35e6
    assert evidence_of(record).measurement.full
    assert line.judged_again(record).verdict == "proved"
    assert ledger.verify(ledger.path_in(place.state), public=ledger.key_in(ledger.path_in(place.state).parent)).sound


@pytest.mark.soak
def test_nobody_who_can_be_asked_means_no_full_test(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.contract = "20 Mbps"
        place.write(test="directions: down")
        place.start()
        wait_until(lambda: len(place.records()) == 1)
        asked = place.ask(*AGREED[:-1])
        assert (asked.returncode, len(place.records())) == (64, 1)
        assert MOST in asked.stderr


@pytest.mark.soak
def test_a_full_test_keeps_to_meetings_and_to_a_budget_that_somebody_wrote(place):
    meeting = 'meetings: [{name: hop, weekly: daily, from: "00:00", until: "00:00"}]'
    with reflecting(host="127.46.34.9") as place.far:
        place.contract = "20 Mbps"
        place.write(test="directions: down, budget: 15 MB")
        place.start()
        wait_until(lambda: len(place.records()) == 1)
        refused = place.ask(*AGREED)
        assert (refused.returncode, "in a day is spent" in refused.stdout) == (1, True)
        place.write(test="directions: down", more=meeting)
        assert place.ask("reload").returncode == 0
        refused = place.ask(*AGREED)
        assert (refused.returncode, "meeting is on" in refused.stdout) == (1, True)
    assert len(place.records()) == 1


def test_a_far_end_that_dials_in_is_not_tested_at_length(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.contract = "20 Mbps"
        place.write(text=None, test="directions: down")
        text = place.inventory.read_text().replace(f"host: 9, port: {place.far}", "dial_in_port: 47621")
        place.write(text=text)
        place.start()
        wait_until(lambda: place.ask("status").returncode != 69)
        refused = place.ask(*AGREED)
        assert (refused.returncode, "dials in" in refused.stderr) == (66, True)
