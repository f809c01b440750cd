"""How every command speaks: language, colour, tables, errors and exit codes."""

from __future__ import annotations

import json
import locale
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NoReturn

import typer

from netwatch.lang import LANGUAGES, Catalog, catalog

__all__ = ["Exit", "Failed", "configure", "fail", "print_json", "print_table", "run", "text", "wants_color"]


COMPLETING = "_NETWATCH_COMPLETE"  # set by the script of `netwatch completion`


class Exit(IntEnum):
    """ux conventions: plugins' codes below 4, sysexits.h above."""

    OK = 0
    FAILED = 1
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3
    USAGE = 64
    BAD_DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    CANNOT_CREATE = 73
    NO_PERMISSION = 77
    BAD_CONFIG = 78
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Failed(Exception):
    """Ends a command with one clear line on stderr and an exit code."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class _Choices:
    language = "vi"
    color = "auto"


_choices = _Choices()


def configure(language: str, color: str) -> None:
    """Takes the flags; an empty language falls back to NETWATCH_LANG, then LANG, then Vietnamese."""
    if color not in {"auto", "always", "never"}:
        raise Failed(Exit.USAGE, f"--color: {color!r}; auto, always or never")
    _choices.color = color
    named = language or os.environ.get("NETWATCH_LANG", "")
    if named and named not in LANGUAGES:
        raise Failed(Exit.USAGE, f"--lang: {named!r}; there are: {', '.join(LANGUAGES)}")
    _choices.language = named or ("en" if os.environ.get("LANG", "").startswith("en") else "vi")


def language() -> str:
    return _choices.language


def words() -> Catalog:
    return catalog(_choices.language)


def text(key: str, **fields: object) -> str:
    """A text of the chosen language."""
    return words().text(key, **fields)


def wants_color(stream: Any = None) -> bool:
    """no-color.org, CLICOLOR_FORCE, TERM=dumb and whether it is a terminal."""
    if _choices.color != "auto":
        return _choices.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return bool((stream or sys.stdout).isatty()) and os.environ.get("TERM") != "dumb"


def unicode_ok() -> bool:
    """Whether icons outside ASCII can be printed here."""
    return "utf" in (sys.stdout.encoding or locale.getpreferredencoding(do_setlocale=False)).lower()


def fail(code: int, message: str) -> NoReturn:
    raise Failed(code, message)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, allow_nan=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns under headings, without those that hold nothing; nothing is cut when the output is not a terminal."""
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    headings, rows = _without_empty_columns(headings, [tuple(row) for row in rows])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=not terminal, overflow="fold")
    widths = [len(heading) for heading in headings]
    for row in rows:
        table.add_row(*row)
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    widest = sum(widths) + 2 * len(widths)
    console = Console(
        force_terminal=wants_color(), no_color=not wants_color(), width=None if terminal else max(widest + 20, 120), highlight=False
    )
    console.print(table)


def _without_empty_columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    if not rows:
        return headings, rows
    kept = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    return [headings[column] for column in kept], [[row[column] for column in kept] for row in rows]


def run(app: typer.Typer, environment: Mapping[str, str]) -> int:
    """Runs the app and turns every ending into an exit code; no traceback for what a user can mend."""
    from typer._click import exceptions

    from netwatch.cli import _quick

    _quick.install()
    if COMPLETING in environment:
        from typer._completion_classes import completion_init

        completion_init()

    try:
        code = int(app(prog_name="netwatch", standalone_mode=False) or 0)
        sys.stdout.flush()  # here, where a reader that has gone is still handled
        return code
    except exceptions.NoArgsIsHelpError as shown:
        print(shown.format_message(), file=sys.stderr)
        return Exit.USAGE
    except exceptions.UsageError as error:
        print(f"netwatch: {error.format_message()}", file=sys.stderr)
        if error.ctx is not None:
            print(f"{error.ctx.get_usage()}", file=sys.stderr)
        return Exit.USAGE
    except Failed as failure:
        print(f"netwatch: {failure}", file=sys.stderr)
        return failure.code
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except typer.Exit as ending:
        return ending.exit_code
    except (BrokenPipeError, ExceptionGroup, SystemExit) as ending:
        if not _is_broken_pipe(ending):
            raise
        return _reader_has_gone()


def _is_broken_pipe(ending: BaseException) -> bool:
    """Also when several tasks met it, or when Typer has caught it first."""
    if isinstance(ending, ExceptionGroup):
        return ending.split(BrokenPipeError)[1] is None
    return isinstance(ending, BrokenPipeError) or isinstance(ending.__context__, BrokenPipeError)


def _reader_has_gone() -> int:
    """As with `| head`: the interpreter must not complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return Exit.BROKEN_PIPE
