"""A believable province with every state in it, for the tests of the page and its pictures."""

import csv
import dataclasses
from pathlib import Path

import netwatch
from netwatch.conference import Endpoint, Evidence, Leg, Power, Proof
from netwatch.model import (
    Acknowledgement,
    Belief,
    Cause,
    Contact,
    Device,
    Incident,
    Line,
    Outcome,
    Sample,
    Site,
    State,
    Subject,
)
from netwatch.snapshot import CheckView, RuleView, SelfView, SiteView, Snapshot, TargetView

WALL = 1795463230.0  # 2026-11-24 02:47:10 in Điện Biên

COMMUNES = Path(netwatch.__file__).parent / "inventory" / "data" / "communes.tsv"
DEVICES = (
    ("router", "router"),
    ("switch", "switch"),
    ("ap1", "wifi-ap"),
    ("vc", "vc"),
    ("printer1", "printer"),
    ("ups", "ups"),
)
VALUES = {
    "router": (Sample("uptime_seconds", (3_800_000.0,)), Sample("cpu_ratio", (0.12,)), Sample("interface_up", (1.0,), "ether1")),
    "wifi-ap": (Sample("ap_clients", (14.0,)),),
    "printer": (Sample("printer_supply_ratio", (0.08,), "Mực đen"), Sample("printer_paper_empty", (0.0,), "Khay 1")),
    "ups": (Sample("ups_charge_ratio", (0.96,)), Sample("ups_runtime_seconds", (2460.0,)), Sample("ups_on_battery", (0.0,))),
}
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil\x00\nline2" + "x" * 400


def icmp_samples(rtt_seconds, loss_ratio):
    values = (rtt_seconds,) * 5 if loss_ratio < 1 else ()
    return (
        Sample("icmp_rtt_seconds", values),
        Sample("icmp_loss_ratio", (loss_ratio,)),
        Sample("icmp_jitter_seconds", (rtt_seconds / 20,)),
    )


def check_view(site, target, name, kind, state, samples=(), *, since=WALL - 86400 * 3, code="", detail="", facts=None):
    failed = state in {State.CRIT, State.UNREACHABLE}
    return CheckView(
        id=f"{site}/{target}/{name}",
        name=name,
        kind=kind,
        state=state,
        belief=Belief.CRIT if failed else Belief(state.value) if state is not State.MAINTENANCE else Belief.OK,
        hard=True,
        since=since,
        last_wall=WALL - 4,
        duration_seconds=0.9,
        outcome=Outcome.FAILED if failed else Outcome.OK,
        code=code,
        detail=detail,
        interval_seconds=10.0,
        samples=samples,
        facts=facts or {},
    )


def line_view(slug, number, state, rtt_seconds=0.012, loss_ratio=0.0, since=WALL - 86400 * 3, problems=()):
    line = Line(
        id="line1",
        address=f"127.45.{number}.254",
        label="FTTH VNPT",
        carrier="VNPT",
        circuit=f"DBN-100M-{number:03d}",
        hotline="0215 3800 126",
        contract_down_bits_per_second=100e6,
        contract_up_bits_per_second=100e6,
    )
    code = "timeout" if state is State.CRIT and not problems else ""
    check = check_view(slug, "line1", "icmp", "icmp", state, icmp_samples(rtt_seconds, loss_ratio), since=since, code=code)
    return TargetView(
        site=slug,
        id="line1",
        kind="line",
        role="primary",
        profile="",
        label=line.label,
        address=line.address,
        up=None if state is State.UNKNOWN else bool(problems) or state is not State.CRIT,
        state=state,
        since=since,
        detail="",
        checks=(check,),
        problems=problems,
        line=line,
    )


def device_view(slug, number, id_, role, state, since=WALL - 86400 * 3, problems=(), facts=None):
    checks = (
        check_view(slug, id_, "icmp", "icmp", state, icmp_samples(0.013, 0.0), since=since, code="timeout" if state is State.CRIT else ""),
        check_view(slug, id_, "snmp", "snmp", State.OK if problems else state, VALUES.get(role, ()), since=since, facts=facts),
    )
    return TargetView(
        site=slug,
        id=id_,
        kind="device",
        role=role,
        profile=role,
        label="",
        address=f"127.45.{number}.{10 + len(id_)}",
        up={State.UNKNOWN: None, State.CRIT: False, State.UNREACHABLE: False}.get(state, True),
        state=state,
        since=since,
        detail="",
        checks=checks,
        problems=problems,
    )


