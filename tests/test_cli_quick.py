"""What the command line makes of its arguments is what Typer alone would make of them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer import core
from typer._click.exceptions import UsageError

from netwatch.cli import _quick


class Shape(StrEnum):
    ROUND = "round"


def parsed(arguments, environment=None):
    """What a command gets, or how Typer refuses it."""
    app = typer.Typer(pretty_exceptions_enable=False)
    got = []

    @app.command()
    def command(
        word: str,
        path: Annotated[Path | None, typer.Option()] = None,
        file: Annotated[Path | None, typer.Option(exists=True)] = None,
        number: Annotated[int, typer.Option(min=1)] = 7,
        shape: Annotated[Shape, typer.Option()] = Shape.ROUND,
        many: Annotated[list[str] | None, typer.Option()] = None,
        flag: Annotated[bool, typer.Option("--flag", envvar="A_FLAG")] = False,
        other: Annotated[str, typer.Option(parser=str.upper)] = "x",
    ) -> None:
        got.extend([word, path, file, number, shape, many, flag, other])

    try:
        app(arguments, standalone_mode=False)
    except UsageError as refused:
        return type(refused).__name__, refused.format_message()
    return got


@pytest.fixture
def both(monkeypatch):
    def run(arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with monkeypatch.context() as alone:
            alone.setattr(core, "build_runtime_param", _quick._coercion.build_runtime_param)
            typers = parsed(arguments)
            _quick.install()
            return typers, parsed(arguments)

    return run


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ((), {}),
        (("a",), {}),
        (("",), {}),
        (("Nà Tấu", "--path", "x/../y", "--flag"), {}),
        (("a", "--path", ""), {}),
        (("a", "--file", "/nonexistent"), {}),
        (("a", "--number", "0"), {}),
        (("a", "--number", "x"), {}),
        (("a", "--shape", "square"), {}),
        (("a", "--many", "1", "--many", "2", "--other", "low"), {}),
        (("a",), {"A_FLAG": "1"}),
        (("a",), {"A_FLAG": "perhaps"}),
    ],
)
def test_arguments_become_what_typer_makes_of_them(both, arguments, environment):
    typers, ours = both(arguments, **environment)
    assert ours == typers


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="\0")))
def test_any_text_and_path_does(word, path):
    with pytest.MonkeyPatch.context() as alone:
        alone.setattr(core, "build_runtime_param", core.build_runtime_param)
        _quick.install()
        assert parsed(["--path", path, "--", word])[:2] == [word, Path(path)]
