"""What a dump of a real device says, by a reader that shares nothing with the probe; and what the probe read of it."""

import dataclasses
import math

from tests.snmp_agent import told

SYSTEM, IF, IFX, ENTERPRISES = "1.3.6.1.2.1.1", "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1", "1.3.6.1.4.1"
ETHERNET, LOOPBACK = 6, 24
MOVES = object()  # a value that snmpsim makes up anew each time

# Where a kind's main status stands, and what stands there when it is bad.
ON_BATTERY = {
    "1.3.6.1.2.1.33.1.4.1.0": 5,
    f"{ENTERPRISES}.318.1.1.1.4.1.1.0": 3,
    f"{ENTERPRISES}.534.1.4.5.0": 5,
    f"{ENTERPRISES}.705.1.7.3.0": 1,
    f"{ENTERPRISES}.935.1.1.1.4.1.1.0": 3,
}
PERCENT_BUSY = tuple(
    f"{ENTERPRISES}.{branch}."
    for branch in (
        "9.9.109.1.1.1.1.7",
        "9.2.1.57",
        "14179.1.1.5.1",
        "2011.5.25.31.1.1.1.1.5",
        "25506.2.6.1.1.1.1.6",
        "2011.10.2.6.1.1.1.1.6",
        "2636.3.1.13.1.8",
        "12356.101.4.1.3",
        "4881.1.1.10.2.36.1.1.2",
        "171.12.1.1.6.2",
        "1991.1.1.2.1.52",
        "11.2.14.11.5.1.9.6.1",
        "14823.2.2.1.2.1.30",
        "14525.4.8.1.1.11.2",
        "5089.1.2.1.1",
        "35047.1.3",
        "39165.1.7",
        "2021.11.11",
    )
)
CORES = "1.3.6.1.2.1.25.3.3.1.2."
PHASES = f"{ENTERPRISES}.318.1.1.26.6.3.1.5."
STATIONS = (f"{ENTERPRISES}.41112.1.4.5.1.15.", f"{ENTERPRISES}.41112.1.6.1.2.1.8.")
JOINED = (
    f"{ENTERPRISES}.14823.2.2.1.1.3.1.0",
    f"{ENTERPRISES}.25053.1.3.1.1.1.15.1.0",
    f"{ENTERPRISES}.2011.6.139.12.1.2.1.0",
    f"{ENTERPRISES}.4881.1.1.10.2.56.1.1.11.0",
    f"{ENTERPRISES}.14525.4.5.1.1.1.0",
)
SERVES = {  # column of states: what says that an access point serves
    f"{ENTERPRISES}.14179.2.2.1.1.6.": {1},
    f"{ENTERPRISES}.14823.2.2.1.5.2.1.4.1.19.": {1},
    f"{ENTERPRISES}.2011.6.139.13.3.3.1.6.": {8, 11},
    f"{ENTERPRISES}.14525.4.5.1.1.2.1.5.": {7, 10},
}
DEGREES = {f"{ENTERPRISES}.476.1.42.3.4.1.3.3.1.3.": 1.0, f"{ENTERPRISES}.21239.5.1.2.1.5.": 0.1}
FULL = ("1.3.6.1.2.1.25.2.3.1.5.", "1.3.6.1.2.1.25.2.3.1.6.")
WANTED = (f"{SYSTEM}.", f"{IF}.", f"{IFX}.", "1.3.6.1.2.1.25.1.1.0", CORES, *FULL, PHASES, *STATIONS, *JOINED, *SERVES, *DEGREES)
WANTED += (*ON_BATTERY, *PERCENT_BUSY, "1.3.6.1.2.1.33.1.", f"{ENTERPRISES}.318.1.1.26.", "1.3.6.1.4.1.9.9.48.1.1.1.", "1.3.6.1.4.1.39165.")
WANTED += ("1.3.6.1.2.1.17.1.4.1.2.",)
CREDIBLE = {  # ending of a metric's name: from, to
    "_ratio": (0, 1),
    "_celsius": (-40, 150),
    "_volts": (0, 1000),
    "_amperes": (0, 1000),
    "_watts": (0, 1e6),
    "_dbm": (-130, 0),
    "_clients": (0, 1e5),
    "_points": (0, 1e5),
    "_speed_bytes_per_second": (1, 5e10),
    "_per_second": (0, 5e10),
    "uptime_seconds": (0, 2**32 / 100),
    "_runtime_seconds": (60, 7 * 86_400),
    "_joules": (0, 1e15),
    "device_reboots": (0, 0),
}


def under(records, *prefixes):
    return {oid: value for oid, value in records.items() if oid.startswith(prefixes)}


