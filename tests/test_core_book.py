from hypothesis import given
from hypothesis import strategies as st

from netwatch.core._book import Book
from netwatch.model import Cause, Incident, Subject

SITES = st.lists(st.sampled_from(["na-tau", "pu-nhi", "sin-thau"]), max_size=3).map(tuple)
MEMBERS = st.lists(
    st.builds(Subject, st.sampled_from(["a/main/icmp", "b/main/icmp", "c/ups/snmp"]), st.sampled_from(["", "loss"])),
    max_size=4,
    unique=True,
).map(tuple)
CHANGES = st.lists(st.tuples(st.integers(1, 5), st.one_of(st.none(), st.tuples(SITES, SITES, MEMBERS))), max_size=30)


def incident(number, sites, degraded, members):
    return Incident(
        id=number,
        key=f"key-{number % 3}",
        cause=Cause("site", "x"),
        sites=sites,
        severity="critical",
        opened=0.0,
        updated=0.0,
        members=members,
        degraded=degraded,
    )


def changed(changes):
    book = Book()
    for number, parts in changes:
        key = f"key-{number % 3}"
        if parts is not None:
            book[key] = incident(number, *parts)
        elif key in book:
            del book[key]
    return book


@given(CHANGES, st.sampled_from(["na-tau", "pu-nhi", "sin-thau", "elsewhere"]), MEMBERS)
def test_what_is_looked_up_is_what_a_search_through_all_would_find(changes, site, asked):
    book = changed(changes)
    oldest_first = sorted(book.values(), key=lambda one: one.id)
    assert book.about(site) == [one for one in oldest_first if site in (*one.sites, *one.degraded)]
    assert book.holding(asked) == [one for one in oldest_first if set(asked) & set(one.members)]
    assert all(book.members(one) == set(one.members) for one in oldest_first)


@given(CHANGES)
def test_what_is_gone_leaves_nothing_behind(changes):
    book = changed(changes)
    for key in list(book):
        del book[key]
    assert (book, book._of_site, book._of_check, book._members) == ({}, {}, {}, {})
