"""A believable province in every state, and a daemon that is not one, for the page's tests and screenshots.

`python tests/page_server.py` serves it on a free port of 127.0.0.1 and prints the address.
"""

import argparse
import asyncio
import dataclasses
import socket
import sys

from aiohttp import web

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
    Transition,
)
from netwatch.snapshot import CheckView, RuleView, SelfView, SiteView, Snapshot, TargetView
from netwatch.web import Overloaded, make_app
from netwatch.web.stream import Streams

WALL = 1795463230.0  # 2026-11-24 02:47:10 in Điện Biên
HOSTS = ("127.0.0.1", "localhost", "::1")

# slug, name, code, former district, column, row of the cartogram, office where its name misleads
COMMUNES = """
dien-bien-phu|Điện Biên Phủ|03127|Thành phố Điện Biên Phủ|4|6|
muong-lay|Mường Lay|03151|Thị xã Mường Lay|5|2|
sin-thau|Sín Thầu|03158|Mường Nhé|0|0|UBND xã Leng Su Sìn cũ
muong-nhe|Mường Nhé|03160|Mường Nhé|1|1|
nam-ke|Nậm Kè|03162|Mường Nhé|2|2|
muong-toong|Mường Toong|03163|Mường Nhé|2|1|
quang-lam|Quảng Lâm|03164|Mường Nhé|2|3|
muong-cha|Mường Chà|03166|Nậm Pồ|3|2|UBND xã Chà Cang cũ
na-hy|Nà Hỳ|03169|Nậm Pồ|3|3|
na-sang|Na Sang|03172|Mường Chà|4|4|
cha-to|Chà Tở|03175|Nậm Pồ|4|2|
na-bung|Nà Bủng|03176|Nậm Pồ|2|4|
muong-tung|Mường Tùng|03181|Mường Chà|4|3|
pa-ham|Pa Ham|03193|Mường Chà|5|3|
nam-nen|Nậm Nèn|03194|Mường Chà|5|4|
si-pa-phin|Si Pa Phìn|03199|Nậm Pồ|3|4|
muong-pon|Mường Pồn|03202|Điện Biên|3|5|UBND xã Mường Mươn cũ
na-son|Na Son|03203|Điện Biên Đông|5|8|
xa-dung|Xa Dung|03208|Điện Biên Đông|6|7|UBND xã Phì Nhừ cũ
muong-luan|Mường Luân|03214|Điện Biên Đông|7|8|
tua-chua|Tủa Chùa|03217|Tủa Chùa|6|3|
tua-thang|Tủa Thàng|03220|Tủa Chùa|7|2|UBND xã Huổi Só cũ
sin-chai|Sín Chải|03226|Tủa Chùa|6|1|UBND xã Tả Sìn Thàng cũ
sinh-phinh|Sính Phình|03241|Tủa Chùa|6|2|
sang-nhe|Sáng Nhè|03244|Tủa Chùa|7|3|
tuan-giao|Tuần Giáo|03253|Tuần Giáo|7|5|
muong-ang|Mường Ảng|03256|Mường Ảng|5|6|
pu-nhung|Pú Nhung|03260|Tuần Giáo|7|4|UBND xã Rạng Đông cũ
muong-mun|Mường Mùn|03268|Tuần Giáo|6|4|
chieng-sinh|Chiềng Sinh|03283|Tuần Giáo|6|5|UBND xã Nà Sáy cũ
quai-to|Quài Tở|03295|Tuần Giáo|7|6|
bung-lao|Búng Lao|03301|Mường Ảng|6|6|
muong-lan|Mường Lạn|03313|Mường Ảng|7|7|
na-tau|Nà Tấu|03316|Thành phố Điện Biên Phủ|5|5|
muong-phang|Mường Phăng|03325|Thành phố Điện Biên Phủ|4|5|
thanh-nua|Thanh Nưa|03328|Điện Biên|3|6|UBND xã Thanh Luông cũ
muong-thanh|Mường Thanh|03334|Thành phố Điện Biên Phủ|4|7|
thanh-yen|Thanh Yên|03349|Điện Biên|3|7|UBND xã Noong Luống cũ
thanh-an|Thanh An|03352|Điện Biên|4|8|UBND xã Noong Hẹt cũ
sam-mun|Sam Mứn|03356|Điện Biên|3|8|UBND xã Pom Lót cũ
nua-ngam|Núa Ngam|03358|Điện Biên|4|9|
muong-nha|Mường Nhà|03368|Điện Biên|5|9|UBND xã Phu Luông cũ
pu-nhi|Pu Nhi|03370|Điện Biên Đông|5|7|
phinh-giang|Phình Giàng|03382|Điện Biên Đông|6|9|
tia-dinh|Tìa Dình|03385|Điện Biên Đông|6|8|UBND xã Háng Lìa cũ
"""
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
    slug, name, code, district, column, place, office = row.split("|")
    ward = slug in {"dien-bien-phu", "muong-lay", "muong-thanh"}
    site = Site(
        id=slug,
        name=name,
        full_name=f"{'Phường' if ward else 'Xã'} {name}",
        code=code,
        district=district,
        office=office,
        latitude=21.4,
        longitude=103.0,
        tile=(int(column), int(place)),
        tags={"ring": "tuan-giao", "carrier": "vnpt"},
        contact=Contact(id=f"truc-{slug}", name="Lò Văn Pánh", phone="0912 345 678"),
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
    views = [site_view(number, row) for number, row in enumerate(COMMUNES.split("\n")[1:-1], start=1)]
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
    owner = Acknowledgement(who="Quàng Thị Mai", wall=WALL - 29000, note="Đã gọi đội dây máy")
    incidents = (
        incident(1842, views["na-tau"], "site", WALL - 250, hidden=6),
        incident(1841, views["muong-nhe"], "check", WALL - 1200, severity="warning", facts=loss),
        incident(1838, views["sin-thau"], "site", WALL - 30000, hidden=6, acknowledgement=owner),
        incident(1830, views["thanh-an"], "check", WALL - 40000, severity="info", facts=paper),
    )
    return dataclasses.replace(calm, sites=tuple(views.values()), incidents=incidents)


class FakeDaemon:
    """What a `Backend` must do, without doing it."""

    def __init__(self, snapshot):
        self.now = snapshot
        self.moved = asyncio.Condition()
        self.asked = []
        self.reload_answer = (True, ("+ na-tau/vc",))
        self.overloaded = False

    def snapshot(self):
        return self.now

    async def change(self, snapshot):
        async with self.moved:
            self.now = snapshot
            self.moved.notify_all()

    async def changed(self, revision):
        async with self.moved:
            await self.moved.wait_for(lambda: self.now.revision > revision)
            return self.now.revision

    async def metrics(self):
        if self.overloaded:
            raise Overloaded
        return b"# TYPE netwatch_build_info gauge\nnetwatch_build_info 1\n"

    async def reload(self):
        return self.reload_answer

    def check_now(self, check_id, who):
        self.asked.append((check_id, who))
        return check_id.startswith("na-tau/")

    async def transitions(self, site, since_wall, limit):
        subject = Subject("na-tau/line1/icmp")
        known = [
            Transition(subject=subject, old=Belief.OK, new=Belief.CRIT, hard=True, wall=WALL - 250, since=WALL - 259, code="timeout"),
            Transition(subject=subject, old=Belief.CRIT, new=Belief.OK, hard=True, wall=WALL - 90000, since=WALL - 90000),
            Transition(subject=subject, old=Belief.OK, new=Belief.CRIT, hard=False, wall=WALL - 90300, since=WALL - 90300, detail=HOSTILE),
        ]
        return [one for one in known if site in {None, "na-tau"} and one.wall >= since_wall][:limit]


async def serve(backend, *, control=False, unix="", **options):
    """The runner and its address; `await runner.cleanup()` ends it."""
    streams = options.pop("streams", None) or Streams(pace_seconds=0.0)
    runner = web.AppRunner(make_app(backend, control=control, allowed_hosts=HOSTS, streams=streams, **options), shutdown_timeout=5.0)
    await runner.setup()
    if unix:
        await web.UnixSite(runner, unix).start()
        return runner, unix
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    return runner, f"http://127.0.0.1:{listener.getsockname()[1]}"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calm", action="store_true")
    snapshot = calm_province() if parser.parse_args().calm else province()
    runner, address = await serve(FakeDaemon(snapshot))
    print(address, flush=True)
    try:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started us closes our input
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
