"""The figures of a train, with clocks and a path made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._clock import ClockState
from probes._stamp_train import Losses, Session, Train, losses, one_way, round_trips
from probes._wire.stamp import ErrorEstimate, Reply, Request, to_ntp

MS = 1_000_000
WALL_NS = 1_795_543_000_000_000_000
SET = ClockState(synchronised=True, error_seconds=1e-4)
FAR_SET = ErrorEstimate.of(1e-4, synchronised=True)
PTP_SET = ErrorEstimate(synchronised=True, ptp=True, scale=19, multiplier=52)


def ptp(unix_ns):
    return unix_ns // 10**9 << 32 | unix_ns % 10**9


class Path:
    """Packets every 50 ms; `down`, `stay` and `up` in nanoseconds, the far clock `off` from ours."""

    def __init__(self, *, off=0, error=FAR_SET, write=to_ntp, session=None):
        self.train = Train(session or Session(ssid=7), ErrorEstimate())
        self.off, self.error, self.write = off, error, write
        self.now = 1_000 * MS
        self.wall = WALL_NS - self.now

    def send(self):
        self.now += 50 * MS
        return self.train.send(self.wall + self.now, self.now), self.now

    def packet(self, down=20 * MS, stay=MS, up=30 * MS, *, number=None, change=lambda reply: reply, step=0, read_later=3 * MS):
        """One packet there and back; `step` is by how much our wall clock is set while it is on its way."""
        request, sent = self.send()
        come, left = (self.write(WALL_NS - 1_000 * MS + self.off + sent + way) for way in (down, down + stay))
        reply = Reply(request.sequence if number is None else number, left, self.error, come, request, 255)
        back = sent + down + stay + up
        self.wall += step
        self.train.receive(change(reply), self.wall + back, self.wall + back + read_later, back + read_later)

    def lose(self):
        self.send()


def test_the_time_in_the_far_end_is_no_part_of_the_round_trip():
    path = Path(off=-3600 * 1000 * MS)
    for stay in (MS, 40 * MS, 0):
        path.packet(stay=stay)
    assert round_trips(path.train.in_order()) == ((0.05, 0.05, 0.05), True)


def test_each_way_by_itself_where_both_clocks_are_set():
    path = Path()
    for down in (20, 24, 22):
        path.packet(down=down * MS)
    ways = one_way(path.train.in_order(), SET)
    assert ways.down == pytest.approx((0.020, 0.024, 0.022))
    assert ways.up == pytest.approx((0.030, 0.030, 0.030))
    assert (ways.down_jitter, ways.up_jitter) == (pytest.approx(0.003), pytest.approx(0, abs=1e-9))
    assert ways.error_seconds == pytest.approx(2e-4, rel=0.02)


@pytest.mark.parametrize(
    ("own", "far"),
    [
        (ClockState(synchronised=False, error_seconds=1e-4), FAR_SET),
        (SET, ErrorEstimate.of(1e-4, synchronised=False)),
        (SET, ErrorEstimate(synchronised=True, scale=0, multiplier=0)),
        (SET, ErrorEstimate.of(0.04, synchronised=True)),
        (ClockState(synchronised=True, error_seconds=0.04), FAR_SET),
    ],
    ids=["ours is not set", "theirs is not set", "no estimate", "theirs may be far off", "ours may be far off"],
)
def test_no_delay_one_way_where_the_clocks_cannot_carry_it_but_jitter_there_is(own, far):
    path = Path(error=far)
    path.packet(down=20 * MS)
    path.packet(down=26 * MS)
    ways = one_way(path.train.in_order(), own)
    assert (ways.down, ways.up) == ((), ())
    assert ways.down_jitter == pytest.approx(0.006)


def test_a_far_clock_that_says_it_is_set_and_is_not_gives_no_delay_one_way():
    for off in (-25 * MS, 35 * MS, 37_000 * MS):
        path = Path(off=off)
        path.packet()
        path.packet()
        assert one_way(path.train.in_order(), SET).down == ()


def test_delays_within_the_error_are_never_negative():
    path = Path(off=-int(0.15 * MS))
    path.packet(down=int(0.05 * MS))
    path.packet(down=int(0.07 * MS))
    assert one_way(path.train.in_order(), SET).down == (0, 0)


@pytest.mark.parametrize("z", [True, False])
def test_times_are_read_as_they_are_written_whatever_the_z_bit_says(z):
    for write in (to_ntp, ptp):
        path = Path(write=write, error=ErrorEstimate(True, z, 19, 52))
        for stay in (MS, 5 * MS):
            path.packet(stay=stay)
        answers = path.train.in_order()
        assert round_trips(answers)[0] == pytest.approx((0.05, 0.05))
        assert one_way(answers, SET).down == pytest.approx((0.02, 0.02))


@pytest.mark.parametrize("z", [True, False])
def test_a_far_clock_that_stands_at_1970_is_believed_in_its_z_bit(z):
    path = Path(write=ptp if z else to_ntp, off=-WALL_NS + 10**12, error=ErrorEstimate(False, z, 31, 1))
    path.packet(stay=10 * MS)
    assert round_trips(path.train.in_order()) == ((pytest.approx(0.05),), True)


def lie(**changed):
    return lambda reply: Reply(**{name: changed.get(name, getattr(reply, name)) for name in Reply.__slots__})


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: lie(received=reply.stamp, stamp=reply.received)(reply),
        lambda reply: lie(stamp=reply.stamp + (1 << 32))(reply),
        lie(received=0),
        lie(stamp=2**64 - 1),
    ],
    ids=["T3 before T2", "stayed longer than the whole way", "no T2", "T3 in the far future"],
)
def test_a_far_end_that_lies_makes_no_round_trip_shorter(change):
    path = Path()
    path.packet(stay=2 * MS)
    path.packet(stay=2 * MS, change=change)
    path.packet(stay=2 * MS)
    answers = path.train.in_order()
    assert round_trips(answers) == (pytest.approx((0.052, 0.052, 0.052)), False)
    assert one_way(answers, SET) is None


@pytest.mark.parametrize(
    "time", [lambda asked: 0, lambda asked: asked.stamp, lambda asked: to_ntp(WALL_NS)], ids=["zeros", "copies", "standing still"]
)
def test_zeros_and_copies_tell_only_the_round_trip(time):
    path = Path()
    for _ in range(3):
        path.packet(change=lambda reply: lie(received=time(reply.request), stamp=time(reply.request))(reply))
    answers = path.train.in_order()
    assert round_trips(answers) == (pytest.approx((0.051,) * 3), True)
    assert one_way(answers, SET) is None


def test_one_answer_without_a_set_clock_is_enough_for_no_delay_one_way():
    path = Path()
    path.packet()
    path.packet(change=lie(error=ErrorEstimate.of(1e-4, synchronised=False)))
    assert one_way(path.train.in_order(), SET).down == ()


def test_the_worst_clock_error_and_the_shortest_round_trip_of_a_train_decide():
    for bad, carried in ((0.019, True), (0.021, False)):
        path = Path(error=FAR_SET)
        path.packet(down=20 * MS, up=20 * MS)
        path.packet(down=60 * MS, up=60 * MS, change=lie(error=ErrorEstimate.of(bad, synchronised=True)))
        ways = one_way(path.train.in_order(), ClockState(synchronised=True, error_seconds=0.0))
        assert bool(ways.down) == carried
        assert not carried or ways.error_seconds == pytest.approx(bad, rel=0.01)


def test_one_copied_time_is_enough_for_nothing_one_way():
    path = Path()
    path.packet()
    path.packet(change=lambda reply: lie(received=reply.request.stamp)(reply))
    path.packet()
    assert one_way(path.train.in_order(), SET) is None


def test_a_far_clock_that_is_set_within_a_train_gives_nothing_one_way():
    path = Path()
    path.packet()
    path.off = 5_000 * MS
    path.packet()
    assert round_trips(path.train.in_order()) == (pytest.approx((0.05, 0.05)), True)
    assert one_way(path.train.in_order(), SET) is None


@pytest.mark.parametrize("step", [-3600_000 * MS, -20 * MS, 20 * MS, 3600_000 * MS])
def test_our_clock_set_under_way_alters_no_round_trip_by_more_than_the_reading(step):
    path = Path()
    path.packet()
    path.packet(step=step)
    path.packet()
    answers = path.train.in_order()
    assert [rtt - 0.05 for rtt in round_trips(answers)[0]] == pytest.approx([0, 0.003, 0], abs=2e-3)
    assert one_way(answers, SET) is None


def test_our_clock_set_between_trains_alters_nothing():
    session = Session(ssid=7)
    for wall in (0, -3600_000 * MS):
        path = Path(session=session, off=wall)
        path.wall += wall
        path.packet()
        path.packet()
        path.train.end()
        assert one_way(path.train.in_order(), SET).down == pytest.approx((0.02, 0.02))


def test_without_a_stamp_of_the_kernel_the_reading_counts():
    train = Train(Session(ssid=7), ErrorEstimate())
    request = train.send(WALL_NS, 0)
    train.receive(Reply(0, 0, FAR_SET, 0, request, 255), None, WALL_NS + 5 * MS, 5 * MS)
    assert round_trips(train.in_order())[0] == (0.005,)


def test_one_answer_has_no_jitter_and_none_has_nothing():
    path = Path()
    assert round_trips(path.train.in_order()) == ((), True)
    path.packet()
    assert one_way(path.train.in_order(), SET) is None


# Losses.


def test_numbers_may_wrap_on_both_sides():
    session = Session(ssid=7, next_sequence=2**32 - 3, judged=2**32 - 4, lost_ahead=2**32 - 3 - 2**31)
    path = Path(session=session)
    far = 2**31
    for _ in range(6):
        path.packet(number=far)
        far += 1
    assert [answer.reply.request.sequence for answer in path.train.in_order()] == [2**32 - 3, 2**32 - 2, 2**32 - 1, 0, 1, 2]
    assert losses(path.train, counts=True) == (Losses(6, 0, 0), True)
    path = Path(session=session)
    path.packet(number=far)
    path.lose()
    path.packet(number=far + 1)
    assert losses(path.train, counts=True)[0] == Losses(3, 1, 0)


def test_a_packet_doubled_on_the_way_there_blames_no_direction():
    path = Path()
    path.packet(number=0)
    request, _ = path.send()
    for number in (1, 2):
        path.train.receive(Reply(number, 0, FAR_SET, 0, request, 255), None, WALL_NS, path.now)
    path.lose()
    path.packet(number=3)
    assert path.train.duplicates == 1
    assert losses(path.train, counts=True)[0] is None


@given(st.lists(st.sampled_from(["down", "up", "ok"]), min_size=1, max_size=60), st.integers(1, 12), st.booleans())
def test_every_loss_is_told_once_and_in_its_direction(fates, length, known):
    """Over any number of trains to an honest far end; what is after the last answer is still to be told."""
    session, number, told, counts = Session(ssid=7), 0, [], True if known else None
    for begin in range(0, len(fates), length):
        path = Path(session=session)
        for fate in fates[begin : begin + length]:
            if fate == "ok":
                path.packet(number=number)
            else:
                path.lose()
            number += fate != "down"
        found, counts = losses(path.train, counts=counts)
        told += [found] if found else []
        path.train.end()
    judged = len(fates) - next((after for after, fate in enumerate(reversed(fates)) if fate == "ok"), len(fates))
    if known:
        assert sum(one.sent for one in told) == judged
        assert sum(one.down for one in told) == fates[:judged].count("down")
        assert sum(one.up for one in told) == fates[:judged].count("up")
    assert all(0 <= one.down <= one.sent and 0 <= one.up <= one.sent - one.down for one in told)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**32 - 1)), min_size=1, max_size=30), st.sampled_from([None, True, False]))
def test_numbers_of_any_kind_never_blame_more_than_was_lost(packets, counts):
    path = Path()
    for answered, number in packets:
        path.packet(number=number) if answered else path.lose()
    found, _ = losses(path.train, counts=counts)
    if found is not None:
        assert found.down >= 0
        assert found.up >= 0
        assert found.down + found.up + len(path.train.answers) == found.sent


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2), min_size=1, max_size=10), st.booleans(), st.booleans())
def test_times_of_any_kind_give_round_trips_between_0_and_what_we_waited(times, z, synchronised):
    path = Path(error=ErrorEstimate(synchronised, z, 10, 1))
    for come, left in times:
        path.packet(change=lie(received=come, stamp=left))
    answers = path.train.in_order()
    rtts, _ = round_trips(answers)
    assert all(0 <= rtt <= answer.elapsed_ns / 1e9 for rtt, answer in zip(rtts, answers, strict=True))
    ways = one_way(answers, SET)
    if ways is not None:
        longest = max(answer.elapsed_ns for answer in answers) / 1e9
        assert 0 <= ways.down_jitter <= longest
        assert 0 <= ways.up_jitter <= longest
        assert all(0 <= one <= longest for one in (*ways.down, *ways.up))


@given(st.binary(min_size=41, max_size=60))
def test_any_datagram_is_foreign_unless_it_is_the_answer(data):
    path = Path()
    request, _ = path.send()
    reply = Reply.parse(data)
    path.train.receive(reply, None, WALL_NS, path.now)
    ours = reply.request.sequence == 0 and reply.request.stamp == request.stamp and reply.request.ssid in {0, 7}
    assert (path.train.foreign, len(path.train.answers)) == ((0, 1) if ours else (1, 0))


@pytest.mark.parametrize(("ssid", "ours"), [(7, True), (0, True), (1, False), (8, False)])
def test_the_session_is_ours_or_none(ssid, ours):
    path = Path()
    request, _ = path.send()
    asked = Request(request.sequence, request.stamp, request.error, ssid)
    path.train.receive(Reply(0, 0, FAR_SET, 0, asked, 255), None, WALL_NS, path.now)
    assert (len(path.train.answers), path.train.foreign) == (int(ours), int(not ours))


def test_an_answer_to_an_older_packet_is_out_of_order():
    path = Path()
    first, _ = path.send()
    assert path.train.reordered == 0
    path.packet()
    path.train.receive(Reply(1, 0, FAR_SET, 0, first, 255), None, WALL_NS, path.now)
    assert path.train.reordered == 1


def test_a_late_answer_is_told_apart_from_a_stranger():
    session = Session(ssid=7)
    path = Path(session=session)
    request, _ = path.send()
    path.train.end()
    later = Path(session=session)
    later.send()
    for asked in (request, Request(request.sequence, request.stamp + 1, request.error, 7)):
        later.train.receive(Reply(0, 0, FAR_SET, 0, asked, 255), None, WALL_NS, later.now)
    assert (later.train.late, later.train.foreign) == (1, 1)
