"""Lists as tables, JSON, JSON lines or CSV: `-o`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netwatch.cli import _output
from netwatch.cli._output import Exit

__all__ = ["SHAPES", "csv_line", "print_records", "shape"]

SHAPES = ("table", "json", "jsonl", "csv")
LINE_END = "\r\n"  # RFC 4180
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would run


def shape(output: str, known: Sequence[str] = SHAPES) -> str:
    """The shape asked for. Raises Failed for one there is not."""
    if output not in known:
        _output.fail(Exit.USAGE, _output.text("cli.bad_output", name=output, near=", ".join(known)))
    return output


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV; a stranger's text that a spreadsheet would take for a formula is put in quotes of its own."""
    text = io.StringIO()
    csv.writer(text, lineterminator=LINE_END).writerow([_harmless(cell) for cell in cells])
    return text.getvalue().removesuffix(LINE_END)


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(FORMULA) and len(cell) > 1:
        return f"'{cell}"
    return "" if cell is None else cell


def print_records(
    output: str,
    schema: str,
    records: Sequence[Mapping[str, Any]],
    headings: Mapping[str, str],
    *,
    table: Iterable[Sequence[str]] | None = None,
    **more: Any,
) -> None:
    """`headings` names the fields that CSV and the table show; `table` is for a table that says things in other words."""
    if output == "json":
        _output.print_json({"schema": schema, **more, "records": list(records)})
    elif output == "jsonl":
        sys.stdout.write("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records))
    elif output == "csv":
        sys.stdout.write(
            "".join(csv_line(cells) + LINE_END for cells in (list(headings), *([one[key] for key in headings] for one in records)))
        )
    else:
        rows = table if table is not None else ([str(one[key]) for key in headings] for one in records)
        _output.print_table(list(headings.values()), rows)
