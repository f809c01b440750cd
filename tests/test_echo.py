import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._echo import CLOCK_TOLERANCE_NS, MEMORY_NS, Book, Train
from probes._wire.icmp import Quote

WALL, MONOTONIC = 1_800_000_000 * 10**9, 50 * 10**9
LAG = WALL - MONOTONIC
MILLISECOND = 10**6
SECOND = 10**9


def token(number, nonce=b"nonce678"):
    return (number & 0xFFFF).to_bytes(2, "big") + nonce


def reply(token, kind=0, code=0):
    return bytes([kind, code, 0, 0, 9, 9]) + token + b"padding"


def one_echo(wait_ns=SECOND, address="10.0.0.1"):
    settled = []
    book, train = Book(0), Train((address, 0), b"", wait_ns, lambda: settled.append(True))
    book.open(train)
    book.sent(train, token(1), WALL, LAG)
    train.all_sent()
    return book, train, settled


def arrive(book, data, source="10.0.0.1", after=MILLISECOND, stamped=True, step=0):
    """A reply `after` nanoseconds; `step` is how far the wall clock was set meanwhile."""
    wall = WALL + after + step
    book.reply(data, source, wall if stamped else None, wall, MONOTONIC + after)


def test_a_reply_is_credited_with_the_kernels_stamp():
    book, train, settled = one_echo()
    book.reply(reply(token(1)), "10.0.0.1", WALL + 5000, WALL + 300_000, MONOTONIC + 300_000)
    assert train.rtt_seconds == (5e-6,)
    assert settled
    assert (book.foreign, book.late, book.duplicates, book.clock_steps) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (reply(token(1)), "10.0.0.2"),
        (reply(token(2)), "10.0.0.1"),
        (reply(token(1, b"nonce679")), "10.0.0.1"),
        (reply(token(1), kind=8), "10.0.0.1"),
        (reply(token(1), code=1), "10.0.0.1"),
        (reply(token(1))[:15], "10.0.0.1"),
        (b"", "10.0.0.1"),
    ],
)
def test_a_reply_that_is_not_ours_is_counted_and_not_credited(data, source):
    book, train, settled = one_echo()
    arrive(book, data, source)
    assert train.rtt_seconds == ()
    assert book.foreign == 1
    assert not settled


def test_a_second_reply_is_a_duplicate():
    book, train, _ = one_echo()
    arrive(book, reply(token(1)))
    arrive(book, reply(token(1)), after=2 * MILLISECOND)
    assert train.rtt_seconds == (0.001,)
    assert (train.duplicates, book.duplicates) == (1, 1)


def test_a_reply_after_the_wait_is_late_though_the_train_goes_on():
    book, train, settled = one_echo(wait_ns=SECOND)
    arrive(book, reply(token(1)), after=SECOND + 1)
    assert train.rtt_seconds == ()
    assert (train.late, book.late) == (1, 1)
    assert settled


def test_a_reply_in_the_last_moment_of_the_wait_counts():
    book, train, _ = one_echo(wait_ns=SECOND)
    arrive(book, reply(token(1)), after=SECOND)
    assert train.rtt_seconds == (1.0,)


def test_a_reply_after_the_train_is_late_and_its_double_a_duplicate():
    book, train, settled = one_echo()
    book.close(train)
    arrive(book, reply(token(1)))
    arrive(book, reply(token(1)))
    assert train.rtt_seconds == ()
    assert (train.late, train.duplicates) == (1, 1)
    assert not settled


def test_an_echo_is_remembered_for_the_longest_wait_and_forgotten_at_last():
    book, train, _ = one_echo(wait_ns=MEMORY_NS)
    other = Train(("10.0.0.2", 0), b"", SECOND)
    book.sent(other, token(2), WALL + MEMORY_NS + 1, LAG)
    arrive(book, reply(token(1)), after=MEMORY_NS)
    assert train.rtt_seconds == (10.0,)
    book.sent(other, token(3), WALL + 3 * MEMORY_NS, LAG)
    book.sent(other, token(4), WALL + 5 * MEMORY_NS, LAG)
    arrive(book, reply(token(1)), after=5 * MEMORY_NS)
    assert (book.duplicates, book.foreign) == (0, 1)


@pytest.mark.parametrize("step", [-3600 * SECOND, -20 * MILLISECOND, 20 * MILLISECOND, 3600 * SECOND])
def test_setting_the_wall_clock_alters_no_round_trip_time(step):
    book, train, _ = one_echo()
    arrive(book, reply(token(1)), after=50 * MILLISECOND, step=step)
    assert train.rtt_seconds == (0.05,)
    assert book.clock_steps == 1


def test_after_a_step_the_kernels_stamp_still_counts_where_only_one_reading_of_it_is_possible():
    for stamp, step in (
        (7000 - 3600 * SECOND, -3600 * SECOND),
        (7000, -3600 * SECOND),
        (7000 + 3600 * SECOND, 3600 * SECOND),
        (7000, 3600 * SECOND),
    ):
        book, train, _ = one_echo()
        book.reply(reply(token(1)), "10.0.0.1", WALL + stamp, WALL + 20 * MILLISECOND + step, MONOTONIC + 20 * MILLISECOND)
        assert train.rtt_seconds == (7e-6,)


def test_a_slewing_clock_is_no_step():
    book, train, _ = one_echo()
    arrive(book, reply(token(1)), after=50 * MILLISECOND, step=CLOCK_TOLERANCE_NS - 1)
    assert book.clock_steps == 0
    assert train.rtt_seconds


def test_a_stamp_before_the_echo_is_not_believed():
    book, train, _ = one_echo()
    book.reply(reply(token(1)), "10.0.0.1", WALL - 1, WALL + 7000, MONOTONIC + 7000)
    assert train.rtt_seconds == (7e-6,)


