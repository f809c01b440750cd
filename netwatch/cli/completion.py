"""`netwatch completion`: what a shell needs to complete commands, options and the names of sites."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netwatch.cli import _output

__all__ = ["completion"]


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Prints a shell's completion script; site names come from the running daemon.

    Examples: netwatch completion bash | sudo tee /etc/bash_completion.d/netwatch · netwatch completion fish > ~/.config/fish/completions/netwatch.fish

    Exit codes: 0 done · 64 no such shell
    """
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="netwatch", complete_var=_output.COMPLETING, shell=shell.value))
