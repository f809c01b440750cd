import logging

from hypothesis import given
from hypothesis import strategies as st

from netwatch.logs import LineFormatter


def record(message="belief changed", **fields):
    made = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "netwatch.core", **fields})
    return LineFormatter().format(made)


def test_a_record_is_one_line_of_fields():
    assert record(check="na-tau/line/icmp", new="crit").endswith("INFO netwatch.core belief changed check=na-tau/line/icmp new=crit")


@given(st.text(), st.text())
def test_whatever_a_device_says_stays_inside_its_field(message, text):
    line = record(message, sys_name=text)
    assert line.isprintable() or all(not (ord(letter) < 32) for letter in line)
    assert "\n" not in line
    assert "\x1b" not in line
