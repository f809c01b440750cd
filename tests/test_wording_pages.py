"""Pages as people read them, whole: tests/golden/pages. NETWATCH_WRITE_GOLDEN=1 writes them anew, to be read aloud before they are committed."""

import dataclasses
import os
from pathlib import Path

import pytest

from netwatch.lang import LANGUAGES
from netwatch.model import Acknowledgement, Cause, Incident, Page, Settings, Subject
from netwatch.wording import LONGEST_SMS, LONGEST_TITLE, describe, describe_digest, is_morning_digest

GOLDEN = Path(__file__).parent / "golden" / "pages"
OPENED = 1_795_463_220.0  # 02:47 in Vietnam
PLACE = {
    "site_name": "Nà Tấu", "site_full_name": "Xã Nà Tấu", "code": "03316", "office": "UBND xã Nà Tấu", "address": "10.45.24.254",
    "contact": "Trực ca A", "phone": "09xx xxx xxx", "carrier": "vnpt", "circuit": "NT-100M-024", "hotline": "18001166", "code_word": "timeout",
}  # fmt: skip
SLUGS = ("tuan-giao", "quai-to", "pu-nhung", "chieng-sinh", "muong-mun", "na-tau", "muong-ang")
NAMES = ("Tuần Giáo", "Quài Tở", "Pú Nhung", "Chiềng Sinh", "Mường Mùn", "Nà Tấu", "Mường Ảng")


def made(cause="site", name="na-tau", facts=PLACE, **changes):
    one = Incident(
        id=1842, key=f"netwatch/{name}", cause=Cause(cause, name), sites=("na-tau",), severity="critical", opened=OPENED, updated=OPENED,
        facts=facts, confidence=0.8, members=(Subject("na-tau/main/icmp"),),
    )  # fmt: skip
    return dataclasses.replace(one, **changes)


def shared(cause="tag", name="ring=tuan-giao", count=5, symptom="dark", facts=(), **changes):
    tag = name.split("=") if "=" in name else [cause, name]
    told = {
        "tag": tag[0],
        "place": tag[1],
        "failed": str(count),
        "names": ", ".join(NAMES[:count]),
        "symptom": symptom,
        "carrier": "vnpt",
        "hotline": "18001166",
    }
    told = {**told, "outside": "0", **dict(facts)}
    members = tuple(Subject(f"{slug}/main/icmp") for slug in SLUGS[:count])
    return made(cause, name, told, **{"sites": SLUGS[:count], "confidence": 0.97, "members": members, **changes})


def over(one, reason="recovered", minutes=38):
    return dataclasses.replace(one, closed=OPENED + minutes * 60, close_reason=reason)


RING = shared(facts={"place_name": "Tuần Giáo"})
BATTERY = {**PLACE, "target_role": "ups", "metric": "ups_on_battery", "value": "1", "threshold": "1", "symptom": "power"}
LOSS = {"metric": "icmp_loss_ratio", "value": "0.12", "threshold": "0.1", "symptom": "quality"}
TAKEN = Acknowledgement(who="Trực ca A", wall=OPENED + 60, until=OPENED + 3_600, note="đang tới trạm")
DARK_POWER = {**PLACE, "likely": "power", "symptom": "power", "ups_metric": "ups_on_battery", "ups_value": "1"}
FEEDER = shared("feeder", "373-e21", symptom="power", facts={"likely": "power", "dark": "2"})

