import math

from hypothesis import given
from hypothesis import strategies as st

from netwatch.lease import Claim, Deny, Grant, Leases, Situation, Wish, admit

RING = Claim("ring/tuan-giao", 115e6)
WALL = 1_795_000_000.0


def test_a_test_that_claims_nothing_may_run_when_nothing_is_known_of_its_line():
    assert admit(Wish(), 5.0, Situation()) == Grant()


def test_tests_together_stay_under_the_head_room_of_what_they_share():
    crowded = Situation(used={"ring/tuan-giao": 400e6}, head_room={"ring/tuan-giao": 500e6})
    assert admit(Wish(claims=(RING,)), 5.0, crowded) == Deny("shared", 10.0, "ring/tuan-giao")
    assert admit(Wish(claims=(RING,)), 5.0, Situation(head_room={"ring/tuan-giao": 115e6})) == Grant((RING,))


def test_a_resource_without_head_room_of_its_own_is_free():
    assert admit(Wish(claims=(Claim("line", 1e12),)), 0.0, Situation(used={"line": 1e12})) == Grant((Claim("line", 1e12),))


def test_nothing_runs_from_a_quarter_of_an_hour_before_a_meeting_until_it_ends():
    meeting = (WALL + 1_000.0, WALL + 4_600.0)
    for by_hand in (False, True):
        wish = Wish(by_hand=by_hand)
        assert admit(wish, 5.0, Situation(wall=WALL + 99.0, meeting=meeting)) == Grant()
        assert admit(wish, 5.0, Situation(wall=WALL + 100.0, meeting=meeting)) == Deny("meeting", 5.0 + 4_500.0)
        assert admit(wish, 5.0, Situation(wall=WALL + 4_599.0, meeting=meeting)) == Deny("meeting", 6.0)
        assert admit(wish, 5.0, Situation(wall=WALL + 4_600.0, meeting=meeting)) == Grant()


def test_the_window_holds_for_the_daily_test_and_not_for_one_by_hand():
    closed = Situation(wall=WALL, opens=WALL + 60.0)
    assert admit(Wish(), 5.0, closed) == Deny("window", 65.0)
    assert admit(Wish(by_hand=True), 5.0, closed) == Grant()
    assert admit(Wish(), 5.0, Situation(wall=WALL, opens=WALL - 60.0)) == Grant()


def test_a_line_that_others_use_by_more_than_half_is_left_alone():
    assert admit(Wish(), 5.0, Situation(busy_ratio=0.51)) == Deny("busy", 605.0)
    assert admit(Wish(), 5.0, Situation(busy_ratio=0.5)) == Grant()


def test_a_test_that_might_cost_more_than_is_left_of_the_day_does_not_begin():
    assert admit(Wish(bytes_at_most=25e6), 5.0, Situation(left_bytes=24e6)) == Deny("budget", 3_605.0)
    assert admit(Wish(bytes_at_most=25e6), 5.0, Situation(left_bytes=25e6)) == Grant()


def test_a_lease_nobody_gives_back_ends_by_itself():
    leases = Leases()
    leases.take("na-tau/main/capacity-down", (RING,), 100.0)
    assert leases.used(109.0) == {"ring/tuan-giao": 115e6}
    assert leases.holds("na-tau/main/capacity-down", 109.0)
    assert leases.used(110.0) == {}
    assert not leases.holds("na-tau/main/capacity-down", 109.0)


def test_what_is_shared_is_held_a_moment_longer_for_what_the_line_had_queued():
    leases = Leases()
    leases.take("na-tau/main/capacity-down", (Claim("line/na-tau/main", 115e6, shared=False), RING), 100.0)
    leases.end("na-tau/main/capacity-down", 50.0)
    assert leases.used(50.4) == {"ring/tuan-giao": 115e6}
    assert leases.used(50.5) == {}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.floats(1e6, 1e9), st.floats(0.0, 10.0)), max_size=40))
def test_whatever_begins_and_ends_the_head_room_is_never_exceeded(story):
    leases, now = Leases(), 0.0
    head_room = {"uplink": 1e9}
    for check, ends, rate, passed in story:
        now += passed
        if ends:
            leases.end(check, now)
        elif not leases.holds(check, now):
            claims = (Claim("uplink", rate), Claim(f"line/{check}", rate))
            if isinstance(admit(Wish(claims=claims), now, Situation(used=leases.used(now), head_room=head_room)), Grant):
                leases.take(check, claims, now + 5.0)
        assert leases.used(now).get("uplink", 0.0) <= 1e9
    assert math.isfinite(now)
