"""What is said of sites, devices and incidents, and in which order."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netwatch import inventory
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.lang import LANGUAGES, catalog, writing
from netwatch.model import Acknowledgement, Belief, Cause, Incident, Sample, State, Subject, Transition
from netwatch.snapshot import RuleView
from netwatch.web import words as say
from netwatch.web.board import Reader, board_of, problems_of
from netwatch.web.changes import transition_text, without_first_beliefs
from netwatch.web.place import place_of
from tests import exported
from tests.province import WALL, calm_province, device_view, province, rechecked

ROOT = Path(__file__).parent.parent
VI = catalog("vi")
READER = Reader(words=VI, zone=writing.VIETNAM)


def site(slug, snapshot=None):
    return next(one for one in (snapshot or province()).sites if one.site.id == slug)


def incident(kind="check", name="na-tau/printer1/x", sites=("na-tau",), **facts):
    return Incident(
        id=7,
        key=f"netwatch/{name}",
        cause=Cause(kind, name),
        sites=sites,
        severity="critical",
        opened=WALL - 60,
        updated=WALL,
        facts={"site_name": "Nà Tấu", "target": "printer1", **facts},
    )


def text_of(one):
    return say.incident_text(one, {view.site.id: view for view in province().sites}, VI)


def test_of_two_devices_as_bad_the_one_that_more_depends_on_speaks_for_the_site():
    view = site("na-son", calm_province())
    bad = [device_view("na-son", 1, id_, role, State.WARN) for id_, role in (("printer1", "printer"), ("ups", "ups"), ("sw", "switch"))]
    assert say.site_text(dataclasses.replace(view, state=State.WARN, targets=tuple(bad)), VI).startswith("Switch: ")
    lossy = dataclasses.replace(view.targets[0], state=State.WARN)
    assert say.site_text(dataclasses.replace(view, state=State.WARN, targets=(*bad, lossy)), VI).startswith("FTTH VNPT: ")
    worse = dataclasses.replace(bad[0], state=State.CRIT, up=False)
    assert say.site_text(dataclasses.replace(view, state=State.WARN, targets=(*bad[1:], worse)), VI) == "Máy in: không phản hồi (+2)"


def test_what_is_behind_a_failed_parent_is_hidden_and_not_called_down():
    assert say.target_text(device_view("na-tau", 1, "vc", "vc", State.UNREACHABLE), VI) == "không tới được (nút phía trước hỏng)"
    assert say.target_text(device_view("na-tau", 1, "vc", "vc", State.CRIT), VI) == "không phản hồi"


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (incident("site", "na-tau"), "Nà Tấu: mất kết nối (cả điểm)"),
        (incident("line", "na-tau/line1", line_label="FTTH VNPT"), "Nà Tấu: FTTH VNPT: mất kết nối"),
        (incident("device", "na-tau/printer1", target_label="printer1", target_role="printer"), "Nà Tấu: Máy in: không phản hồi"),
        (
            incident("device", "na-tau/printer1", target_label="Máy in tầng 2", target_role="printer"),
            "Nà Tấu: Máy in tầng 2: không phản hồi",
        ),
        (incident("check", "na-tau/printer1/web", code_word="refused"), "Nà Tấu: printer1: web: từ chối kết nối"),
        (
            incident(rule="jammed", metric="printer_error", instance="jammed", value="1", target_role="printer"),
            "Nà Tấu: Máy in: kẹt giấy",
        ),
        (incident(rule="odd", metric="odd_ratio", instance="x", value="0.5"), "Nà Tấu: printer1: odd · x: 50%"),
        (incident(rule="odd", metric="odd", value=""), "Nà Tấu: printer1: odd: –"),
        (incident("tag", "tuan-giao", sites=("na-tau", "pu-nhi", "na-son", "xa-dung")), "4 điểm mất kết nối cùng lúc (tuan-giao)"),
        (incident("tag", "ring=tuan-giao", sites=("na-tau", "pu-nhi", "na-son")), "3 điểm mất kết nối cùng lúc (vòng Tuan Giao)"),
        (incident("uplink", "anchors", sites=()), "netwatch: có mốc không trả lời"),
        (incident("carrier", "vnpt", sites=("na-tau", "pu-nhi", "na-son")), "3 điểm mất kết nối cùng lúc (nhà mạng VNPT)"),
        (incident("feeder", "373-e21", sites=("na-tau", "pu-nhi"), symptom="power"), "Mất điện lộ 373 E21: 2 điểm chạy ắc quy"),
        (incident("uplink", "uplink", sites=()), "netwatch mất đường lên: không nhìn thấy các điểm"),
        (incident("netwatch", "inventory", sites=()), "netwatch: tệp inventory mới có lỗi, vẫn dùng bản cũ"),
        (incident("site", "gone", sites=("gone",), site_name="Điểm cũ"), "Điểm cũ: mất kết nối (cả điểm)"),
    ],
)
def test_an_incident_is_told_as_where_and_what(one, text):
    assert text_of(one) == text


@pytest.mark.parametrize("language", LANGUAGES)
@given(
    kind=st.sampled_from(["site", "line", "device", "check", "tag", "feeder", "carrier", "uplink", "netwatch"]),
    facts=st.dictionaries(
        st.sampled_from(["rule", "metric", "instance", "value", "detail", "code_word", "target_label", "target_role"]), st.text(max_size=30)
    ),
)
def test_any_incident_can_be_told(language, kind, facts):
    one = incident(kind, "na-tau/x/y", **facts)
    assert say.incident_text(one, {}, catalog(language))


@given(st.text(max_size=40), st.floats(), st.text(max_size=20))
def test_any_measured_value_can_be_told(name, value, instance):
    sample = Sample(name, (value,), instance)
    assert say.sample_text(sample, VI)
    assert say.bad_value_text(name, "rule", instance, value, VI)


def test_a_train_is_told_by_its_median_and_an_empty_one_by_a_dash():
    assert say.sample_text(Sample("icmp_rtt_seconds", (0.010, 0.9, 0.012, 0.011, 0.013)), VI) == "12 ms"
    assert say.sample_text(Sample("icmp_rtt_seconds", ()), VI) == "–"


@pytest.mark.parametrize(("seconds", "shown"), [(864_000.0, "10 ngày"), (-864_000.0, "-10 ngày"), (-1.0, "-1,0 s")])
def test_what_is_left_of_a_certificate_is_told_in_days_before_and_after_its_end(seconds, shown):
    assert say.sample_text(Sample("tls_left_seconds", (seconds,)), VI) == shown


def test_a_rule_without_its_metric_is_told_by_the_sample_it_judged():
    rule = RuleView(subject=Subject("a/b/c", "loss"), belief=Belief.WARN, hard=True, since=0.0, value=0.25, detail="loss")
    assert say.rule_text(rule, (Sample("icmp_loss_ratio", (0.25,)),), VI) == "mất gói 25%"


def change(old, new, *, hard=True, rule="", instance="", code=""):
    subject = Subject("na-tau/line1/icmp", rule, instance)
    return Transition(subject=subject, old=old, new=new, hard=hard, wall=WALL, since=WALL, code=code)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (change(Belief.OK, Belief.CRIT, hard=False, code="timeout"), "icmp: đang kiểm tra lại (không trả lời)"),
        (change(Belief.CRIT, Belief.CRIT, code="timeout"), "icmp: Sự cố đã xác nhận (không trả lời)"),
        (change(Belief.OK, Belief.CRIT, code="timeout"), "icmp: Bình thường → Sự cố (không trả lời)"),
        (change(Belief.CRIT, Belief.OK), "icmp: bình thường trở lại"),
        (change(Belief.UNKNOWN, Belief.OK), "icmp: Không rõ → Bình thường"),
        (change(Belief.OK, Belief.CRIT, rule="jammed", instance="jammed", code="jammed"), "Kẹt giấy: Bình thường → Sự cố"),
        (change(Belief.OK, Belief.WARN, rule="paper_empty", instance="Khay 1"), "Khay hết giấy · Khay 1: Bình thường → Cảnh báo"),
        (change(Belief.OK, Belief.WARN, rule="hot", instance="hot"), "hot: Bình thường → Cảnh báo"),
        (change(Belief.WARN, Belief.UNKNOWN, rule="hot", code="absent"), "hot: Cảnh báo → Không rõ (không còn báo giá trị)"),
    ],
)
def test_a_change_is_told_once_with_its_reason_and_whether_it_is_settled(one, text):
    assert transition_text(one, site("na-tau"), VI) == f"FTTH VNPT / {text}"


def test_that_something_new_was_found_well_is_left_out_but_not_that_it_can_be_seen_again():
    first, blind, again = (
        change(Belief.UNKNOWN, Belief.OK),
        change(Belief.OK, Belief.UNKNOWN, code="stale"),
        change(Belief.UNKNOWN, Belief.OK),
    )
    assert without_first_beliefs((again, blind, first)) == (again, blind)
    other = change(Belief.UNKNOWN, Belief.OK, rule="loss")
    assert without_first_beliefs((other, again, blind, first)) == (again, blind)
    assert without_first_beliefs((again, first)) == ()  # learned anew, as after a change of the check
    assert without_first_beliefs((change(Belief.UNKNOWN, Belief.CRIT),)) != ()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_metric_and_every_shipped_rule_has_a_name_in_our_words(language):
    words = catalog(language)
    shipped = inventory.load(ROOT / "inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})
    profiles = [
        yaml.safe_load(file.read_text("utf-8"))
        for folder in ("probes/profiles", "netwatch/inventory/data")
        for file in (ROOT / folder).glob("*.yaml")
    ]
    metrics = {name for check in (*shipped.checks.values(), *exported.checks()) for name in check.probe.metrics()}
    metrics |= {name for profile in profiles for name in profile.get("snmp", {}).get("metrics", {})}
    rules = {rule.name for check in shipped.checks.values() for rule in check.rules}
    rules |= {name for profile in profiles for name in profile.get("rules", {})}
    assert metrics
    assert {name for name in metrics if not words.has(f"state.sample_{name}")} == set()
    assert {name for name in rules if not words.has(f"state.rule_{name}")} == set()


def test_a_device_that_is_asked_again_is_told_so_in_each_place():
    calm = calm_province()
    view = rechecked(next(one for one in calm.sites if one.site.id == "na-tau"), WALL - 3)
    told = dataclasses.replace(calm, sites=tuple(view if one.site.id == "na-tau" else one for one in calm.sites))
    assert say.sentence(told, VI) == "45/45 điểm bình thường · 1 đang kiểm tra lại"
    assert say.site_text(view, VI) == "FTTH VNPT: đang kiểm tra lại (mất gói 100%)"
    board = board_of(told, READER)
    tile = next(one for one in board.tiles if one.slug == "na-tau")
    assert (tile.state, tile.mark, tile.fact) == ("ok", "rechecking", "kiểm lại…")
    assert tile.story.startswith("Nà Tấu, Đang kiểm tra lại, FTTH VNPT: mất gói 100%, chưa xác nhận, từ")
    assert (board.problems, board.icon, board.unhandled) == ((), "ok", 0)
    assert ("rechecking", "Đang kiểm tra lại", 1) in board.legend
    place = place_of(told, view, (), READER)
    assert (place.mark, place.path[1][0].mark, place.targets[0].mark) == ("rechecking",) * 3
    assert place.path[2][0].mark == "ok"


def test_the_office_is_told_only_where_the_name_misleads():
    calm = calm_province()
    told = dataclasses.replace(calm, incidents=(incident("site", "na-tau", office="Trụ sở: UBND xã Nà Tấu cũ"),))
    assert problems_of(told, READER)[0].notes == ()
    told = dataclasses.replace(calm, incidents=(incident("site", "na-tau", office="Trụ sở: UBND xã Leng Su Sìn cũ"),))
    assert problems_of(told, READER)[0].notes == ("Trụ sở: UBND xã Leng Su Sìn cũ",)


def test_an_owner_quiets_a_problem():
    one = dataclasses.replace(incident("site", "na-tau"), acknowledgement=Acknowledgement(who="Mai", wall=WALL))
    shown = problems_of(dataclasses.replace(calm_province(), incidents=(one,)), READER)[0]
    assert (shown.urgent, shown.handled, shown.owner) == (False, True, "Mai")


@pytest.mark.parametrize(
    ("phone", "link"), [("0912 345 678", "0912345678"), ("+84 (215) 380-0126", "+842153800126"), ("0215 3 xxx xxx", ""), ("", "")]
)
def test_only_a_whole_number_can_be_dialled(phone, link):
    view = site("na-son")
    contact = dataclasses.replace(view.site.contact, phone=phone)
    view = dataclasses.replace(view, site=dataclasses.replace(view.site, contact=contact))
    assert place_of(province(), view, (), READER).phone_link == link


def test_lines_stand_side_by_side_on_the_path():
    view = site("na-son")
    backup = dataclasses.replace(view.targets[0], id="line2", label="4G", role="backup")
    path = place_of(province(), dataclasses.replace(view, targets=(backup, *view.targets)), (), READER).path
    assert [[hop.name for hop in stage] for stage in path] == [["netwatch"], ["4G", "FTTH VNPT"], ["Router"], ["Switch"], ["4 thiết bị"]]


def test_a_problem_is_not_told_twice_of_one_device():
    row = next(one for one in place_of(province(), site("thanh-an"), (), READER).targets if one.id == "printer1")
    assert row.text.startswith("hết giấy")
    assert row.problems == ()
