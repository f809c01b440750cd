import dataclasses
import json
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import lang
from netwatch.model import Acknowledgement, Cause, Incident
from netwatch.wording import LONGEST_SMS, LONGEST_TITLE, describe

OPENED = 1_795_463_220.0  # 02:47 in Vietnam, 19:47 UTC the day before
FACTS = {
    "site_name": "Nà Tấu",
    "site_full_name": "Xã Nà Tấu",
    "code": "03316",
    "office": "UBND xã Nà Tấu",
    "address": "10.45.24.254",
    "contact": "Trực ca A",
    "phone": "09xx xxx xxx",
    "carrier": "vnpt",
    "circuit": "NT-100M-024",
    "hotline": "0215 800 126",
    "code_word": "timeout",
}
CAUSES = ("site", "line", "device", "check", "tag", "feeder", "carrier", "uplink", "netwatch")
FACT_NAMES = (
    *FACTS,
    *("district", "target_label", "target_role", "line_label", "detail", "metric", "instance", "value", "threshold", "neighbours"),
    *("path", "path_to", "path_end", "path_hops"),
)


def incident(cause="site", name="na-tau", facts=FACTS, **changes):
    made = Incident(
        id=1842,
        key=f"netwatch/{name}",
        cause=Cause(cause, name),
        sites=("na-tau",),
        severity="critical",
        opened=OPENED,
        updated=OPENED,
        facts=facts,
    )
    return dataclasses.replace(made, **changes)


def page(made, kind="open", language="vi", **options):
    return describe(made, kind, language, wall=OPENED + 120, page_url="https://nw/", **options)


def closed(made, reason="recovered"):
    return dataclasses.replace(made, closed=OPENED + 38 * 60, close_reason=reason)


@pytest.mark.parametrize("cause", ["check", "device", "line"])
@pytest.mark.parametrize("language", lang.LANGUAGES)
def test_every_reason_we_have_words_for_can_be_put_into_a_page(cause, language):
    codes = [key.removeprefix("state.code_") for key in lang.catalog(language).texts if key.startswith("state.code_")]
    for code in codes:
        assert page(
            incident(cause, "na-tau/kiosk/web", facts={**FACTS, "code_word": code, "detail": "status 503"}), language=language
        ).title
    wrong = incident("check", "na-tau/kiosk/web", facts={**FACTS, "code_word": "status", "detail": "status 503", "target_role": "kiosk"})
    assert "status 503" in page(wrong, language=language).title


def test_a_certificate_that_has_ended_is_told_in_days():
    facts = {**FACTS, "rule": "certificate", "metric": "tls_left_seconds", "value": "-864000.0", "threshold": "1209600.0"}
    assert "chứng thư còn -10 ngày (ngưỡng 14 ngày)" in page(incident("check", "na-tau/pc/tls", facts=facts)).body


def test_a_dark_site_says_where_what_since_when_and_whom_to_ring():
    text = page(incident(hidden=9))
    assert text.title == "🔴 Nà Tấu mất kết nối (cả điểm) từ 02:47"
    for told in (
        "Từ 02:47 (2 phút) · Nghiêm trọng · #1842",
        "UBND xã và Trung tâm Phục vụ hành chính công không có mạng; 9 thiết bị không tới được.",
        "10.45.24.254 không trả lời",
        "Chưa rõ nguyên nhân.",
        "Trực ca A 09xx xxx xxx · kênh NT-100M-024 · VNPT 0215 800 126",
        "Trụ sở: UBND xã Nà Tấu",
        "Xem: https://nw/sites/na-tau",
    ):
        assert told in text.body
    assert text.url == "https://nw/sites/na-tau"
    assert text.sms == "Na Tau mat ket noi (ca diem) tu 02:47 #1842. Truc ca A 09xx xxx xxx. kenh NT-100M-024. VNPT 0215 800 126"


def test_a_cause_is_only_guessed_with_its_reason():
    text = page(incident(facts={**FACTS, "neighbours": "Mường Phăng, Búng Lao"}))
    assert "các điểm cùng tuyến Mường Phăng, Búng Lao bình thường" in text.body
    assert "Có thể do: mất điện" in text.body
    assert "vì chỉ một điểm mất" in text.body


