"""What the API and `netwatch line quality` say of a site's lines."""

import csv
import io
import json

import pytest

from netwatch.history import HistoryFailed
from netwatch.web import quality
from tests.page_server import ask
from tests.test_cli_status import run


def found(query="", slug="dien-bien-phu"):
    status, _, body = ask(f"/api/v1/sites/{slug}/quality{query}")
    return status, json.loads(body)


def test_each_line_of_a_site_is_judged_over_five_minutes():
    status, document = found()
    assert (status, document["schema"], document["meeting"]) == (200, "netwatch/v1/quality", False)
    line = document["lines"][0]
    assert line["measured_by"] == "icmp"
    assert line["check"].startswith("dien-bien-phu/")
    assert line["sent"] - line["received"] == 1
    assert line["loss_ratio"] == pytest.approx(1 / line["sent"])
    assert line["rtt_seconds"]["p50"] == pytest.approx(0.0205, abs=0.001)
    assert line["rtt_seconds"]["p10"] <= line["rtt_seconds"]["p99"]
    assert line["voice_estimate"]["mos_method"] == "g107"
    assert 4 < line["voice_estimate"]["mos"] < 4.5
    assert line["video_hd"] == "ok"


def test_a_meeting_is_judged_more_strictly_and_the_shortcut_is_named():
    usual, strict = (found(f"?mos_method=shortcut&minutes=30{more}")[1]["lines"][0] for more in ("", "&meeting=1"))
    assert usual["voice_estimate"] == strict["voice_estimate"]
    assert usual["voice_estimate"]["mos_method"] == "shortcut"
    assert (usual["video_hd"], strict["video_hd"]) == ("ok", "warn")


def test_a_line_of_which_nothing_is_known_has_no_figures(monkeypatch):
    monkeypatch.setitem(quality.MEASURES, "icmp", ("nothing", "nothing", ""))
    line = found()[1]["lines"][0]
    assert (line["sent"], line["video_hd"], line.get("voice_estimate")) == (0, "unknown", None)


@pytest.mark.parametrize("query", ["?minutes=0", "?minutes=1441", "?minutes=x", "?mos_method=good"])
def test_nonsense_is_400(query):
    status, document = found(query)
    assert (status, document["error"]) == (400, "bad_query")


def test_an_unknown_site_is_404():
    assert found(slug="nowhere")[0] == 404


def test_the_command_says_voice_estimate_and_judges_video_apart(tmp_path):
    code, output, errors = run(str(tmp_path / "api.sock"), "line", "quality", "Điện Biên Phủ")
    assert (code, errors) == (0, "")
    heading, first, *_, note = output.splitlines()
    assert "Thoại (ước tính)" in heading
    assert "R 92, MOS 4,4" in first
    assert "không phải cho hình" in output[output.index(note) - 200 :]


def test_the_command_gives_json_and_csv(tmp_path):
    path = str(tmp_path / "api.sock")
    document = json.loads(run(path, "line", "quality", "dien-bien-phu", "-o", "json")[1])
    assert (document["schema"], document["site"]) == ("netwatch/v1/quality", "dien-bien-phu")
    (row, *_) = csv.DictReader(io.StringIO(run(path, "line", "quality", "dien-bien-phu", "-o", "csv")[1]))
    assert (row["line"], row["video_hd"]) == (document["records"][0]["line"], "ok")
    assert float(row["voice_estimate_mos"]) == pytest.approx(document["records"][0]["voice_estimate"]["mos"])


def test_a_wrong_method_and_a_history_that_fails_are_told(tmp_path):
    path = str(tmp_path / "api.sock")
    code, _, errors = run(path, "line", "quality", "dien-bien-phu", "--mos-method", "good")
    assert code == 64
    assert "g107, simple, shortcut" in errors

    def broken(daemon):
        async def samples(*asked):
            raise HistoryFailed("disk gone")

        daemon.samples = samples

    code, _, errors = run(path, "line", "quality", "dien-bien-phu", prepare=broken)
    assert code == 69
    assert "disk gone" in errors
