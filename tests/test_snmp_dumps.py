"""Dumps of real devices, played by snmpsim and read by the probe; beside an independent reading of the same files.

These are the small ones and one of each maker; `tools/devices.py` reads them all.
"""

import asyncio

import pytest

from probes._snmp_text import clean
from tests.dump_reader import ETHERNET, IF, IFX, Looked
from tests.snmp_agent import poll, probe, told
from tests.snmp_dumps import read_twice, simulator, unpack

PROFILES = {
    "UPS-apc-8932": "pdu",
    "UPS-eaton-93e-80": "ups",
    "UPS-eaton-9px-partial": "ups",
    "UPS-emerson-network-power": "ups",
    "UPS-huawei-gse200m": "ups",
    "UPS-ingrasys-power-switch": "ups",
    "UPS-phoenixtec-power": "ups",
    "UPS-eastpower-istars-swv053": "ups",
    "UPS-vertiv-power": "sensor",
    "iot-geist-temperature-sensor": "sensor",
    "camera-hikvision": "camera",
    "camera-hikvision-network-video-recorder": "camera",
    "camera-samsung-ipolis": "camera",
    "camera-semac-ipcam-500": "camera",
    "camera-wds-ips-1022": "device",
    "linux-ibm-x3550-m3": "server",
    "linux-unknown-007": "server",
    "windows-XP": "server",
    "windows-server-2003-5-2": "server",
    "firewall-clavister-amaranten": "router",
    "firewall-paloalto-pa-5000": "router",
    "firewall-venus-vsos-v070060600": "router",
    "router-cisco-unmarked-0": "switch",
    "router-huawei-s5720": "switch",
    "switch-brocade-icx6430-24": "switch",
    "switch-cisco-c3560": "switch",
    "switch-dlink-des3038": "switch",
    "switch-h3c-e528-2": "switch",
    "switch-ruijie-s5750-24gt12sfp": "switch",
    "wifi-aruba-7020": "wifi-controller",
    "wifi-ubiquiti-m5": "wifi-ap",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """port, {name: {OID: value}}. One start for the whole file: it indexes the dumps first."""
    dumps, cache = tmp_path_factory.mktemp("dumps"), tmp_path_factory.mktemp("cache")
    records = {name: unpack(name, dumps) for name in PROFILES}
    with simulator(dumps, cache) as port:
        yield port, records


def read(played, name, profile="auto"):
    return asyncio.run(poll(probe(played[0], profile, timeout_seconds=5.0), seconds=100, community=name))


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_read_twice_of_a_real_device_stands_in_its_dump(played, name):
    first, second = asyncio.run(read_twice(played[0], name))
    looked = Looked(name, first, second, played[1][name])
    assert looked.profile == PROFILES[name]
    assert looked.absurd() == []
    told_again = {sample.name for sample in second.samples} - {sample.name for sample in first.samples}
    assert told_again <= {"device_reboots"} | {sample.name for sample in second.samples if sample.name.endswith("_per_second")}
    for metric in {sample.name for sample in first.samples} - {
        "uptime_seconds",
        "cpu_ratio",
        "sensor_temperature_celsius",
        "sensor_humidity_ratio",
    }:
        assert told(second, metric) == told(first, metric)


def ports_of(records, kind=ETHERNET):
    """name: (up, bytes a second) of the ports that are switched on, read off the dump."""
    found = {}
    for oid, description in records.items():
        if not oid.startswith(f"{IF}.2."):
            continue
        index = oid.removeprefix(f"{IF}.2.")
        if records[f"{IF}.3.{index}"] != kind or records[f"{IF}.7.{index}"] != 1:
            continue
        name = records.get(f"{IFX}.1.{index}", description).decode().strip("\0")
        speed = records[f"{IFX}.15.{index}"] * 1_000_000 if f"{IFX}.15.{index}" in records else records[f"{IF}.5.{index}"]
        found[name] = (float(records[f"{IF}.8.{index}"] == 1), speed / 8)
    return found


def check_system(reading, records):
    assert told(reading, "uptime_seconds") == {"": records["1.3.6.1.2.1.1.3.0"] / 100}
    assert reading.facts["sysObjectID"] == records["1.3.6.1.2.1.1.2.0"]
    assert reading.facts["sysDescr"] == clean(records["1.3.6.1.2.1.1.1.0"])
    assert reading.facts.get("sysName", "").encode() == records["1.3.6.1.2.1.1.5.0"]
    assert reading.detail == ""


def check_ports(reading, expected):
    assert told(reading, "interface_up") == {name: up for name, (up, _) in expected.items()}
    assert told(reading, "interface_speed_bytes_per_second") == {name: speed for name, (_, speed) in expected.items() if speed}


def test_switch_of_cisco(played):
    records = played[1]["switch-cisco-c3560"]
    reading = read(played, "switch-cisco-c3560")
    assert (reading.facts["model"], reading.facts["serial"], reading.facts["firmware"]) == (
        "WS-C3560G-48TS-E",
        "FOC1408Z61U",
        "12.2(55)SE3",
    )
    check_system(reading, records)
    expected = ports_of(records)
    assert len(expected) > 40
    check_ports(reading, expected)
    assert told(reading, "cpu_ratio") == {"": records["1.3.6.1.4.1.9.9.109.1.1.1.1.7.1"] / 100}
    used, free = records["1.3.6.1.4.1.9.9.48.1.1.1.5.1"], records["1.3.6.1.4.1.9.9.48.1.1.1.6.1"]
    assert told(reading, "memory_ratio")[""] == pytest.approx(used / (used + free))
    assert told(reading, "temperature_celsius") == {"": 61.0}
    assert set(told(reading, "interface_half_duplex").values()) == {0.0}


def test_switch_of_huawei(played):
    records = played[1]["router-huawei-s5720"]
    reading = read(played, "router-huawei-s5720")
    check_system(reading, records)
    expected = ports_of(records)
    assert len(expected) > 30
    check_ports(reading, expected)
    assert reading.facts["alias XGigabitEthernet0/0/1"] == "From-duomeiti-huiju"
    assert (reading.facts["model"], reading.facts["serial"]) == ("HUAWEI S5720 Routing Switch", "210235956210F7000410")
    # Rows of fans and power supplies have 0 for processor and memory: only the board's row counts.
    assert told(reading, "cpu_ratio") == {"": pytest.approx(0.38)}
    assert told(reading, "memory_ratio") == {"": pytest.approx(0.07)}
    assert told(reading, "temperature_celsius") == {"": 42.0}


def test_power_strip_of_apc(played):
    records = played[1]["UPS-apc-8932"]
    reading = read(played, "UPS-apc-8932")
    assert (reading.facts["model"], reading.facts["serial"]) == ("AP8932", "3F503A169043")
    check_system(reading, records)
    assert told(reading, "pdu_power_watts") == {"": records["1.3.6.1.4.1.318.1.1.26.4.3.1.5.1"] * 10}
    assert told(reading, "pdu_energy_joules")[""] == pytest.approx(records["1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"] / 10 * 3_600_000)
    assert told(reading, "pdu_phase_amperes") == {"1": pytest.approx(1.4)}
    assert told(reading, "pdu_overload") == {"": 0.0}


def test_access_point_of_ubiquiti_without_64_bit_counters(played):
    records = played[1]["wifi-ubiquiti-m5"]
    reading = read(played, "wifi-ubiquiti-m5")
    assert reading.facts["wireless_name"] == "patrikeevo"
    check_system(reading, records)
    expected = {name: port for name, port in ports_of(records).items() if name in {"eth0", "eth1", "wifi0", "ath0"}}
    check_ports(reading, expected)
    assert told(reading, "ap_clients") == {"": records["1.3.6.1.4.1.41112.1.4.5.1.15.1"]}
    assert told(reading, "radio_signal_dbm") == {"": -64.0}


def test_camera_that_has_no_system_group_and_writes_its_numbers_out(played):
    records = played[1]["camera-hikvision"]
    reading = read(played, "camera-hikvision")
    assert records["1.3.6.1.4.1.39165.1.7.0"] == b"52 PERCENT"
    assert told(reading, "cpu_ratio") == {"": 0.52}
    assert told(reading, "memory_ratio") == {"": 0.75}
    assert told(reading, "uptime_seconds") == {}
    assert reading.facts == {"profile": "camera", "model": "DS-2CD4C36FWD-AP", "firmware": "V5.5.80 build 190131"}


def test_recorder_with_hardly_anything(played):
    check_system(read(played, "camera-hikvision-network-video-recorder"), played[1]["camera-hikvision-network-video-recorder"])


def test_ups_of_eaton_by_the_makers_own_mib(played):
    reading = read(played, "UPS-eaton-9px-partial")
    assert (reading.facts["model"], reading.facts["serial"]) == ("Eaton 9PX 2200i RT 3U", "GX13G45099")
    expected = {"ups_on_battery": 0, "ups_on_bypass": 0, "ups_charge_ratio": 1, "ups_runtime_seconds": 17_218, "ups_input_volts": 243}
    assert {name: told(reading, name)[""] for name in expected} == expected


def test_ups_of_huawei_that_answers_minus_one_and_tenths_of_volts(played):
    records = played[1]["UPS-huawei-gse200m"]
    assert (records["1.3.6.1.2.1.33.1.2.3.0"], records["1.3.6.1.2.1.33.1.2.4.0"], records["1.3.6.1.2.1.33.1.3.3.1.3.1"]) == (-1, -1, 2369)
    reading = read(played, "UPS-huawei-gse200m")
    assert told(reading, "ups_charge_ratio") == {"": 1.0}
    assert told(reading, "ups_runtime_seconds") == {"": 28_080.0}
    assert told(reading, "ups_input_volts") == {"": pytest.approx(234.7)}
    assert told(reading, "ups_temperature_celsius") == {}


@pytest.mark.parametrize("name", ["UPS-eastpower-istars-swv053", "UPS-ingrasys-power-switch", "UPS-phoenixtec-power"])
def test_ups_that_says_no_minutes_are_left_while_it_has_mains_tells_no_runtime(played, name):
    assert played[1][name]["1.3.6.1.2.1.33.1.2.3.0"] == 0
    reading = read(played, name)
    assert told(reading, "ups_on_battery") == {"": 0.0}
    assert told(reading, "ups_runtime_seconds") == {}


def test_air_of_a_room_by_geist_and_vertiv(played):
    geist, vertiv = read(played, "iot-geist-temperature-sensor"), read(played, "UPS-vertiv-power")
    (temperature,) = told(geist, "sensor_temperature_celsius").values()
    assert 10 <= temperature <= 30  # it moves
    assert told(vertiv, "sensor_temperature_celsius") == {"1": 23, "3": 23, "4": 29, "5": 37}
    assert told(vertiv, "sensor_humidity_ratio") == {"1": 0.42, "2": 0.42}


def test_switch_that_tells_bits_for_megabits_is_not_called_a_hundred_terabits(played):
    assert played[1]["switch-dlink-des3038"][f"{IFX}.15.2"] == 100_000_000
    assert set(told(read(played, "switch-dlink-des3038"), "interface_speed_bytes_per_second").values()) <= {1.25e6, 1.25e7, 1.25e8}


def test_disks_and_services_of_windows(played):
    reading = read(played, "windows-XP")
    assert told(reading, "filesystem_ratio").keys() == {"C:\\ Label: Serial Number 1848504c", "Z:\\ Label: Serial Number ba85e1bf"}
    assert told(reading, "service_failed")["Event Log"] == 0.0


def test_access_points_of_aruba_by_name(played):
    assert told(read(played, "wifi-aruba-7020"), "access_point_up") == {"WRD-AP-01": 0.0, "WRD-EC": 1.0, "WRD-WS": 0.0}


def test_a_second_run_asks_for_the_same(played):
    async def scenario():
        snmp = probe(played[0], "auto", timeout_seconds=5.0)
        await poll(snmp, seconds=100, community="switch-cisco-c3560")
        learned = snmp._state.plan
        await poll(snmp, seconds=100, community="switch-cisco-c3560")
        assert snmp._state.plan is learned

    asyncio.run(scenario())


def test_a_wrong_profile_finds_little_and_breaks_nothing(played):
    reading = read(played, "UPS-apc-8932", profile="ups")
    assert all(sample.name == "uptime_seconds" or sample.name.startswith("interface_") for sample in reading.samples)
