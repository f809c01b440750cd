"""`netwatch lab`: faults by hand, with clear endings when there is no lab or no such place."""

import json

import pytest

from netwatch.cli import _output, app
from netwatch.lab import network
from netwatch.lab.client import ask
from netwatch.lab.lab import Lab
from tests.lab_inventory import inventory

needs_lines = pytest.mark.skipif(bool(network.why_not()), reason="no network namespaces or no /dev/net/tun here")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    made = Lab.start(inventory("127.45"), tmp_path_factory.mktemp("lab") / "lab.sock", community="public", why_not="a test")
    yield made
    made.close()


@pytest.fixture
def own_network(tmp_path):
    made = Lab.start(inventory(), tmp_path / "lab.sock", community="public")
    yield made
    made.close()


@pytest.fixture
def run(lab, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["netwatch", "--lang", "en", "lab", *arguments, "--socket", str(lab.control_path)])
        code = _output.run(app, {})
        captured = capsys.readouterr()
        return int(code), captured.out + captured.err

    return run


COMMANDS = [
    (("power", "alpha/vc", "off"), "alpha/vc: off"),
    (("paper", "alpha", "out"), "alpha/printer1: paper out"),
    (("toner", "alpha/printer1", "7%"), "alpha/printer1: toner 7%"),
    (("toner", "alpha/printer1", "0.07"), "alpha/printer1: toner 7%"),
    (("ups", "ring=south", "battery", "--lasts", "20m", "--charge", "80%"), "gamma/ups: battery"),
    (("port", "alpha/router", "ether2", "down"), "alpha/router: ports down ether2"),
    (("errors", "alpha/router", "ether1", "5"), "alpha/router: errors ether1"),
    (("snmp", "alpha/router", "1.3.6.1.2.1.1.5.0", "x"), "alpha/router: set 1.3.6.1.2.1.1.5.0"),
    (("reboot", "alpha/ap1", "--takes", "1h"), "alpha/ap1: off"),
]


@pytest.mark.parametrize(("command", "trouble"), COMMANDS)
def test_each_command_makes_its_fault_true_and_restore_ends_it(lab, run, command, trouble):
    assert run(*command)[0] == 0
    assert ask(lab.control_path, {})["troubles"] == [trouble]
    place, _, device = trouble.partition(":")[0].partition("/")
    assert run("restore", f"{place}/{device}")[0] == 0
    assert ask(lab.control_path, {})["troubles"] == []


@pytest.mark.parametrize(
    "command",
    [("cut", "alpha"), ("loss", "alpha", "5%"), ("delay", "alpha", "80ms"), ("rate", "*", "--down", "64 Mbps"), ("uplink", "down")],
)
def test_without_lines_a_line_fault_says_why(run, command):
    code, said = run(*command)
    assert code == 1
    assert "no line can be cut (a test)" in said


@needs_lines
def test_a_line_is_named_by_its_site_or_by_the_option(own_network, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["netwatch", "--lang", "en", "lab", *arguments, "--socket", str(own_network.control_path)])
        return int(_output.run(app, {})), capsys.readouterr().err

    def troubles():
        return ask(own_network.control_path, {})["troubles"]

    assert run("cut", "alpha", "--line", "main")[0] == 0
    named = troubles()
    assert named
    assert run("restore", "alpha/main")[0] == 0
    assert troubles() == []
    assert run("cut", "alpha/main")[0] == 0
    assert troubles() == named
    assert run("loss", "alpha/none", "5%")[0] == 64
    assert run("cut", "alpha/main", "--line", "backup")[0] == 64
    assert run("cut", "alpha/")[0] == 64


BAD = [
    (("paper", "alfa", "out"), 'paper.site: there is no site alfa; did you mean "alpha"?'),
    (("paper", "ring=nort", "out"), 'no site has the tag ring=nort; did you mean "ring=north"?'),
    (("power", "alpha/router9", "off"), 'no device router9; did you mean "router"?'),
    (("power", "/router", "off"), "write SITE, SITE/DEVICE"),
    (("toner", "alpha", "lots"), "lots is not a ratio"),
    (("reboot", "alpha"), "the key device is missing"),
    (("paper", "alpha", "maybe"), "maybe"),
]


@pytest.mark.parametrize(("command", "words"), BAD)
def test_a_mistake_is_explained_and_changes_nothing(lab, run, command, words):
    code, said = run(*command)
    assert code == 64
    assert words in said
    assert ask(lab.control_path, {})["troubles"] == []


def test_the_state_is_told_in_words_and_as_json(lab, run):
    run("power", "alpha/vc", "off")
    code, said = run("status")
    assert code == 0
    assert "alpha/vc: off" in said
    document = json.loads(run("status", "-o", "json")[1])
    assert (document["schema"], document["mode"], document["troubles"]) == ("netwatch/v1/lab", "loopback", ["alpha/vc: off"])
    run("restore", "alpha/vc")
    assert "No faults are set." in run("status")[1]


def test_no_lab_is_exit_code_69(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["netwatch", "--lang", "en", "lab", "status", "--socket", str(tmp_path / "none.sock")])
    assert _output.run(app, {}) == 69
    assert "no lab answers" in capsys.readouterr().err
