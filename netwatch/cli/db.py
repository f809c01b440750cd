"""`netwatch db`: the history file, looked at and copied while the daemon runs or without it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli import _output
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from netwatch.history import Info

__all__ = ["app", "clear_endings", "database_path", "restore"]

app = typer.Typer(
    name="db",
    no_args_is_help=True,
    help="The history file: what is in it, a copy of it, is it sound. `netwatch restore` puts a copy in force.\n\n"
    "Exit codes: 0 done · 1 failed, or damage found · 66 no history there · 69 the daemon does not answer · 77 no permission",
)


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


StateOption = Annotated[Path | None, typer.Option("--state", help="The state directory; else $STATE_DIRECTORY, else the user's.")]
SocketOption = Annotated[
    Path | None, typer.Option("--socket", help="The daemon to ask; else $NETWATCH_SOCKET, else the state directory's.")
]
FormOption = Annotated[Form, typer.Option("-o", "--output", help="table or json.")]


@app.command()
def info(state: StateOption = None, output: FormOption = Form.TABLE) -> None:
    """Size, schema, rows, oldest and newest entries.

    Examples: netwatch db info · netwatch db info --state /var/lib/netwatch -o json

    Exit codes: 0 done · 1 damaged · 66 no history there · 77 no permission
    """
    from netwatch.history import describe, has_wal_reset_bug

    with clear_endings():
        found = describe(database_path(state))
    if output is Form.JSON:
        _output.print_json({**_plain(dataclasses.asdict(found)), "wal_reset_bug": has_wal_reset_bug()})
        return
    _output.print_table((text("db.what"), text("db.value")), _lines(found))
    if has_wal_reset_bug():
        print(text("db.wal_reset_bug", version=found.sqlite_version))


@app.command()
def backup(
    to: Annotated[Path, typer.Option("--to", help="The file to make; it must not exist yet.")],
    state: StateOption = None,
    output: FormOption = Form.TABLE,
) -> None:
    """A copy of this moment in one file; the daemon goes on writing.

    Examples: netwatch db backup --to /var/backups/netwatch.db

    Exit codes: 0 done · 1 damaged · 66 no history there · 73 the copy cannot be made · 77 no permission
    """
    from netwatch import history

    with clear_endings():
        try:
            history.backup(database_path(state), to)
        except history.BackupRefused:
            fail(Exit.CANNOT_CREATE, text("db.backup_exists", path=to))
        except OSError as error:
            fail(Exit.CANNOT_CREATE, text("db.backup_failed", path=to, detail=error.strerror or error))
    size = to.stat().st_size
    if output is Form.JSON:
        _output.print_json({"path": str(to), "bytes": size})
    else:
        print(text("db.backup_done", path=to, size=_size(size)))


@app.command()
def check(state: StateOption = None, output: FormOption = Form.TABLE) -> None:
    """SQLite's integrity check and netwatch's own rules.

    Examples: netwatch db check · netwatch db check --state /var/lib/netwatch -o json

    Exit codes: 0 sound · 1 something is wrong · 66 no history there · 77 no permission
    """
    from netwatch.history import findings

    path = database_path(state)
    with clear_endings():
        found = findings(path)
    if output is Form.JSON:
        _output.print_json({"path": str(path), "ok": not found, "findings": [dataclasses.asdict(finding) for finding in found]})
    else:
        for finding in found:
            print(text(f"db.finding_{finding.rule}", detail=finding.detail))
        if not found:
            print(text("db.check_ok", path=path))
    if found:
        fail(Exit.FAILED, text("db.check_bad", path=path, count=len(found)))


@app.command()
def prune(state: StateOption = None, socket: SocketOption = None, output: FormOption = Form.TABLE) -> None:
    """Deletes at once what is older than is kept, and gives the space back; asks the daemon if one runs.

    Nothing need call it: the daemon does the same, a little every second.

    Examples: netwatch db prune · netwatch db prune --state /var/lib/netwatch

    Exit codes: 0 done · 1 failed · 66 no history there · 69 the daemon does not answer · 77 no permission
    """
    from netwatch.history import HistoryFailed, HistoryRefused, prune_alone

    path = database_path(state)
    named = socket or _answering_socket()
    try:
        if state is None and named is not None:  # a daemon is named, and no directory: its file may be anywhere
            path = named
            before, after = _prune_through_daemon(None, named)
        elif not path.exists():
            fail(Exit.NO_INPUT, text("db.no_file", path=path))
        else:
            with clear_endings(but="locked"):
                before, after = prune_alone(path)
    except HistoryRefused:  # a daemon has it
        before, after = _prune_through_daemon(state, socket)
    except HistoryFailed as failure:
        fail(Exit.FAILED, text("db.prune_failed", detail=failure))
    if output is Form.JSON:
        _output.print_json({"path": str(path), "bytes_before": before, "bytes_after": after})
    else:
        print(text("db.pruned", path=path, before=_size(before), after=_size(after)))


def _answering_socket() -> Path | None:
    """The one of the environment, unless nobody answers there: then the state directory's file is free to be pruned."""
    from netwatch import paths
    from netwatch.cli._daemon import answers

    value = os.environ.get(paths.SOCKET_VARIABLE)
    return Path(value) if value and answers(Path(value)) else None


