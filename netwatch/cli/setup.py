"""`netwatch setup systemd|grafana|prometheus`: the shipped files, where other programs look for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netwatch.install import Item

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Installs the unit, the dashboards or the rules.\n\n"
    "Exit codes: 0 done · 1 files that differ were left · 66 not in this installation · 73 cannot be written · 77 no permission",
)

Yes = Annotated[bool, typer.Option("--yes", help="Also replace files that differ; the old ones are kept as .bak.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))  # systemd.exec(5), ProtectHome=
SECRET = "etc/netwatch/credentials/snmp_community"  # noqa: S105  # a path, not a secret


@app.command()
def systemd(
    prefix: Annotated[Path, typer.Option("--prefix", help="The root to install beneath.")] = Path("/"),
    program: Annotated[Path | None, typer.Option("--program", help="The netwatch that the service runs; else this one.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Installs the hardened unit, its user, its folders, the right to ping, and an inventory to edit where there is none.

    Examples: netwatch setup systemd --dry-run · sudo /opt/netwatch/bin/netwatch setup systemd

    Exit codes: 0 done · 1 files that differ were left · 66 no such program · 73 cannot be written · 77 no permission
    """
    from netwatch import install

    runs = (program or Path(sys.executable).parent / "netwatch").absolute()
    if not runs.exists():
        fail(Exit.NO_INPUT, text("setup.program_missing", path=runs))
    hidden = any(runs.is_relative_to(place) for place in HIDDEN)
    if hidden:
        print(f"netwatch: {text('setup.program_hidden', path=runs)}", file=sys.stderr)
    root = prefix.absolute()
    _install(
        install.systemd(root, runs),
        (
            "systemd-sysusers && systemd-tmpfiles --create netwatch.conf && sysctl --system",
            text("setup.next_plan", path=root / install.INVENTORY),
            text("setup.next_secret", path=root / SECRET),
            "systemctl daemon-reload && systemctl enable --now netwatch",
        ),
        dry_run=dry_run,
        yes=yes,
    )


@app.command()
def grafana(
    folder: Annotated[Path, typer.Option("--dir", help="The folder to copy them to; made when it is not there.")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Copies the dashboards and the provisioning files.

    Examples: netwatch setup grafana --dir /etc/grafana/netwatch --dry-run · netwatch setup grafana --dir ./grafana

    Exit codes: 0 done · 1 files that differ were left · 66 none in this installation · 73 cannot be written · 77 no permission
    """
    from netwatch import install

    to = folder.absolute()
    _install(install.grafana(to), (text("setup.next_grafana", path=to),), name="grafana", dry_run=dry_run, yes=yes)


@app.command()
def prometheus(
    folder: Annotated[Path, typer.Option("--dir", help="The folder to copy them to; made when it is not there.")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Copies the rules, their tests and the example configurations for Prometheus and Alertmanager.

    Examples: netwatch setup prometheus --dir /etc/prometheus/netwatch --dry-run · netwatch setup prometheus --dir ./rules

    Exit codes: 0 done · 1 files that differ were left · 66 none in this installation · 73 cannot be written · 77 no permission
    """
    from netwatch import install, shipped

    to, shared = folder.absolute(), shipped.place("grafana")
    items = (*install.copies(shared / "prometheus", to), *install.copies(shared / "alertmanager", to / "alertmanager"))
    _install(items, (text("setup.next_prometheus", path=to),), name="prometheus", dry_run=dry_run, yes=yes)


def _install(items: Sequence[Item], then: Sequence[str], *, dry_run: bool, yes: bool, name: str = "systemd") -> None:
    """Says of every file what is done with it, does it, and says what comes next."""
    from netwatch.install import Verdict, put, verdict

    if not items:
        fail(Exit.NO_INPUT, text("setup.nothing", name=name))
    left = 0
    for item in items:
        try:
            found = verdict(item)
            writes = found is Verdict.NEW or (found is Verdict.DIFFERS and yes)
            saved = put(item) if writes and not dry_run else None
        except OSError as error:
            code = Exit.NO_PERMISSION if isinstance(error, PermissionError) else Exit.CANNOT_CREATE
            fail(code, text("setup.failed", path=item.path, why=error.strerror or error))
        print(f"{item.path}: {text('setup.replaced', saved=saved) if saved else text(f'setup.{found}')}")
        left += found is Verdict.DIFFERS and not writes
    if left:
        fail(Exit.FAILED, text("setup.left", count=left))
    print(text("setup.would") if dry_run else text("setup.next"))
    for line in () if dry_run else then:
        print(f"  {line}")