@dataclasses.dataclass
class Looked:
    """Two readings of a dump, beside the dump."""

    name: str
    first: object
    second: object
    records: dict

    @property
    def profile(self):
        return self.first.facts.get("profile", "none")

    def told(self, metric, reading=None):
        return told(reading or self.first, metric)

    def absurd(self):
        """What cannot be so, whatever the dump says, and what the dump says otherwise."""
        wrong = []
        for sample in (*self.first.samples, *self.second.samples):
            value = sample.values[0]
            low, high = next((bounds for ending, bounds in CREDIBLE.items() if sample.name.endswith(ending)), (0, 1))
            if sample.name == "ups_load_ratio":
                high = 3
            if not math.isfinite(value) or not low <= value <= high:
                wrong.append(f"{sample.name} {sample.instance} {value}")
        facts = (*self.first.facts.values(), *self.second.facts.values())
        wrong += [f"fact {fact!r}" for fact in facts if not fact.isprintable() or len(fact) > 256]
        return wrong + [one for one in (self.wrong_uptime(), self.wrong_ports(), self.wrong_status()) if one]

    def uptime(self):
        """As the dump has it: None, MOVES, or seconds. No agent is older than its host."""
        ticks = [self.records[oid] for oid in (f"{SYSTEM}.3.0", "1.3.6.1.2.1.25.1.1.0") if oid in self.records]
        if not ticks or MOVES in ticks:
            return MOVES if ticks else None
        return max(one for one in ticks if isinstance(one, int)) / 100

    def wrong_uptime(self):
        there, found = self.uptime(), self.told("uptime_seconds").get("")
        if (found is None) is (there is not None):
            return f"uptime: read {found}, dump has {there}"
        if found is not None and there is not MOVES and not math.isclose(found, there):
            return f"uptime: read {found}, dump has {there}"
        return ""

    def ports(self):
        """index: (names it may have, up, bytes a second or None) of every port that is switched on."""
        found = {}
        for oid, kind in under(self.records, f"{IF}.3.").items():
            index = oid.removeprefix(f"{IF}.3.")
            if kind == LOOPBACK or self.records.get(f"{IF}.7.{index}", 1) != 1 or f"{IF}.8.{index}" not in self.records:
                continue
            names = [self.records.get(f"{column}.{index}", b"") for column in (f"{IFX}.1", f"{IF}.2")]
            wide, narrow = self.records.get(f"{IFX}.15.{index}"), self.records.get(f"{IF}.5.{index}")
            speed = _speed(wide, narrow)
            found[index] = ([_plain(one) for one in names if one], self.records[f"{IF}.8.{index}"], speed, kind)
        return found

    def wrong_ports(self):
        by_name = {}
        for index, (names, oper, speed, _) in self.ports().items():
            for name in (*names, *(f"{name}#{index}" for name in names), f"#{index}"):
                by_name.setdefault(name, set()).add((oper == 1, speed))
        speeds = self.told("interface_speed_bytes_per_second")
        for name, up in self.told("interface_up").items():
            possible = by_name.get(_plain(name.encode()), set())
            if not possible or not any(up == is_up for is_up, _ in possible):
                return f"port {name}: read {up}, dump has {possible}"
            if name in speeds and not any(speed is not None and math.isclose(speeds[name], speed) for _, speed in possible):
                return f"port {name}: read {speeds[name]} bytes a second, dump has {possible}"
        return ""

    def status(self):
        """(metric, what the dump says it should be; MOVES where it moves) of this kind, or None where the dump has no such OID."""
        return STATUS.get(self.profile, lambda _: None)(self.records)

    def wrong_status(self):
        expected = self.status()
        if expected is None or expected[1] is MOVES:
            return ""
        metric, accepted = expected
        found = list(self.told(metric).values())
        if not found or any(not any(math.isclose(one, other, abs_tol=1e-6) for other in accepted) for one in found):
            return f"{metric}: read {found[:5]}, dump has {sorted(accepted)[:8]}"
        return ""


def _speed(wide, narrow):
    """A D-Link tells bits where it should tell megabits."""
    if isinstance(wide, int):
        return wide / 8 if wide >= 10_000_000 else wide * 125_000
    return narrow / 8 if isinstance(narrow, int) else None


def _plain(raw):
    return "".join(letter for letter in raw.decode("utf-8", "replace") if letter.isprintable() and letter != " ")


def _battery(records):
    for oid, bad in ON_BATTERY.items():
        if oid in records:
            return "ups_on_battery", {float(records[oid] == bad)}
    return None


def _busy(records):
    """Any row may be the busiest board; a text may have a unit behind its number."""
    rows = under(records, *PERCENT_BUSY) | under(records, CORES)
    if MOVES in rows.values():
        return "cpu_ratio", MOVES
    numbers = [float(value.split()[0]) if isinstance(value, bytes) else value for value in rows.values()]
    cores = [value for value in under(records, CORES).values() if isinstance(value, int)]
    accepted = {value / 100 for value in numbers} | ({sum(cores) / len(cores) / 100} if cores else set())
    accepted |= {1 - value / 100 for value in under(records, f"{ENTERPRISES}.2021.11.11.").values()}
    return ("cpu_ratio", accepted) if rows else None


def _amperes(records):
    rows = under(records, PHASES)
    return ("pdu_phase_amperes", {value / 10 for value in rows.values()}) if rows else None


def _clients(records):
    for prefix in STATIONS:
        if rows := under(records, prefix):
            return "ap_clients", {float(sum(rows.values()))}
    return None


def _joined(records):
    for prefix, good in SERVES.items():
        if rows := under(records, prefix):
            return "access_point_up", {float(value in good) for value in rows.values()}
    for oid in JOINED:
        if oid in records:
            return "controller_access_points", {float(records[oid])}
    return _busy(records)


def _degrees(records):
    for prefix, scale in DEGREES.items():
        if rows := under(records, prefix):
            return "sensor_temperature_celsius", MOVES if MOVES in rows.values() else {value * scale for value in rows.values()}
    return None


STATUS = {
    "ups": _battery,
    "pdu": _amperes,
    "router": _busy,
    "switch": _busy,
    "server": _busy,
    "camera": _busy,
    "wifi-ap": _clients,
    "wifi-controller": _joined,
    "sensor": _degrees,
}
