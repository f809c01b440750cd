"""The example of line tests in the shipped inventory loads when its comment signs are taken away."""

import re
from pathlib import Path

from netwatch import inventory

ROOT = Path(__file__).parent.parent
SECRETS = {"NETWATCH_SNMP_COMMUNITY": "x", "NETWATCH_LINE_TOKEN": "t"}


def test_the_shipped_example_of_line_tests_and_meetings_loads_when_uncommented(tmp_path):
    text = (ROOT / "inventory.yaml").read_text("utf-8")
    example = next(row for row in text.splitlines() if row.startswith("#   line: "))
    text = re.sub(r"^  line: .*$", "  " + example.removeprefix("#   "), text, count=1, flags=re.MULTILINE)
    begin, end = text.index("meetings: []"), text.index("# Mỗi loại thiết bị")
    block = text[begin:end].replace("meetings: []", "meetings:").replace(example, "")
    block = re.sub(r"^#(  |line_tests)", r"\1", block, flags=re.MULTILINE)
    (tmp_path / "inventory.yaml").write_text(text[:begin] + block + text[end:], "utf-8")
    found = inventory.load(tmp_path / "inventory.yaml", environment=SECRETS)
    assert len(found.meetings) == 2
    tests = [check for check in found.checks.values() if check.kind == "bandwidth"]
    assert len([check for check in tests if found.sites[check.site].kind == "commune"]) == 90
    assert not [check for check in tests if check.site in {"dau-tinh", "pexip", "ha-noi"}]  # they have no kiosk, of which one is warned
    assert found.line_tests.head_room["uplink"] == 500e6