@pytest.mark.parametrize("step", [0, -20 * MILLISECOND, 20 * MILLISECOND])
def test_without_a_stamp_the_monotonic_clock_serves(step):
    book, train, _ = one_echo()
    arrive(book, reply(token(1)), after=50 * MILLISECOND, stamped=False, step=step)
    assert train.rtt_seconds == (0.05,)


def test_an_error_that_quotes_the_nonce_ends_the_wait():
    book, train, settled = one_echo()
    book.error(Quote(token(1)[:2], token(1)), "10.0.0.1", "host_unreachable", "10.9.9.9")
    assert settled
    assert (train.reason, train.offender) == ("host_unreachable", "10.9.9.9")


def test_an_error_without_a_nonce_is_a_hint_and_waiting_goes_on():
    book, train, settled = one_echo()
    book.error(Quote(token(1)[:2], b""), "10.0.0.1", "host_unreachable", "10.9.9.9")
    assert train.reason == "host_unreachable"
    assert not settled
    arrive(book, reply(token(1)))
    assert train.rtt_seconds == (0.001,)
    assert len(settled) == 1


@pytest.mark.parametrize(
    ("quote", "destination"),
    [
        (Quote(token(1)[:2], token(1, b"nonce679")), "10.0.0.1"),
        (Quote(token(1)[:2], token(1)), "10.0.0.2"),
        (Quote(token(2)[:2], b""), "10.0.0.1"),
        (Quote(token(1)[:2], b""), "10.0.0.2"),
    ],
)
def test_an_error_that_quotes_nothing_of_ours_is_ignored(quote, destination):
    book, train, settled = one_echo()
    book.error(quote, destination, "host_unreachable", "10.9.9.9")
    assert train.reason == ""
    assert book.foreign == 1
    assert not settled


def test_a_good_reply_overrides_an_error_and_settles_once():
    book, train, settled = one_echo()
    for _ in range(2):
        book.error(Quote(token(1)[:2], token(1)), "10.0.0.1", "host_unreachable", "10.9.9.9")
    arrive(book, reply(token(1)))
    assert train.rtt_seconds == (0.001,)
    assert len(settled) == 1


def test_an_echo_that_was_refused_and_then_answered_does_not_settle_another():
    book, train, settled = one_echo()
    book.sent(train, token(2), WALL, LAG)
    book.error(Quote(token(1)[:2], token(1)), "10.0.0.1", "host_unreachable", "10.9.9.9")
    arrive(book, reply(token(1)))
    assert not settled
    arrive(book, reply(token(2)))
    assert settled


def test_an_error_about_an_answered_echo_tells_nothing():
    book, train, _ = one_echo()
    arrive(book, reply(token(1)))
    book.error(Quote(token(1)[:2], token(1)), "10.0.0.1", "host_unreachable", "10.9.9.9")
    book.error(Quote(token(1)[:2], b""), "10.0.0.1", "host_unreachable", "10.9.9.9")
    assert train.reason == ""


def test_a_train_is_not_settled_while_more_is_to_be_sent():
    settled = []
    book, train = Book(0), Train(("10.0.0.1", 0), b"", SECOND, lambda: settled.append(True))
    book.open(train)
    book.sent(train, token(1), WALL, LAG)
    arrive(book, reply(token(1)))
    assert not settled
    train.all_sent()
    assert settled


def test_closing_one_train_leaves_another_to_the_same_address():
    book, train, _ = one_echo()
    other = Train(("10.0.0.1", 0), b"", SECOND)
    book.open(other)
    book.close(train)
    book.sent(other, token(2), WALL, LAG)
    book.error(Quote(token(2)[:2], b""), "10.0.0.1", "ttl_exceeded", "")
    assert other.reason == "ttl_exceeded"
    book.close(other)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["reply", "forged", "stranger", "error", "hint"]),
        st.integers(0, 3),  # which echo of which train
        st.integers(0, 3),
        st.integers(0, 2 * SECOND),
    ),
    max_size=30,
)


@given(EVENTS, st.integers(0, 0xFFFF))
def test_whatever_comes_each_echo_is_credited_at_most_once_and_only_to_its_own_train(events, first):
    """Four trains of four echoes, the sequence number wrapping anywhere, against any order of replies and errors."""
    book = Book(0)
    settled = {}
    trains = [Train((f"10.0.0.{n}", 0), b"", SECOND, lambda n=n: settled.__setitem__(n, settled.get(n, 0) + 1)) for n in range(4)]
    for number, train in enumerate(trains):
        book.open(train)
        for echo in range(4):
            book.sent(train, token(first + 4 * number + echo), WALL, LAG)
        train.all_sent()
    best = {}
    for what, number, echo, after in sorted(events, key=lambda event: event[3]):
        ours = token(first + 4 * number + echo)
        if what == "reply":
            arrive(book, reply(ours), f"10.0.0.{number}", after)
            best.setdefault((number, echo), after)
        elif what == "forged":
            arrive(book, reply(ours[:2] + b"guessed!"), f"10.0.0.{number}", after)
        elif what == "stranger":
            arrive(book, reply(ours), "10.0.0.77", after)
        else:
            book.error(Quote(ours[:2], ours if what == "error" else b""), f"10.0.0.{number}", "ttl_exceeded", "")
    for number, train in enumerate(trains):
        wanted = [best[number, echo] / 1e9 for echo in range(4) if best.get((number, echo), SECOND + 1) <= SECOND]
        assert list(train.rtt_seconds) == wanted
        assert settled.get(number, 0) <= 1
        assert train.waiting >= 0
    replies = sum(event[0] == "reply" for event in events)
    assert replies == sum(len(train.rtt_seconds) + train.late + train.duplicates for train in trains)
