"""What is shown while something is being asked again, and of what cannot be reached."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch import snapshot
from netwatch.core import Window
from netwatch.lang import catalog
from netwatch.model import Outcome, State
from netwatch.web import words as say
from tests.worlds import PAPER, WALL, paper, story
from tests.worlds import check as check_of

OK, FAILED, ERROR = Outcome.OK, Outcome.FAILED, Outcome.ERROR
LINE, ROUTER, SWITCH, SNMP = "na-tau/line/icmp", "na-tau/router/icmp", "na-tau/switch/icmp", "na-tau/switch/snmp"
PRINTER = "na-tau/printer/snmp"
VI = catalog("vi")


def look(told):
    told.world.tick_at = told.at
    return snapshot.take(told.world, WALL + told.at, 1, snapshot.SelfView())


def site(told):
    return look(told).sites[0]


def targets(told):
    return {view.id: view for view in site(told).targets}


def check(told, wanted):
    return next(view for target in site(told).targets for view in target.checks if view.id == wanted)


def test_a_first_silence_is_shown_as_before_and_marked():
    told = story()
    told.all_ok()
    told.say(LINE, FAILED, after=1.0)
    line = targets(told)["line"]
    assert (line.state, line.up, line.rechecking, line.confirmed) == (State.OK, True, True, True)
    assert (site(told).state, site(told).rechecking, look(told).rechecking()) == (State.OK, True, 1)
    assert line.since == WALL + told.at
    assert site(told).since == line.since
    assert say.mark(line) == say.RECHECKING
    assert say.target_text(line, VI) == "đang kiểm tra lại (không trả lời)"
    assert say.site_text(site(told), VI).endswith("đang kiểm tra lại (không trả lời)")
    assert say.sentence(look(told), VI) == "1/1 điểm bình thường · 1 đang kiểm tra lại"
    told.say(LINE, OK, after=1.0)
    assert not site(told).rechecking
    assert look(told).rechecking() == 0
    told.say(SWITCH, FAILED, after=1.0)
    assert site(told).since == targets(told)["switch"].since == WALL + told.at


def test_what_has_never_answered_is_not_held_against_its_site_before_it_is_settled():
    told = story()
    told.say(LINE)
    told.say(SWITCH, FAILED, after=1.0, duration=0.9)
    switch = targets(told)["switch"]
    assert (switch.state, switch.rechecking, switch.confirmed) == (State.UNKNOWN, True, False)
    assert (site(told).state, site(told).rechecking) == (State.OK, True)
    told.say(ROUTER)
    told.fail(SWITCH, runs=12)
    told.say(ROUTER)
    told.say(LINE)
    assert (targets(told)["switch"].state, targets(told)["switch"].confirmed, site(told).state) == (State.CRIT, True, State.WARN)


def test_a_dead_child_is_not_its_sites_trouble_while_its_parent_is_being_asked_again():
    told = story()
    told.all_ok()
    told.fail(ROUTER, runs=8)
    told.say(LINE, FAILED, after=0.1)
    told.fail(ROUTER, runs=3)
    router = targets(told)["router"]
    assert (router.state, router.rechecking, router.confirmed) == (State.CRIT, True, False)
    assert site(told).state is State.OK
    assert site(told).rechecking
    assert say.target_text(router, VI) == "không phản hồi, đang đợi kết quả của nút phía trước"
    assert say.site_text(site(told), VI).endswith("đang kiểm tra lại (không trả lời)")  # the line's
    told.say(LINE, OK, after=0.1)
    told.say(ROUTER, FAILED, after=1.0, duration=0.9)
    told.say(ROUTER, FAILED, after=1.0, duration=0.9)
    assert (site(told).state, targets(told)["router"].confirmed) == (State.WARN, True)
    assert say.site_text(site(told), VI) == "Router: không phản hồi"  # and not what lies behind it


def test_a_parent_that_has_not_been_heard_of_since_is_waited_for_but_not_for_ever():
    told = story()
    told.all_ok()
    told.fail(ROUTER)
    assert not targets(told)["router"].confirmed
    told.at += 16.0
    assert targets(told)["router"].confirmed


def test_a_parent_that_has_spoken_is_waited_for_when_it_falls_silent_too():
    told = story()
    told.all_ok()
    told.fail(ROUTER, runs=7)
    told.say(LINE, OK, after=0.1)
    told.fail(ROUTER, runs=1)
    told.say(LINE, FAILED, after=0.1)
    told.fail(ROUTER, runs=2)
    assert not targets(told)["router"].confirmed


def test_a_parent_that_falls_silent_last_has_not_come_back():
    told = story()
    told.all_ok()
    told.fail(ROUTER)
    told.say(LINE, FAILED, after=0.1)
    router = targets(told)["router"]
    assert (router.state, router.confirmed) == (State.CRIT, False)


def test_what_is_an_incident_already_stays_one_while_its_parent_is_asked_again():
    told = story()
    told.all_ok()
    told.fail(ROUTER)
    told.say(LINE, OK, after=0.1)
    told.say(ROUTER, FAILED, after=1.0, duration=0.9)
    began = targets(told)["router"].since
    assert (site(told).state, site(told).since) == (State.WARN, began)
    told.say(LINE, FAILED, after=1.0)
    assert targets(told)["router"].confirmed
    assert (site(told).state, site(told).since, site(told).rechecking) == (State.WARN, began, True)
    assert look(told).rechecking() == 0


def test_an_incident_about_a_tray_does_not_settle_that_the_printer_is_dead():
    told = story(rules=(PAPER,))
    told.all_ok()
    told.say(PRINTER, OK, after=1.0, samples=(paper(1.0),))
    told.at += 5.0
    told.fail(PRINTER)
    assert not targets(told)["printer"].confirmed


def test_a_failed_parent_of_two_is_not_waited_for():
    told = story(lines=("main", "backup"))
    told.all_ok()
    told.fail("na-tau/main/icmp", runs=14)
    told.fail(ROUTER, runs=10)
    told.say("na-tau/backup/icmp", OK, after=0.1)
    told.fail(ROUTER, runs=2)
    assert targets(told)["router"].confirmed


def test_trouble_of_ours_with_a_failed_parent_does_not_make_its_children_well():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=14)
    for _ in range(3):
        told.say(LINE, ERROR, after=1.0, code="EMFILE")
    assert targets(told)["line"].state is State.UNKNOWN
    assert targets(told)["router"].state is State.UNREACHABLE


def test_one_check_that_waits_does_not_excuse_another_that_has_failed():
    told = story()
    inventory = told.world.inventory
    more = {name: check_of(name, parents=((SWITCH,),)) for name in ("na-tau/switch/web", "na-tau/switch/call")}
    told.world.inventory = replace(inventory, checks={**inventory.checks, **more})
    told.world.checks_by_site = {"na-tau": tuple(told.world.inventory.checks.values())}
    told.all_ok()
    told.world.memories.pop("na-tau/switch/call")
    told.fail("na-tau/switch/web")
    told.say(SWITCH, OK, after=0.1)
    told.say("na-tau/switch/web", FAILED, after=1.0, duration=0.9)
    told.say("na-tau/switch/call", FAILED, after=0.1)
    switch = targets(told)["switch"]
    assert (switch.state, switch.rechecking, switch.confirmed, site(told).state) == (State.CRIT, True, True, State.WARN)


def test_a_site_is_named_after_what_is_sure():
    told = story(rules=(PAPER,))
    told.all_ok()
    told.say(PRINTER, OK, after=1.0, samples=(paper(1.0),))
    told.fail(ROUTER, runs=8)
    told.say(LINE, FAILED, after=0.1)
    told.fail(ROUTER, runs=3)
    told.say(PRINTER, OK, after=1.0, samples=(paper(1.0),))
    told.say("na-tau/switch/icmp", OK)
    assert site(told).state is State.WARN
    assert say.site_text(site(told), VI) == "Máy in: hết giấy 1"


def test_what_lies_behind_a_failed_parent_is_out_of_reach_and_not_well_down_to_the_last():
    told = story()
    told.all_ok()
    began = WALL + told.at + 1.0
    told.fail(LINE, runs=14)
    shown = targets(told)
    assert shown["line"].state is State.CRIT
    assert {shown[name].state for name in ("router", "switch", "printer")} == {State.UNREACHABLE}
    assert {shown[name].up for name in ("router", "switch", "printer")} == {False}
    assert {shown[name].since for name in ("router", "switch", "printer")} == {began}
    assert check(told, SNMP).state is State.UNREACHABLE
    assert not shown["printer"].rechecking
    assert say.target_text(shown["printer"], VI) == "không tới được (nút phía trước hỏng)"
    assert (site(told).state, say.site_text(site(told), VI)) == (State.CRIT, "mất kết nối (cả điểm)")


def test_out_of_reach_devices_do_not_add_to_what_is_wrong_with_a_site():
    told = story()
    told.all_ok()
    told.fail(ROUTER, runs=8)
    told.say(LINE, FAILED, after=0.1)
    told.fail(ROUTER, runs=3)
    assert targets(told)["switch"].state is State.UNREACHABLE
    assert site(told).state is State.OK


def test_one_of_two_lines_hides_nothing():
    told = story(lines=("main", "backup"))
    told.all_ok()
    told.fail("na-tau/main/icmp", runs=14)
    assert targets(told)["router"].state is State.OK


def test_what_has_answered_since_is_not_out_of_reach():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=14)
    told.say(ROUTER, OK, after=1.0)
    assert (targets(told)["router"].state, targets(told)["switch"].state) == (State.OK, State.OK)


def test_a_failed_child_whose_parent_is_back_is_not_called_down_before_it_is_asked():
    told = story()
    told.all_ok()
    for _ in range(14):
        told.at += 1.0
        for one in (LINE, ROUTER, SWITCH):
            told.say(one, FAILED, duration=0.9)
    for _ in range(2):
        told.say(LINE, OK, after=1.0)
    shown = targets(told)
    assert (shown["router"].state, shown["router"].rechecking, shown["router"].confirmed) == (State.UNREACHABLE, True, False)
    assert site(told).state is State.OK
    assert say.target_text(shown["router"], VI) == "trước đó không tới được, đang kiểm tra lại"
    told.say(ROUTER, FAILED, after=1.0, duration=0.9)
    told.say(LINE, OK, after=1.0)
    assert (targets(told)["router"].state, site(told).state) == (State.CRIT, State.WARN)


def test_a_child_that_answers_with_its_parent_is_never_called_down_on_the_way():
    told = story()
    told.all_ok()
    for _ in range(14):
        told.at += 1.0
        for one in (LINE, ROUTER):
            told.say(one, FAILED, duration=0.9)
    for one in (LINE, LINE, ROUTER):
        told.say(one, OK, after=1.0)
    router = targets(told)["router"]
    assert (router.state, router.rechecking, router.confirmed, site(told).state) == (State.UNREACHABLE, True, False, State.OK)
    told.say(ROUTER, OK, after=1.0)
    assert targets(told)["router"].state is State.OK


def test_a_failed_line_that_answers_once_is_still_failed_and_marked():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=14)
    told.say(LINE, OK, after=1.0)
    line = targets(told)["line"]
    assert (line.state, line.rechecking, line.confirmed, site(told).state) == (State.CRIT, True, True, State.CRIT)
    assert look(told).rechecking() == 0  # it is counted as down
    assert say.target_text(line, VI) == "mất kết nối, vừa trả lời lại, đang kiểm tra"


def test_a_printer_that_is_asked_again_does_not_mark_its_site():
    told = story()
    told.all_ok()
    told.say(PRINTER, FAILED, after=1.0)
    assert targets(told)["printer"].rechecking
    assert not site(told).rechecking
    assert say.site_text(site(told), VI) == ""


def work(matcher, seconds=600.0):
    return Window(id=1, kind="maintenance", matcher=matcher, starts=WALL, ends=WALL + 1000.0 + seconds, who="Mai")


def test_what_is_worked_on_is_maintenance_whatever_it_does_and_up_is_still_the_truth():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=14)
    told.world.windows[1] = work("na-tau")
    shown = targets(told)
    assert {view.state for view in shown.values()} == {State.MAINTENANCE}
    assert (site(told).state, site(told).up, shown["line"].up) == (State.MAINTENANCE, False, False)
    told.say(LINE, OK, after=1.0)
    assert not targets(told)["line"].rechecking
    told.at += 10_000.0
    assert site(told).state is State.CRIT


def test_work_on_one_thing_is_not_work_on_its_site():
    told = story(lines=("main", "backup"))
    told.all_ok()
    told.world.windows[1] = work("na-tau/main")
    told.fail("na-tau/main/icmp", runs=14)
    assert (targets(told)["main"].state, targets(told)["backup"].state, site(told).state) == (State.MAINTENANCE, State.OK, State.OK)
    told.fail("na-tau/backup/icmp", runs=14)
    assert site(told).state is State.CRIT


def test_while_we_are_cut_off_nothing_is_called_down_but_what_answers_is_well():
    told = story("na-tau", "pu-nhi", "na-son", "tinh")
    told.all_ok()
    for _ in range(14):
        told.at += 1.0
        for name in ("na-tau", "pu-nhi", "na-son", "tinh"):
            told.say(f"{name}/line/icmp", FAILED, duration=0.9)
    told.world.isolated = True
    assert {view.state for view in look(told).sites} == {State.UNKNOWN}
    assert {view.state for view in look(told).sites[0].targets} == {State.UNKNOWN}
    told.say("tinh/router/icmp", OK, after=1.0)
    told.world.isolated = True
    router = next(view for view in look(told).sites[3].targets if view.id == "router")
    assert router.state is State.OK


CHECKS = (LINE, ROUTER, SWITCH, SNMP, PRINTER)


@given(
    st.lists(
        st.tuples(st.sampled_from(CHECKS), st.sampled_from((OK, FAILED, FAILED, ERROR)), st.sampled_from((0.1, 1.0, 9.0))), max_size=60
    )
)
@settings(max_examples=200, deadline=None)
def test_nothing_whose_last_word_was_silence_is_shown_well_without_a_mark(events):
    told = story()
    last = {}
    for wanted, outcome, after in events:
        told.say(wanted, outcome, after=after)
        told.world.tick_at = told.at
        if outcome is not ERROR:
            last[wanted] = outcome
    view = site(told)
    for target in view.targets:
        for one in target.checks:
            if one.state is State.OK and not one.rechecking:
                assert last[one.id] is OK
    if view.state in {State.WARN, State.CRIT}:
        counting = [one for one in view.targets if one.confirmed and one.state not in {State.OK, State.UNREACHABLE}]
        assert counting
