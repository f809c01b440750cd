"""Logging: one line an event on stderr, `key=value`; what comes from devices can neither break a line nor colour it."""

from __future__ import annotations

import json
import logging
import sys

__all__ = ["LineFormatter", "configure"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """`2026-11-24T02:47:00+0700 INFO netwatch.daemon belief changed check=na-tau/line/icmp new=crit`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_quoted(value)}" for name, value in vars(record).items() if name not in _STANDARD)
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        line = f"{stamp} {record.levelname} {record.name} {_quoted_message(record.getMessage())} {fields}".rstrip()
        if record.exc_info:
            line += " trace=" + json.dumps(self.formatException(record.exc_info))
        return line


def _quoted(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


def _quoted_message(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)


def configure(level: str) -> None:
    """Sends netwatch's and the libraries' records to stderr. Raises ValueError for a level there is none of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