PAGES = {
    "site": ("open", made(hidden=9, next_repeat=OPENED + 900)),
    "site-neighbours": ("open", made(facts={**PLACE, "neighbours": "Mường Phăng, Búng Lao"})),
    "site-line-not-power": ("open", made(facts={**PLACE, "likely": "line"}, confidence=0.9)),
    "site-power": ("update", made(facts=DARK_POWER, confidence=0.9)),
    "site-power-recover": ("recover", over(made(facts=DARK_POWER))),
    "site-recover": ("recover", over(made(acknowledgement=TAKEN))),
    "site-merged": ("recover", over(made(), "merged")),
    "site-removed": ("recover", over(made(), "removed")),
    "site-again": ("update", made(relapses=1)),
    "site-repeat": ("update", made(repeats=2, reminds=True, next_repeat=OPENED + 3_600)),
    "site-news-after-repeat": ("update", made(repeats=2, next_repeat=OPENED + 3_600)),
    "site-acknowledged": ("update", made(acknowledgement=TAKEN, repeats=1, next_repeat=OPENED + 2_700)),
    "site-flapping": ("update", made(flapping=True, facts={**PLACE, "spells": "7"})),
    "line-on-backup": (
        "open",
        made("line", "na-tau/main", {**PLACE, "line_role": "primary", "other_line": "4G Viettel"}, severity="warning"),
    ),
    "line-backup-lost": (
        "open",
        made("line", "na-tau/backup", {**PLACE, "line_label": "4G Viettel", "line_role": "backup"}, severity="warning"),
    ),
    "battery": ("open", made("check", "na-tau/ups/ups_on_battery", BATTERY)),
    "battery-recover": ("recover", over(made("check", "na-tau/ups/ups_on_battery", BATTERY))),
    "loss": ("open", made("check", "na-tau/main/icmp_loss_ratio", {**PLACE, **LOSS}, severity="warning")),
    "ring": ("open", RING),
    "ring-in-part": (
        "open",
        shared(facts={"standing": "2", "outside": "1", "place_name": "Tuần Giáo"}, confidence=0.69, degraded=("na-tau",)),
    ),
    "ring-grown": ("update", shared(count=7, facts={"place_name": "Tuần Giáo"})),
    "ring-flapping": ("update", dataclasses.replace(RING, flapping=True, facts={**RING.facts, "spells": "7"})),
    "ring-recover": ("recover", over(RING)),
    "ring-recover-but-one": ("recover", over(dataclasses.replace(RING, members=RING.members[1:]))),
    "ring-merged": ("recover", over(RING, "merged")),
    "ring-loss": ("open", shared(symptom="quality", facts={**LOSS, "place_name": "Tuần Giáo"}, severity="warning")),
    "olt": ("open", shared(name="olt=tuan-giao-2", count=3, facts={"place_name": "Tuần Giáo 2"})),
    "district": ("open", shared(name="district=Huyện Tuần Giáo")),
    "province": ("open", shared(name="province=all", count=7)),
    "carrier": ("open", shared("carrier", "viettel", facts={"carrier": "Viettel", "hotline": "18008098", "place_name": "Viettel"})),
    "carrier-backups": ("open", shared("carrier", "vnpt", severity="warning")),
    "feeder": ("open", FEEDER),
    "feeder-recover": ("recover", over(FEEDER)),
    "isolated": ("open", made("uplink", "isolated", {"names": "dns-viettel, dns-vnpt", "count": "45"}, sites=())),
    "anchor": ("open", made("uplink", "anchors", {"names": "dns-vnpt"}, sites=(), severity="info", audience="digest")),
}


def written(name, language):
    kind, incident = PAGES[name]
    wall = (incident.closed or OPENED) + (0 if kind == "recover" else 120)
    return describe(incident, kind, language, wall=wall, page_url="https://nw.example.vn", power_hotline=Settings().power_hotline)


def same(name, language, text):
    file = GOLDEN / f"{name}.{language}.txt"
    told = f"{text.body}\n\nsms: {text.sms}\n"
    if os.environ.get("NETWATCH_WRITE_GOLDEN"):
        file.write_text(told, "utf-8")
    assert file.read_text("utf-8") == told


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_as_it_was_agreed(name, language):
    text = written(name, language)
    assert len(text.title) <= LONGEST_TITLE
    assert "…" not in text.title
    assert len(text.sms) <= LONGEST_SMS
    same(name, language, text)


def digest(about):
    incident = made("netwatch", "digest", {"day": "2026-11-24", "count": str(len(about))}, key="netwatch/digest/2026-11-24", sites=())
    return Page(incident=incident, kind="open", wall=OPENED, pager="noc", about=about)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_morning_digest_tells_what_waits_then_what_is_over(language):
    paper = {**PLACE, "target_label": "HP M404", "metric": "printer_paper_empty", "instance": "khay 1", "value": "1", "threshold": "1"}
    waiting = made("check", "na-tau/printer1/printer_paper_empty", paper, severity="info", audience="digest")
    page = digest((waiting, PAGES["anchor"][1], over(made("device", "na-tau/kiosk", {**PLACE, "target_role": "kiosk"}, severity="info"))))
    assert is_morning_digest(page)
    same("digest", language, describe_digest(page, language, page_url="https://nw.example.vn"))


def test_a_long_digest_counts_what_it_does_not_tell():
    text = describe_digest(digest(tuple(made() for _ in range(300))), "vi")
    assert "… và 275 việc nữa" in text.body
    assert len(text.body) < 2_000
    assert len(text.sms) <= LONGEST_SMS


def test_a_flapping_page_tells_the_falls_of_late_and_not_those_of_the_whole_story():
    flapping = made(flapping=True, relapses=40, facts={**PLACE, "spells": "4"})
    assert "down 4 times in 30 min" in describe(flapping, "update", "en", wall=OPENED + 120).title
    often = made(flapping=True, facts={**PLACE, "spells": "20+"})
    assert "20+ lần mất" in describe(often, "update", "vi", wall=OPENED + 120).title
