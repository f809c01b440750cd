"""The roster that docs/duty.md shows is one that is accepted as it stands."""

import re
from pathlib import Path

from netwatch import inventory
from tests.duty_inventory import ENVIRONMENT
from tests.inventories import compose

DOCUMENT = Path(__file__).parent.parent / "docs" / "duty.md"


def test_the_roster_in_the_document_is_accepted(tmp_path):
    shown = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[1]
    names = ("an-zalo", "an-sms", "binh-zalo", "chi-zalo", "chief-zalo")
    pagers = "pagers:\n" + "".join(f'  {name}: {{pager: webhook, url: "http://127.0.0.1:1/", secret: "${{S}}"}}\n' for name in names)
    path = tmp_path / "inventory.yaml"
    path.write_text(compose(more=pagers + shown))
    found, warnings = inventory.examine(path, environment=ENVIRONMENT)
    assert found.duty is not None
    assert {one.key for one in warnings if one.path.startswith("duty")} <= {"matcher_nothing"}, "the small inventory has no such sites"