def site_view(number, row):
    slug = row["slug"]
    site = Site(
        id=slug,
        name=row["name"],
        full_name=row["full_name"],
        code=row["code"],
        district=row["old_district"],
        office=row["office"],
        latitude=float(row["lat"]),
        longitude=float(row["lon"]),
        tile=(int(row["tile_col"]), int(row["tile_row"])),
        tags={"ring": "tuan-giao", "carrier": "vnpt"},
        contact=Contact(id=f"truc-{slug}", name="Trực xã", phone="0912 345 678"),
        lines={"line1": Line(id="line1", address=f"127.45.{number}.254")},
        devices={id_: Device(id=id_, address="127.45.0.1", profile=role, role=role) for id_, role in DEVICES},
    )
    rtt_seconds = 0.006 + (number * 7 % 29) / 1000
    targets = (line_view(slug, number, State.OK, rtt_seconds), *(device_view(slug, number, id_, role, State.OK) for id_, role in DEVICES))
    return SiteView(
        site=site, up=True, state=State.OK, since=WALL - 86400 * 3, detail="", rtt_seconds=rtt_seconds, loss_ratio=0.0, targets=targets
    )


def dark(view, since):
    slug, number = view.site.id, 7
    targets = (
        line_view(slug, number, State.CRIT, loss_ratio=1.0, since=since),
        *(device_view(slug, number, id_, role, State.UNREACHABLE, since=since) for id_, role in DEVICES),
    )
    return dataclasses.replace(view, up=False, state=State.CRIT, since=since, rtt_seconds=None, loss_ratio=1.0, targets=targets)


def rechecked(view, since):
    """The first seconds of a cut."""
    line = line_view(view.site.id, 7, State.OK, loss_ratio=1.0, since=since)
    check = dataclasses.replace(line.checks[0], belief=Belief.CRIT, hard=False, outcome=Outcome.FAILED, code="timeout", rechecking=True)
    line = dataclasses.replace(line, checks=(check,), rechecking=True, urgent=True)
    return dataclasses.replace(view, since=since, rtt_seconds=None, loss_ratio=1.0, targets=(line, *view.targets[1:]), rechecking=True)


def lossy(view, since):
    rule = RuleView(
        subject=Subject(f"{view.site.id}/line1/icmp", "loss"),
        belief=Belief.WARN,
        hard=True,
        since=since,
        value=0.032,
        detail="",
        metric="icmp_loss_ratio",
    )
    line = line_view(view.site.id, 9, State.WARN, loss_ratio=0.032, since=since, problems=(rule,))
    return dataclasses.replace(view, state=State.WARN, since=since, loss_ratio=0.032, targets=(line, *view.targets[1:]))


def empty_tray(view, since):
    rule = RuleView(
        subject=Subject(f"{view.site.id}/printer1/snmp", "paper", HOSTILE[:60]),
        belief=Belief.WARN,
        hard=True,
        since=since,
        value=1.0,
        detail="",
        metric="printer_paper_empty",
    )
    targets = tuple(
        device_view(view.site.id, 3, one.id, one.role, State.WARN, since=since, problems=(rule,), facts={"sysName": HOSTILE})
        if one.role == "printer"
        else one
        for one in view.targets
    )
    return dataclasses.replace(view, state=State.WARN, since=since, targets=targets)


def overlaid(view, state, since):
    targets = tuple(
        dataclasses.replace(one, state=state, since=since, up=None if state is State.UNKNOWN else one.up) for one in view.targets
    )
    up = None if state is State.UNKNOWN else state is State.MAINTENANCE
    return dataclasses.replace(view, up=up, state=state, since=since, rtt_seconds=None, targets=targets)


def hub(slug, name):
    site = Site(id=slug, kind="hub", name=name, full_name=name)
    return SiteView(
        site=site,
        up=True,
        state=State.OK,
        since=WALL - 9e5,
        detail="",
        rtt_seconds=0.0021,
        loss_ratio=0.0,
        targets=(line_view(slug, 0, State.OK, 0.0021),),
    )


def incident(number, view, kind, opened, severity="critical", facts=None, hidden=0, acknowledgement=None, members=()):
    name = view.site.id if kind == "site" else f"{view.site.id}/line1"
    return Incident(
        id=number,
        key=f"netwatch/{name}",
        cause=Cause(kind, name),
        sites=(view.site.id,),
        severity=severity,
        opened=opened,
        updated=opened,
        hidden=hidden,
        acknowledgement=acknowledgement,
        members=members or (Subject(f"{view.site.id}/line1/icmp"),),
        facts={"site_name": view.site.name, "office": view.site.office, "target": "line1", "line_label": "FTTH VNPT", **(facts or {})},
    )