@pytest.mark.parametrize(
    ("facts", "vietnamese", "english"),
    [
        (
            {"path_end": "10.9.9.9", "path_hops": "3"},
            "Đường đi tới 10.45.24.254: trả lời cuối cùng từ 10.9.9.9 (chặng 3).",
            "Path to 10.45.24.254: last answer from 10.9.9.9 (hop 3).",
        ),
        (
            {"path_end": "10.45.24.254", "path_hops": "4"},
            "Đường đi tới 10.45.24.254: đã thông trở lại (chặng 4).",
            "Path to 10.45.24.254: answers again (hop 4).",
        ),
        ({}, "Đường đi tới 10.45.24.254: không chặng nào trả lời.", "Path to 10.45.24.254: nobody on the way answered."),
    ],
)
@pytest.mark.parametrize("cause", ["site", "line", "tag", "carrier", "feeder", "uplink"])
def test_a_path_that_was_traced_is_told_while_it_matters(cause, facts, vietnamese, english):
    made = incident(cause, facts={**FACTS, "path": "1 *", "path_to": "10.45.24.254", **facts})
    assert vietnamese in page(made, "update").body.splitlines()
    assert english in page(made, "update", "en").body.splitlines()
    assert "10.9.9.9" not in page(closed(made), "recover").body
    assert not any("Đường đi" in text for text in (page(incident(cause)).body, page(made).sms))


def test_an_office_that_says_what_it_is_is_not_announced_twice():
    assert page(incident(facts={**FACTS, "office": "Trụ sở: UBND xã Pom Lót cũ"})).body.count("Trụ sở") == 1


def test_a_ward_and_a_hub_are_not_called_communes():
    assert "UBND phường" in page(incident(facts={**FACTS, "site_full_name": "Phường Mường Lay"})).body
    hub = page(incident(facts={"site_name": "Đầu mối tỉnh"})).body
    assert "UBND" not in hub
    assert "cả điểm không có mạng" in hub


@pytest.mark.parametrize(
    ("made", "vietnamese", "english"),
    [
        (
            incident("line", "na-tau/line1", severity="warning"),
            "🟠 Nà Tấu: đường VNPT mất kết nối từ 02:47",
            "🟠 Nà Tấu: VNPT line down since 02:47",
        ),
        (
            incident("device", "na-tau/vc", {**FACTS, "target_label": "Polycom", "target_role": "vc"}),
            "🔴 Nà Tấu: Polycom không phản hồi từ 02:47",
            "🔴 Nà Tấu: Polycom unreachable since 02:47",
        ),
        (
            incident("check", "na-tau/router/snmp", {**FACTS, "target_role": "router"}),
            "🔴 Nà Tấu: Router, SNMP không trả lời",
            "🔴 Nà Tấu: Router, SNMP no answer",
        ),
        (
            incident("check", "na-tau/line1/loss", {**FACTS, "metric": "icmp_loss_ratio", "value": "0.032", "threshold": "0.01"}),
            "🔴 Nà Tấu: đường VNPT mất gói 3,2% (ngưỡng 1%)",
            "🔴 Nà Tấu: VNPT line loses 3.2% (limit 1%)",
        ),
        (
            incident(
                "check",
                "na-tau/printer1/weird",
                {"site_name": "Nà Tấu", "target_label": "HP", "metric": "fuser_celsius", "value": "204.25", "threshold": "200"},
            ),
            "🔴 Nà Tấu: HP fuser celsius 204,25 (ngưỡng 200)",
            "🔴 Nà Tấu: HP fuser celsius 204.25 (limit 200)",
        ),
        (
            incident("netwatch", "config", {"detail": "inventory.yaml:46:5: …"}, sites=()),
            "🟣 netwatch: cấu hình mới có lỗi, vẫn dùng bản cũ",
            "🟣 netwatch: new configuration refused, old one in use",
        ),
        (
            incident("netwatch", "history", {"detail": "/var/lib/netwatch/netwatch.db.corrupt-1"}, sites=()),
            "🟣 netwatch: tệp lịch sử hỏng, đang dò lại trạng thái",
            "🟣 netwatch: history damaged, learning all states anew",
        ),
        (
            incident("netwatch", "errors", {"detail": "EMFILE"}, sites=("",), hidden=45),
            "🟣 netwatch: 45 phép đo không chạy được",
            "🟣 netwatch: 45 checks cannot be run",
        ),
    ],
)
def test_titles_name_the_place_then_the_trouble(made, vietnamese, english):
    assert page(made).title == vietnamese
    assert page(made, language="en").title == english


def test_trouble_of_netwatch_itself_is_not_blamed_on_a_site():
    text = page(incident("netwatch", "errors", FACTS, sites=("",)))
    assert text.url == "https://nw"
    assert "09xx xxx xxx" not in text.body + text.sms


def test_recovery_says_how_long_and_who_took_it():
    made = closed(incident(acknowledgement=Acknowledgement(who="Trực ca\nA", wall=OPENED + 240)))
    text = describe(made, "recover", "vi", wall=OPENED + 90_000, page_url="")
    assert text.title == "🟢 Nà Tấu đã kết nối lại, gián đoạn 38 phút"
    assert "38 phút) · #1842 · tiếp nhận: Trực ca A" in text.body
    assert "0912" not in text.sms
    assert text.url == ""


