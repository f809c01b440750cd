"""The wallboard as data: what comes first, what is counted, what is folded away."""

import dataclasses

from netwatch.lang import catalog, writing
from netwatch.model import State
from netwatch.web.board import Reader, board_of
from tests.page_server import ask
from tests.province import WALL, calm_province, province

VI = Reader(words=catalog("vi"), zone=writing.VIETNAM)


def test_unowned_problems_come_before_owned_ones_and_only_urgent_ones_are_counted():
    board = board_of(province(), VI)
    assert [one.key for one in board.problems] == ["i1842", "i1841", "s-pu-nhi", "s-muong-luan", "i1838"]
    assert [one.key for one in board.quiet] == ["i1830"]
    assert (board.unhandled, board.icon) == (3, "crit")
    assert board.problems[-1].owner == "Tổ trưởng ca"
    assert "(3) netwatch" in ask("/")[2]


def test_many_sites_unknown_alike_are_one_row_and_not_forty_five():
    snapshot = calm_province()
    unknown = tuple(dataclasses.replace(one, state=State.UNKNOWN, up=None, since=None) for one in snapshot.sites)
    board = board_of(dataclasses.replace(snapshot, sites=unknown), VI)
    assert [(one.title, one.urgent) for one in board.problems] == [("đang đợi kết quả đầu tiên của 48 điểm", False)]
    blind = tuple(dataclasses.replace(one, since=WALL - 60) for one in unknown)
    board = board_of(dataclasses.replace(snapshot, sites=blind), VI)
    assert [(one.title, one.urgent) for one in board.problems] == [("48 điểm không rõ tình trạng", True)]


def test_a_site_without_a_cell_or_with_a_taken_or_foreign_one_is_shown_all_the_same():
    snapshot = calm_province()
    for tile in (None, (0, 0), (8, 0), (0, 10), (-1, 3)):
        moved = dataclasses.replace(snapshot.sites[0].site, tile=tile)
        sites = (*snapshot.sites[1:], dataclasses.replace(snapshot.sites[0], site=moved))
        board = board_of(dataclasses.replace(snapshot, sites=sites), VI)
        assert len(board.tiles) == 44
        assert [one.slug for one in board.homeless] == [moved.id]


def test_a_site_whose_only_trouble_waits_for_the_morning_is_not_as_loud_as_a_lossy_line():
    tiles = {one.slug: one for one in board_of(province(), VI).tiles}
    assert (tiles["thanh-an"].state, tiles["thanh-an"].mild) == ("warn", True)
    assert (tiles["muong-nhe"].state, tiles["muong-nhe"].mild) == ("warn", False)
    assert tiles["thanh-an"].fact == "máy in"


def test_all_well_is_said_and_the_icon_is_calm():
    board = board_of(calm_province(), VI)
    assert (board.unhandled, board.icon) == (0, "ok")
    assert "Không có sự cố nào." in ask("/", snapshot=calm_province())[2]
