"""A month of verdicts on the lines of Nà Tấu, judged and sealed as the daemon does it."""

import datetime as dt
from zoneinfo import ZoneInfo

from netwatch import __version__
from netwatch.ledger import Ledger
from netwatch.line import (
    Bounds,
    Clock,
    Control,
    CounterReading,
    Counters,
    Evidence,
    Limits,
    Measurement,
    PortReading,
    Subject,
    judge,
    record_of,
)
from netwatch.model import Line, Site

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MBPS = 1e6
LINE = Line(
    id="line1",
    address="127.45.1.1",
    label="FTTH VNPT",
    carrier="VNPT",
    circuit="DBN-0173",
    contract_down_bits_per_second=100 * MBPS,
    contract_up_bits_per_second=100 * MBPS,
)
BACKUP = Line(
    id="line2",
    address="127.45.1.2",
    label="FTTH Viettel",
    carrier="Viettel",
    contract_down_bits_per_second=100 * MBPS,
    contract_up_bits_per_second=100 * MBPS,
    role="backup",
)
SITE = Site(id="na-tau", name="Nà Tấu", full_name="Xã Nà Tấu", lines={"line1": LINE, "line2": BACKUP})


def october(day, hour=2, minute=0):
    return dt.datetime(2026, 10, day, hour, minute, tzinfo=ZONE).timestamp()


def run_at(wall, mbps, *, direction="down", spread=0.5, **changes):
    """Evidence of a test that found this rate, with all that a refutation needs."""
    low, high = (mbps - spread) * MBPS, (mbps + spread) * MBPS
    verdict = "proved" if low >= 100 * MBPS else "refuted" if high < 100 * MBPS else "inconclusive"
    measurement = Measurement(
        method="udp",
        method_version="1",
        verdict=verdict,
        reason="" if verdict != "inconclusive" else "at_contract",
        wall=wall,
        seconds=0.62,
        bytes=8_912_000,
        bounds=Bounds(low, mbps * MBPS, high),
        confidence=0.999,
        goodput_bits_per_second=mbps * MBPS * 0.97,
        burst_bytes=1_000_000,
        bins=tuple((0.05, int(mbps * MBPS * 0.05 / 8)) for _ in range(12)),
    )
    given = {
        "measurement": measurement,
        "control": Control(wall=wall - 90, anchor="head-end", direction=direction, low=412 * MBPS),
        "cross": Bounds(0.0, 0.2 * MBPS, 1.5 * MBPS),
        "router_cpu_ratio": 0.31,
        "clock": Clock(synchronised=True, source="chrony", moved_seconds=0.0001),
    }
    return Evidence(**{"direction": direction, "contract": 100 * MBPS, "wall": wall + 5, **given, **changes})


def busy(wall, mbps):
    """Evidence of real traffic."""
    readings = tuple(
        CounterReading(
            at=10.0 * n,
            octets=int(mbps * MBPS / 8 / 1500 * 10 * n) * 1518,
            packets=int(mbps * MBPS / 8 / 1500 * 10 * n),
            uptime_seconds=10.0 * n,
        )
        for n in range(7)
    )
    return Evidence(direction="down", contract=100 * MBPS, wall=wall, counters=Counters(readings=readings, wall=wall, cache_seconds=0.0))


def slow_port(wall):
    ports = tuple(PortReading(wall=wall - age, speed_bits_per_second=10 * MBPS, full_duplex=False) for age in (70.0, 10.0))
    return Evidence(direction="up", contract=100 * MBPS, wall=wall, ports=ports)


def sealed(ledger, evidence, *, site=SITE, line=LINE):
    record = record_of(
        Subject(site, line), evidence, judge(evidence), Limits(), recorded_wall=evidence.wall + 1, zone=ZONE, version=__version__
    )
    return ledger.append(record)


def a_month(state_directory):
    """October 2026 of Nà Tấu, and a record of another site in between and after."""
    ledger = Ledger(state_directory)
    other = Site(id="pu-nhi", name="Pú Nhi", full_name="Xã Pú Nhi")
    sealed(ledger, run_at(october(1) - 86_400 * 2, 103))
    sealed(ledger, run_at(october(1), 104.2))
    sealed(ledger, run_at(october(3), 112), site=other)
    sealed(ledger, busy(october(8, 10), 118))
    sealed(ledger, run_at(october(12), 78.4))
    sealed(ledger, run_at(october(12, 4), 80.1))
    sealed(ledger, run_at(october(14), 78, cross=Bounds(0.0, 20 * MBPS, 60 * MBPS)))
    sealed(ledger, run_at(october(15), 78, control=None))
    sealed(ledger, run_at(october(16), 100.2))
    sealed(ledger, slow_port(october(20)))
    sealed(ledger, run_at(october(31, 23, 59), 79.9, direction="up"))
    sealed(ledger, run_at(october(31, 23, 59) + 60, 103))
    sealed(ledger, run_at(october(31) + 86_400 * 3, 110), site=other)
    return ledger
