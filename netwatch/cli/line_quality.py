"""`netwatch line quality`: what a site's lines are like for a conference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwatch.cli._common import Format, Socket, complete_site, find
from netwatch.cli._output import Exit, fail, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["quality"]

MOS_METHODS = ("g107", "simple", "shortcut")
COLUMNS = ("line", "measured_by", "sent", "loss", "p10", "p50", "p99", "jitter", "voice", "video")


def quality(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site's id or name.", autocompletion=complete_site)],
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1440, help="How far back to look.")] = 5,
    mos_method: Annotated[str, typer.Option("--mos-method", help="g107 (E-model), simple (Cole-Rosenbluth) or shortcut.")] = "g107",
    meeting: Annotated[bool, typer.Option("--meeting", help="Judge video as strictly as in a meeting, also while none is on.")] = False,
    output: Format = "table",
    socket: Socket = None,
) -> None:
    """Loss, delay and jitter of a site's lines, a voice estimate, and whether HD video bears it.

    Examples: netwatch line quality na-tau · netwatch line quality na-tau --minutes 60 --meeting -o json

    Exit codes: 0 done · 64 usage · 66 no such site · 69 the daemon does not answer
    """
    from netwatch.cli import _records
    from netwatch.cli._daemon import daemon

    shape = _records.shape(output)
    if mos_method not in MOS_METHODS:
        fail(Exit.USAGE, text("quality.mos_method", given=mos_method[:40], known=", ".join(MOS_METHODS)))
    reached = daemon(socket, Exit.UNAVAILABLE)
    slug = find(reached, site).site["id"]
    status, document = reached.get(f"/api/v1/sites/{slug}/quality?minutes={minutes}&mos_method={mos_method}&meeting={int(meeting)}")
    if status != 200:
        fail(Exit.USAGE if status == 400 else Exit.UNAVAILABLE, text("quality.none", why=str(document.get("text", status))[:200]))
    lines = document["lines"]
    more = {key: document[key] for key in ("site", "wall", "since", "meeting")}
    flat = [_flat(one) for one in lines] if shape == "csv" else lines
    headings = (
        {key: key for key in (flat[0] if flat else ())} if shape == "csv" else {key: text(f"quality.column_{key}") for key in COLUMNS}
    )
    _records.print_records(shape, "netwatch/v1/quality", flat, headings, table=[_row(one) for one in lines], **more)
    if shape == "table":
        print(text("quality.note", minutes=minutes))


def _row(one: Mapping[str, Any]) -> Sequence[str]:
    voice, rtt = one.get("voice_estimate"), one.get("rtt_seconds", {})
    return (
        one["line"],
        one["measured_by"],
        str(one["sent"]),
        _number(one.get("loss_ratio"), 100, "{:.2f} %"),
        *(_number(rtt.get(point), 1000, "{:.1f} ms") for point in ("p10", "p50", "p99")),
        _number(one.get("jitter_seconds"), 1000, "{:.1f} ms"),
        text("quality.voice", r=_number(voice["r"], 1, "{:.0f}"), mos=_number(voice["mos"], 1, "{:.1f}")) if voice else "–",
        text(f"quality.video_{one['video_hd']}"),
    )


def _number(value: float | None, times: float, shape: str) -> str:
    from netwatch.cli._output import language

    if value is None:
        return "–"
    written = shape.format(value * times)
    return written.replace(".", ",") if language() == "vi" else written


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    """The same keys for every line, also one of which nothing is known."""
    rtt, voice = one.get("rtt_seconds", {}), one.get("voice_estimate") or {}
    plain = ("line", "check", "measured_by", "sent", "received", "loss_ratio", "rtt_mean_seconds", "jitter_seconds", "ipdv_p95_seconds")
    return {
        **{key: one.get(key) for key in plain},
        **{f"rtt_p{point}_seconds": rtt.get(f"p{point}") for point in (10, 25, 50, 75, 90, 95, 99)},
        **{f"voice_estimate_{key}": voice.get(key) for key in ("r", "mos", "mos_method")},
        "video_hd": one["video_hd"],
    }
