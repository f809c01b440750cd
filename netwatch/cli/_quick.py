"""Keeps pydantic away from commands that take nothing but texts, paths and flags: Typer loads it for every parameter, for 0.1 s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer import _coercion, core

if TYPE_CHECKING:
    from typer._click import Context

__all__ = ["install"]

AS_THEY_ARE = (str, Path)
PATH_CHECKS = ("exists", "writable", "resolve_path", "allow_dash")


def install() -> None:
    """From now on. What Typer makes of a text, a path or a flag that is not given is made here; all else it makes itself."""
    core.build_runtime_param = _built  # type: ignore[attr-defined]  # not exported; tests notice when Typer stops looking there


def _built(descriptor: _coercion.TypeDescriptor) -> _coercion.RuntimeParam:
    about = descriptor.parameter_info
    checked = about.parser is not None or any(getattr(about, name) for name in PATH_CHECKS)
    if descriptor.annotation in AS_THEY_ARE and not checked:
        return _AsItIs(about, descriptor.annotation)
    if descriptor.annotation is bool:
        return _Flag(about, descriptor.annotation, descriptor)
    return _coercion.build_runtime_param(descriptor)


@dataclass(frozen=True)
class _AsItIs(_coercion.RuntimeParam):
    def _coerce_value(self, value: Any, param: core._TyperParameter, ctx: Context) -> Any:  # noqa: ARG002  # as Typer calls it
        return self.annotation(value)


@dataclass(frozen=True)
class _Flag(_coercion.RuntimeParam):
    """A flag that is not given is None, which Typer handles before; one from the environment is a text."""

    descriptor: _coercion.TypeDescriptor

    def _coerce_value(self, value: Any, param: core._TyperParameter, ctx: Context) -> Any:
        return _coercion.build_runtime_param(self.descriptor).coerce(value, param, ctx)