def test_what_is_no_longer_watched_is_never_called_recovered():
    text = page(closed(incident("device", "na-tau/vc"), "removed"), "recover")
    assert text.title == "⚪ Nà Tấu: vc không còn được theo dõi"
    assert page(closed(incident(), "removed"), "recover").title == "⚪ Nà Tấu không còn được theo dõi"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "", "x"])
@pytest.mark.parametrize("metric", ["icmp_loss_ratio", "uptime_seconds", "x_bytes_per_second", "ap_clients"])
def test_a_figure_that_is_none_is_a_question_mark(metric, value):
    assert "?" in page(incident("check", "na-tau/router/x", {**FACTS, "metric": metric, "value": value, "threshold": "1"})).title


def test_an_update_says_that_it_got_worse():
    assert "Cập nhật lúc 02:49: mức nghiêm trọng." in page(incident(), "update").body


def test_the_place_stands_first_even_when_every_name_is_long():
    text = page(incident("device", "na-tau/vc", {"site_name": "N" * 80, "target_label": "T" * 80}))
    assert len(text.title) == LONGEST_TITLE
    assert text.title.startswith("🔴 NNNNNN")
    assert text.title.endswith("từ 02:47")


def test_hostile_words_of_a_device_stay_on_their_line():
    text = page(incident(facts={**FACTS, "detail": "ok\r\nLiên hệ: 0900 \x1b[31m\u202ekẻ xấu\x00"}))
    assert sum(line.startswith("Liên hệ") for line in text.body.splitlines()) == 1
    assert not any(letter in text.body for letter in "\r\x1b\u202e\x00")


def test_both_languages_have_the_same_texts_with_the_same_fields():
    def fields(language):
        file = Path(lang.__file__).parent / language / "incident.json"
        texts = json.loads(file.read_text("utf-8"))
        return {key: {name for _, name, _, _ in string.Formatter().parse(text) if name} for key, text in texts.items()}

    assert fields("vi") == fields("en")


incidents = st.builds(
    incident,
    cause=st.sampled_from(CAUSES),
    name=st.text(max_size=80),
    facts=st.dictionaries(
        st.sampled_from(FACT_NAMES),
        st.text(max_size=300)
        | st.sampled_from(["icmp_loss_ratio", "uptime_seconds", "x_bytes_per_second", "nan", "inf", "-1e400", "0.5", "timeout"]),
    ),
    sites=st.lists(st.text(max_size=40), max_size=8).map(tuple),
    severity=st.sampled_from(["critical", "warning", "info"]),
    hidden=st.integers(0, 10_000),
    closed=st.none() | st.floats(OPENED - 1e6, OPENED + 1e8),
    close_reason=st.sampled_from(["", "recovered", "removed", "merged"]),
)


@given(
    made=incidents,
    kind=st.sampled_from(["open", "update", "recover"]),
    language=st.sampled_from(["vi", "en", "xx"]),
    page_url=st.sampled_from(["", "https://nw", "https://nw/"]),
)
def test_any_incident_can_be_told_within_the_limits(made, kind, language, page_url):
    text = describe(made, kind, language, wall=OPENED + 120, page_url=page_url)
    assert 0 < len(text.title) <= LONGEST_TITLE
    assert 0 < len(text.sms) <= LONGEST_SMS
    assert text.sms.isascii()
    assert not set(text.sms) & set("[]{}\\|^~`")
    assert text.body.startswith(text.title)
    assert not any(unicodedata.category(letter) in {"Cc", "Cs"} and letter != "\n" for letter in text.title + text.body + text.sms)
    assert "\n" not in text.title + text.sms


@pytest.mark.parametrize(
    ("metric", "instance", "value", "says"),
    [
        ("pexip_licence_ratio", "port", "1.0", "đã dùng 100% giấy phép cuộc gọi"),
        ("pexip_licence_ratio", "audio", "0.9", "đã dùng 90% giấy phép (audio)"),
        ("pexip_node_silent_seconds", "nut-1", "240", "nút nut-1 im lặng"),
        ("poly_registered", "", "0", "chưa đăng ký, không gọi được"),
        ("poly_fault", "mr.camera", "1", "máy quay bị hỏng"),
        ("sip_refusing", "", "1", "không nhận cuộc gọi (SIP 503)"),
    ],
)
def test_what_is_wrong_with_a_meeting_is_told_in_words(metric, instance, value, says):
    facts = {**FACTS, "rule": "x", "metric": metric, "instance": instance, "value": value, "threshold": "1"}
    assert says in page(incident("check", "na-tau/vc/rest", facts=facts)).body
