"""The wheel, installed far from the source tree: all that an installation needs is in it."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ("inventory.yaml", "systemd", "grafana")


def run(*command, cwd, **environment):
    ended = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NETWATCH_LANG": "en"} | environment,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """A fresh environment with the wheel in it; the libraries are borrowed, the source tree is not."""
    folder = tmp_path_factory.mktemp("opt") / "netwatch"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    own = next(folder.glob("lib/python*/site-packages"))
    (own / "zz_borrowed.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin" / "netwatch"


def test_every_file_of_the_packages_and_of_what_is_shipped_is_in_the_wheel(wheel):
    listed = run("git", "ls-files", "netwatch", "probes", *SHARED, cwd=ROOT).split()
    wanted = {f"netwatch/share/{name}" if name.partition("/")[0] in SHARED else name for name in listed}
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_what_runs_is_the_wheel(elsewhere, tmp_path):
    where = run(elsewhere.parent / "python", "-c", "import netwatch, probes; print(netwatch.__file__, probes.__file__)", cwd=tmp_path)
    assert where.count(str(elsewhere.parent.parent)) == 2


def test_help_and_a_simulation_run_without_any_file_beside_them(elsewhere, tmp_path):
    assert "simulate" in run(elsewhere, "--help", cwd=tmp_path)
    assert "page" in run(elsewhere, "simulate", "demo", cwd=tmp_path)


def test_the_inventory_to_begin_with_is_sound_once_it_has_a_plan(elsewhere, tmp_path):
    run(elsewhere, "setup", "systemd", "--prefix", tmp_path, cwd=tmp_path)
    file = tmp_path / "etc/netwatch/inventory.yaml"
    file.write_text(file.read_text("utf-8").replace("A.B.{n}.0/24", "10.45.{n}.0/24"), "utf-8")
    (tmp_path / "secret_snmp_community").write_text("public")
    said = run(elsewhere, "inventory", "check", file, cwd=tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert said.startswith("45 communes")
    assert f"ExecStart={elsewhere} run" in (tmp_path / "etc/systemd/system/netwatch.service").read_text("utf-8")
