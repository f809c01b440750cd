"""Transitions, incidents and pages for the tests of history, made small or made up by Hypothesis."""

import asyncio
import dataclasses
import sqlite3
import typing

from hypothesis import strategies as st

from netwatch.history import History
from netwatch.model import Acknowledgement, Belief, Cause, Effects, Human, Incident, Page, Subject, Transition


def with_history(directory, body, **options):
    """Runs the body beside the writer task, and closes."""

    async def scenario():
        history = await History.open(directory, **options)
        async with asyncio.TaskGroup() as group:
            group.create_task(history.run())
            try:
                return await body(history)
            finally:
                await history.close()

    return asyncio.run(scenario())


def rows(directory, sql, *values):
    """What stands in the file itself."""
    connection = sqlite3.connect(directory / "netwatch.db")
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(), max_size=12)  # lone surrogates too: devices send what they like


def transition(number=0, check="xa-1/line/icmp", wall=1_000.0, new=Belief.CRIT):
    return Transition(
        subject=Subject(check), old=Belief.OK, new=new, hard=True, wall=wall, since=wall - 9, code="timeout", detail=str(number)
    )


def incident(number=1, *, closed=None, opened=1_000.0, sites=("xa-1",)):
    return Incident(
        id=number,
        key=f"line:{sites[0]}",
        cause=Cause("line", f"{sites[0]}/line"),
        sites=sites,
        severity="critical",
        opened=opened,
        updated=closed or opened,
        closed=closed,
        close_reason="recovered" if closed else "",
    )


def page(number=1, kind="open", pager="webhook", **more):
    return Page(incident=incident(number, **more), kind=kind, wall=1_000.0, pager=pager)


def effects(number, wall=1_000.0):
    """One transition, one incident, one page, one person's act, all carrying the number."""
    return Effects(
        transitions=(transition(number, wall=wall),),
        incidents=(incident(number, opened=wall),),
        pages=(page(number),),
        humans=(human(number, wall=wall),),
    )


def human(number=1, *, wall=1_000.0, action="acknowledge"):
    return Human(at=0.0, wall=wall, action=action, who="lan", via="cli", incident=number, until=wall + 60, note="đang đi")


def _every_field(kind, **known):
    """Also the fields with a default: one that the codec forgets must show."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return st.builds(kind, **{name: known[name] if name in known else st.from_type(hints[name]) for name in names})


SUBJECTS = st.builds(Subject, TEXT, TEXT, TEXT)
ACKNOWLEDGEMENTS = _every_field(Acknowledgement, who=TEXT, wall=FINITE, note=TEXT, until=st.none() | FINITE)
INCIDENTS = _every_field(
    Incident,
    key=TEXT,
    sites=st.lists(TEXT, max_size=3).map(tuple),
    opened=FINITE,
    updated=FINITE,
    closed=st.none() | FINITE,
    members=st.lists(SUBJECTS, max_size=3).map(tuple),
    facts=st.dictionaries(TEXT, TEXT, max_size=3),
    confidence=FINITE,
    told=st.lists(TEXT, max_size=3).map(tuple),
    degraded=st.lists(TEXT, max_size=3).map(tuple),
    acknowledgement=st.none() | ACKNOWLEDGEMENTS,
    next_repeat=st.none() | FINITE,
)
HUMANS = _every_field(
    Human,
    at=st.just(0.0),
    wall=FINITE,
    who=TEXT,
    check=TEXT,
    matcher=TEXT,
    note=TEXT,
    starts=st.none() | FINITE,
    until=st.none() | FINITE,
    via=TEXT,
)
PAGES = _every_field(Page, incident=INCIDENTS, wall=FINITE, pager=TEXT, about=st.lists(INCIDENTS, max_size=2).map(tuple))
