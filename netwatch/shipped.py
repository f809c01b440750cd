"""Where the files are that come with netwatch but belong to other programs: units, dashboards, rules, the inventory to start from."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PLAN_TO_WRITE", "SYSTEM_COMMUNITY", "inventory_path", "inventory_text", "place"]

PLAN_TO_WRITE = "A.B.{n}.0/24"  # no network: nothing is asked before somebody has written the real plan
COMMUNITY = "${NETWATCH_SNMP_COMMUNITY}"
SYSTEM_COMMUNITY = "${file:secret_snmp_community}"  # a credential of the unit, systemd/netwatch.service

_PACKAGE = Path(__file__).parent
_DEMO_PLAN = "site_net: 127.45.{n}.0/24"
_DEMO_REMARK = " Dải 127.45 chỉ dành cho bản trình diễn (make demo)."


def place(name: str) -> Path:
    """`share/<name>` of an installed wheel, else the same in the source tree. It may not exist."""
    installed = _PACKAGE / "share" / name
    return installed if installed.exists() else _PACKAGE.parent / name


def inventory_text(site_net: str = "", *, community: str = COMMUNITY) -> str:
    """The shipped inventory with a plan of one's own, or with a placeholder that is refused until it has been replaced."""
    text = place("inventory.yaml").read_text("utf-8").replace(_DEMO_REMARK, "")
    return text.replace(_DEMO_PLAN, f"site_net: {site_net or PLAN_TO_WRITE}").replace(COMMUNITY, community)


def inventory_path(wanted: Path) -> Path:
    """The file that is wanted; where that is only `inventory.yaml` by default and there is none, the shipped one."""
    return wanted if wanted != Path("inventory.yaml") or wanted.exists() else place("inventory.yaml")
