"""`netwatch line`: what is known of a site's lines."""

from __future__ import annotations

import typer

from netwatch.cli import line_quality

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The lines of a site: what they are like.")
app.command("quality")(line_quality.quality)
