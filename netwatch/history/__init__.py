"""What happened and what is still to be told, kept through kill -9 and power loss. The only SQL of netwatch (ADR 0004)."""

from netwatch.history._file import BackupRefused, Finding, Info, NoDatabase, backup, describe, findings, has_wal_reset_bug
from netwatch.history._history import History, OutboxRow, Stored
from netwatch.history._schema import DATABASE_NAME, HistoryFailed, HistoryRefused

__all__ = [
    "DATABASE_NAME",
    "BackupRefused",
    "Finding",
    "History",
    "HistoryFailed",
    "HistoryRefused",
    "Info",
    "NoDatabase",
    "OutboxRow",
    "Stored",
    "backup",
    "describe",
    "findings",
    "has_wal_reset_bug",
]
