"""What a line stands at against its contract: in words, on a site's page, in the API, in `netwatch status`."""

import dataclasses
from zoneinfo import ZoneInfo

import pytest

from netwatch.cli import _output, _report
from netwatch.core import World
from netwatch.lang import catalog
from netwatch.line import Past
from netwatch.model import Inventory, Line, Settings, Site
from netwatch.snapshot import LineView, SelfView, take
from netwatch.web import documents, place, standings
from netwatch.web.board import Reader

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NOW = 1_764_000_000.0  # 23:00 on 24 November
HOUR, DAY, MBPS = 3600.0, 86_400.0, 1e6
EN = Reader(words=catalog("en"), zone=ZONE, theme="")
LINE = Line(id="main", address="127.0.0.1", contract_down_bits_per_second=100 * MBPS, contract_up_bits_per_second=100 * MBPS)
SITE = Site(id="na-tau", name="Nà Tấu", full_name="Xã Nà Tấu", kind="commune", lines={"main": LINE})
PROVED = Past(wall=NOW - HOUR, verdict="proved", reason="measured", grade="reflector", value=104 * MBPS)
REFUTED = Past(wall=NOW - 2 * HOUR, verdict="refuted", reason="below", grade="reflector", value=78 * MBPS)


def views(down=(), up=(), line=LINE):
    world = World(inventory=Inventory(settings=Settings(), checks={}, sites={"na-tau": dataclasses.replace(SITE, lines={"main": line})}))
    world.lines.pasts = {("na-tau", "main", "down"): tuple(down), ("na-tau", "main", "up"): tuple(up)}
    return take(world, NOW, 1, SelfView())


def text(*pasts):
    (target,) = views(pasts).sites[0].targets
    return standings.standing_text(target.standings[0], NOW, EN.words, ZONE)


@pytest.mark.parametrize(
    ("pasts", "told"),
    [
        ((), "never tested"),
        ((PROVED,), "Proved · measured 104 Mbps · 22:00"),
        ((REFUTED,), "Refuted · measured 78 Mbps · 21:00"),
        (
            (REFUTED, dataclasses.replace(REFUTED, wall=NOW - HOUR / 2)),
            "Below contract, refuted more than once · measured 78 Mbps · 22:30",
        ),
        ((dataclasses.replace(PROVED, wall=NOW - 8 * DAY),), "no recent evidence; last: Proved · measured 104 Mbps · 2025-11-16 23:00"),
        (
            (dataclasses.replace(PROVED, verdict="inconclusive", reason="control"),),
            "Inconclusive · no control test nearby has passed · 22:00",
        ),
        (
            (dataclasses.replace(PROVED, reason="carried", grade="router_counters"),),
            "Proved · measured 104 Mbps · real traffic has reached the contract · 22:00",
        ),
    ],
)
def test_a_standing_tells_verdict_rate_reason_and_when(pasts, told):
    assert text(*pasts) == told


def test_the_page_links_each_standing_to_the_sheet_of_its_month():
    old = dataclasses.replace(PROVED, wall=NOW - 40 * DAY)
    snapshot = views([old], [PROVED])
    (row,) = place.place_of(snapshot, snapshot.sites[0], (), EN).targets
    assert [(one.mark, one.month) for one in row.standings] == [("unknown", "2025-10"), ("ok", "2025-11")]
    assert row.standings[1].title == "Contract up, 100 Mbps:"


def test_a_line_nobody_has_tested_is_told_once_and_one_without_a_contract_not_at_all():
    snapshot = views()
    (row,) = place.place_of(snapshot, snapshot.sites[0], (), EN).targets
    assert [(one.title, one.text, one.month) for one in row.standings] == [("Contract 100 Mbps:", "never tested", "")]
    snapshot = views(line=dataclasses.replace(LINE, contract_down_bits_per_second=0.0, contract_up_bits_per_second=0.0))
    (row,) = place.place_of(snapshot, snapshot.sites[0], (), EN).targets
    assert row.standings == ()


def test_the_api_tells_the_same_in_base_units():
    snapshot = views([PROVED])
    line = documents.site(snapshot, snapshot.sites[0], (), EN)["targets"][0]["line"]
    down, up = line["standings"]
    assert (down["verdict"], down["value_bits_per_second"], down["at"]) == ("proved", 104 * MBPS, "2025-11-24T22:00:00.000+07:00")
    assert (up["verdict"], up["reason"], up["value_bits_per_second"], up["at"]) == ("stale", "never", None, None)


def test_a_line_counts_by_the_worse_of_its_directions():
    twice = [REFUTED, dataclasses.replace(REFUTED, wall=NOW - HOUR / 2)]
    assert standings.counted(views([PROVED], twice).sites) == {
        "below_contract": 1, "refuted": 0, "inconclusive": 0, "stale": 0, "proved": 0, "below": ["na-tau/main"],
    }  # fmt: skip
    assert standings.counted(views([PROVED], [PROVED]).sites)["proved"] == 1
    assert standings.counted(views().sites) is None


def test_status_names_the_lines_below_their_contract(capsys):
    _output.configure("en", "never")
    twice = [REFUTED, dataclasses.replace(REFUTED, wall=NOW - HOUR / 2)]
    _report.print_province(documents.summary(views([PROVED], twice), EN), "table", every=False)
    assert "Lines against contract: 1 below contract (na-tau/main)" in capsys.readouterr().out
    _report.print_province(documents.summary(views(), EN), "table", every=False)
    assert "contract" not in capsys.readouterr().out


def test_the_worst_mark_is_a_warning_since_the_line_still_works():
    one = LineView(
        direction="down", contract_bits_per_second=1e8, verdict="refuted", reason="below", decided="refuted",
        value_bits_per_second=7e7, wall=NOW, proved_wall=None, below_contract=True,
    )  # fmt: skip
    assert standings.mark_of(one) == "warn"