def calm_province(revision=1):
    """45 communes and 3 hubs, all well."""
    with COMMUNES.open(encoding="utf-8", newline="") as file:
        views = [site_view(number, row) for number, row in enumerate(csv.DictReader(file, delimiter="\t"), start=1)]
    hubs = [hub("tinh", "Trung tâm tỉnh"), hub("pexip", "Pexip tỉnh"), hub("ha-noi", "Chặng đi Hà Nội")]
    own = SelfView(
        version="0.1.0", started_wall=WALL - 86400, checks=700, runs=1_234_567, database_bytes=12_000_000, reloaded_wall=WALL - 3600
    )
    return Snapshot(wall=WALL, revision=revision, sites=(*views, *hubs), incidents=(), closed=(), self_view=own)


def province(revision=1):
    """Every state at least once, two cuts of which one is acknowledged, a lossy line, an empty tray, a hostile device name."""
    calm = calm_province(revision)
    views = {view.site.id: view for view in calm.sites}
    views["na-tau"] = dark(views["na-tau"], WALL - 250)
    views["sin-thau"] = dark(views["sin-thau"], WALL - 30000)
    views["muong-nhe"] = lossy(views["muong-nhe"], WALL - 1200)
    views["thanh-an"] = empty_tray(views["thanh-an"], WALL - 40000)
    views["pu-nhi"] = overlaid(views["pu-nhi"], State.UNKNOWN, WALL - 400)
    views["muong-luan"] = overlaid(views["muong-luan"], State.UNREACHABLE, WALL - 500)
    views["quai-to"] = overlaid(views["quai-to"], State.MAINTENANCE, WALL - 3000)
    loss = {"rule": "loss", "metric": "icmp_loss_ratio", "value": "0.032", "instance": ""}
    paper = {
        "rule": "paper",
        "metric": "printer_paper_empty",
        "value": "1",
        "instance": "Khay 1",
        "target": "printer1",
        "target_label": "printer1",
        "target_role": "printer",
    }
    owner = Acknowledgement(who="Tổ trưởng ca", wall=WALL - 29000, note="Đã gọi đội dây máy")
    incidents = (
        incident(1842, views["na-tau"], "site", WALL - 250, hidden=6),
        incident(1841, views["muong-nhe"], "check", WALL - 1200, severity="warning", facts=loss),
        incident(1838, views["sin-thau"], "site", WALL - 30000, hidden=6, acknowledgement=owner),
        incident(1830, views["thanh-an"], "check", WALL - 40000, severity="info", facts=paper),
    )
    return dataclasses.replace(calm, sites=tuple(views.values()), incidents=incidents)


def known_before_a_meeting(snapshot):
    """Evidence of every commune an hour before: two dark, one lossy, a hostile room that is silent, a UPS at its end, one of which nothing is known."""
    good = Leg(sent=600, received=600, rtt_seconds=0.012, jitter_seconds=0.001)
    room = Endpoint(id="vc", label="Phòng họp", reachable=True, registered=True)
    usual = Evidence(
        site="",
        up=True,
        starts_in_seconds=3_600.0,
        proof=Proof(verdict="proved", age_seconds=86_400.0 * 3),
        leg=good,
        free_bits_per_second=82.4e6,
        endpoints=(room,),
        power=Power(on_battery=False, runtime_seconds=3_000.0),
    )
    other = {
        "na-tau": {"up": False, "dark_since": WALL - 250},
        "sin-thau": {"up": False, "dark_since": WALL - 30_000, "without_power": True},
        "muong-nhe": {"leg": Leg(sent=600, received=570, rtt_seconds=0.21, jitter_seconds=0.012)},
        "thanh-an": {"endpoints": (Endpoint(id="vc", label=HOSTILE, reachable=False, since=WALL - 1_200),)},
        "quai-to": {"power": Power(on_battery=True, runtime_seconds=2_460.0), "on_backup": True},
        "pu-nhi": {
            "leg": None,
            "free_bits_per_second": None,
            "power": None,
            "proof": None,
            "endpoints": (Endpoint(id="vc", reachable=True),),
        },
        "na-son": {"proof": Proof(verdict="stale")},
        "na-bung": {"proof": Proof(verdict="stale")},
        "muong-pon": {"free_bits_per_second": 2.5e6},
    }
    communes = [view.site.id for view in snapshot.sites if view.site.kind == "commune"]
    return [dataclasses.replace(usual, site=slug, **other.get(slug, {})) for slug in communes]