def _prune_through_daemon(state: Path | None, socket: Path | None) -> tuple[int, int]:
    from netwatch import paths
    from netwatch.cli._daemon import daemon

    at = socket or (state / paths.SOCKET_NAME if state else None)
    status, answer = daemon(at, Exit.UNAVAILABLE, demo=False).prune()
    if status != 200:
        fail(Exit.FAILED, text("db.prune_failed", detail=answer.get("text", f"HTTP {status}")))
    return int(answer["bytes_before"]), int(answer["bytes_after"])


def restore(
    file: Annotated[Path, typer.Argument(help="A backup: from backups/ in the state directory, or of `netwatch db backup`.")],
    state: StateOption = None,
    force: Annotated[bool, typer.Option("--force", help="Move a history that is there aside.")] = False,
    output: FormOption = Form.TABLE,
) -> None:
    """Puts a backup of the history in force; netwatch must not be running.

    Examples: netwatch restore /var/lib/netwatch/backups/netwatch.db-20261124T031500Z --force

    Exit codes: 0 done · 1 the backup is damaged · 66 no such file · 69 netwatch runs · 73 there is a history already · 78 a newer one
    """
    import time

    from netwatch import history

    path = database_path(state)
    with clear_endings():
        try:
            aside = history.restore(file, path.parent, wall=time.time(), force=force)
        except history.Occupied as occupied:
            fail(Exit.CANNOT_CREATE, text("db.restore_occupied", path=occupied))
        except history.HistoryRefused as refusal:
            if refusal.code != "corrupt":
                raise
            fail(Exit.FAILED, text("db.restore_damaged", path=refusal.path, detail=refusal.detail))
        except history.Unsound as unsound:
            fail(Exit.FAILED, text("db.restore_unsound", path=file, count=len(unsound.findings), detail=unsound))
        except OSError as error:
            fail(Exit.CANNOT_CREATE, text("db.restore_failed", directory=path.parent, detail=error.strerror or error))
    if output is Form.JSON:
        _output.print_json({"path": str(path), "moved_aside": None if aside is None else str(aside)})
        return
    print(text("db.restored", directory=path.parent, file=file))
    if aside is not None:
        print(text("db.restored_aside", aside=aside))


def database_path(state: Path | None) -> Path:
    """The file in a state directory, else in the user's."""
    from netwatch.history import DATABASE_NAME
    from netwatch.paths import state_directory

    return (state or state_directory(os.environ)) / DATABASE_NAME


@contextlib.contextmanager
def clear_endings(but: str = "") -> Iterator[None]:
    """What may be wrong with the file, as one line and an exit code. `but` is a refusal that the caller has an answer to."""
    from netwatch.history import HistoryRefused, NoDatabase

    codes = {
        "corrupt": Exit.FAILED,
        "foreign": Exit.FAILED,
        "newer": Exit.BAD_CONFIG,
        "unwritable": Exit.NO_PERMISSION,
        "locked": Exit.UNAVAILABLE,
    }
    try:
        yield
    except NoDatabase as missing:
        fail(Exit.NO_INPUT, text("db.no_file", path=missing))
    except HistoryRefused as refusal:
        if refusal.code == but:
            raise
        fail(codes[refusal.code], text(f"db.refused_{refusal.code}", path=refusal.path, name=refusal.path.name, detail=refusal.detail))


def _lines(found: Info) -> Iterator[tuple[str, str]]:
    yield text("db.path"), str(found.path)
    yield text("db.size"), text("db.size_and_log", size=_size(found.file_bytes), log=_size(found.log_bytes))
    yield text("db.schema"), str(found.schema)
    yield text("db.sqlite"), found.sqlite_version
    yield text("db.last_alive"), _time(found.last_wall)
    yield text("db.samples_span"), text("db.span", oldest=_time(found.oldest_sample), newest=_time(found.newest_sample))
    yield text("db.transitions_span"), text("db.span", oldest=_time(found.oldest_transition), newest=_time(found.newest_transition))
    yield text("db.open_incidents"), str(found.open_incidents)
    yield text("db.pending_pages"), str(found.pending_pages)
    for table, rows in found.rows.items():
        yield text(f"db.rows_{table}"), str(rows)


def _time(wall: float | None) -> str:
    from datetime import UTC, datetime

    return "–" if wall is None else datetime.fromtimestamp(wall, UTC).astimezone().isoformat(" ", "seconds")


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in fields.items()}
