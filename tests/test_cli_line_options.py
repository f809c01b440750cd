"""What `netwatch line` and `netwatch probe` make of options that are wrong, and of an inventory whose secrets are not at hand."""

import pytest

from netwatch import cli

INVENTORY = """\
version: 1
listen: 127.0.0.1:19999
plan: {site_net: "127.46.{n}.0/24", hosts: {main: 254}}
defaults: {line: {carrier: VNPT, contract: 100 Mbps, test: {address: 127.0.0.1, token: "${NETWATCH_TEST_NOT_SET}"}}}
roles: {commune: {lines: {main: {}}}}
sites: {na-tau: {n: 34, code: "03316"}}
"""


def run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["netwatch", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    return ended.value.code, told.out, told.err


def test_an_unknown_estimate_is_a_wrong_option_also_without_a_daemon(capsys, monkeypatch, tmp_path):
    code, _, said = run(
        capsys, monkeypatch, "--lang", "en", "line", "quality", "na-tau", "--mos-method", "x", "--socket", str(tmp_path / "none")
    )
    assert (code, "one of g107, simple, shortcut" in said) == (64, True)


@pytest.mark.parametrize(("language", "told"), [("vi", "99.0 lớn quá; nhiều nhất là 30.0"), ("en", "99.0 is too large; the most is 30.0")])
def test_a_probes_wrong_option_is_told_in_the_readers_language(capsys, monkeypatch, language, told):
    monkeypatch.setenv("NETWATCH_LINE_TOKEN", "word")
    asked = ("probe", "bandwidth", "127.0.0.1", "--contract", "100Mbps", "--direction", "down", "--max-seconds", "99")
    code, _, said = run(capsys, monkeypatch, "--lang", language, *asked)
    assert (code, f"--max-seconds: {told}" in said) == (64, True), said


def test_lines_are_listed_by_an_inventory_whose_secrets_are_not_set(capsys, monkeypatch, tmp_path):
    file = tmp_path / "inventory.yaml"
    file.write_text(INVENTORY)
    code, told, said = run(capsys, monkeypatch, "--lang", "en", "line", "list", "-i", str(file), "--state", str(tmp_path))
    assert (code, told.count("never tested"), said) == (0, 2, "")
    file.write_text(INVENTORY.replace("03316", "99999"))
    assert run(capsys, monkeypatch, "line", "list", "-i", str(file), "--state", str(tmp_path))[0] == 78


def test_an_inventory_that_nobody_named_need_not_be_sound(capsys, monkeypatch, tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY.replace("03316", "99999"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETWATCH_INVENTORY", raising=False)
    code, _, said = run(capsys, monkeypatch, "--lang", "en", "line", "list", "--state", str(tmp_path))
    assert (code, "is left out" in said) == (0, True)
