"""The register of equipment: what is remembered of a device, and what outlives the process."""

import asyncio
import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from netwatch import register
from netwatch.model import Device, Inventory, Outcome, Result, Site
from netwatch.register import FILE_NAME, MOST_CHANGES, Known, Register
from tests.worlds import check as a_check

DAY = 86_400.0


def inventory(**devices):
    made = {name: Device(id=name, address="127.0.0.1", profile="router", role="router", **more) for name, more in devices.items()}
    return Inventory(sites={"na-tau": Site(id="na-tau", name="Nà Tấu", devices=made)}, checks={})


def check(target="router"):
    return a_check(f"na-tau/{target}/snmp")


def result(wall, outcome=Outcome.OK, **facts):
    return Result(check="na-tau/router/snmp", at=wall, wall=wall, duration_seconds=0.1, outcome=outcome, facts=facts)


def test_a_device_is_what_it_last_said_and_was_there_when_it_last_answered(tmp_path):
    book = Register(lambda: inventory(router={}), tmp_path)
    book.note(check(), result(10.0, model="RB4011", serial="A1", sysDescr="RouterOS", console="hết giấy"))
    book.note(check(), result(20.0))
    book.note(check(), result(30.0, Outcome.FAILED, model="another"))
    (row,) = book.rows()
    assert (row["model"], row["serial"], row["sysDescr"], row["first_seen"], row["last_seen"]) == ("RB4011", "A1", "RouterOS", 10.0, 20.0)
    assert "console" not in row
    assert row["changes"] == []


def test_another_serial_number_or_firmware_is_remembered_with_its_time(tmp_path):
    book = Register(lambda: inventory(router={}), tmp_path)
    for wall, serial in ((1.0, "A1"), (2.0, "A1"), (3.0, "B2")):
        book.note(check(), result(wall, serial=serial, sysName=f"name-{wall}"))
    (row,) = book.rows()
    assert row["changes"] == [{"wall": 3.0, "fact": "serial", "old": "A1", "new": "B2"}]
    for wall in range(4, 100):
        book.note(check(), result(float(wall), firmware=str(wall)))
    assert len(book.rows()[0]["changes"]) == MOST_CHANGES


def test_what_was_bought_outranks_what_is_said_and_what_never_answered_is_there_too(tmp_path):
    book = Register(lambda: inventory(router={"serial": "as bought", "warranty_until": "2027-05-01"}, scanner={}), tmp_path)
    book.note(check(), result(1.0, serial="A1"))
    router, scanner = book.rows()
    assert (router["serial"], router["warranty_until"], router["watched"]) == ("as bought", "2027-05-01", True)
    assert (scanner["serial"], scanner["last_seen"]) == ("", None)


def test_lines_and_strangers_are_no_devices(tmp_path):
    book = Register(lambda: inventory(router={}), tmp_path)
    book.note(check("line1"), result(1.0, model="x"))
    assert [row["device"] for row in book.rows()] == ["router"]


def test_it_outlives_the_process_and_what_left_the_inventory_is_not_forgotten(tmp_path):
    book = Register(lambda: inventory(router={}), tmp_path)
    book.note(check(), result(5.0, model="RB4011"))
    book.note(check(), result(6.0, model="RB5009"))
    book.write()
    (row,) = Register(lambda: inventory(router={}), tmp_path).rows()
    assert (row["model"], row["first_seen"], row["last_seen"], len(row["changes"])) == ("RB5009", 5.0, 6.0, 1)
    (gone,) = Register(inventory, tmp_path).rows()
    assert (gone["device"], gone["model"], gone["watched"]) == ("router", "RB5009", False)


def test_it_writes_once_more_when_it_is_stopped(tmp_path):
    async def scenario():
        book = Register(lambda: inventory(router={}), tmp_path)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(book.run())
            await asyncio.sleep(0)
            book.note(check(), result(5.0, model="RB4011"))
            running.cancel()
        return json.loads((tmp_path / FILE_NAME).read_text("utf-8"))

    assert asyncio.run(scenario())["devices"] == {"na-tau/router": [5.0, 5.0, {"model": "RB4011"}, []]}


def test_a_disk_that_refuses_costs_nothing_once_it_takes_it_again(tmp_path):
    there = tmp_path / "there"
    book = Register(lambda: inventory(router={}), there)
    book.note(check(), result(5.0, model="RB4011"))
    book.write()
    there.mkdir()
    book.write()
    assert Register(lambda: inventory(router={}), there).rows()[0]["model"] == "RB4011"


written = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=3), one, max_size=3),
)


@given(st.binary(max_size=60) | written.map(lambda one: json.dumps({"devices": one}).encode()))
def test_a_file_that_cannot_be_understood_is_put_aside(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("state")
    (folder / FILE_NAME).write_bytes(text)
    rows = Register(lambda: inventory(router={}), folder).rows()
    assert rows[0]["device"] == "router"
    with contextlib.suppress(FileNotFoundError):
        assert (folder / f"{FILE_NAME}.damaged").read_bytes() == text


def test_a_fact_that_is_not_told_this_time_stays():
    known = Known(0.0, 0.0)
    known.learn({"model": "RB4011"}, 1.0)
    known.learn({}, 2.0)
    assert known.facts == {"model": "RB4011"}
    assert known.changes == []
    assert register.FACTS[:3] == register.TELLING
