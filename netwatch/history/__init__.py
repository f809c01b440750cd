"""What happened and what is still to be told, kept through kill -9 and power loss. The only SQL of netwatch (ADR 0004)."""

from netwatch.history._alone import beside, prune_alone
from netwatch.history._charts import Point, Series
from netwatch.history._file import BackupRefused, Finding, Info, NoDatabase, backup, describe, findings, has_wal_reset_bug
from netwatch.history._history import History, OutboxRow, Stored
from netwatch.history._questions import Questions
from netwatch.history._recorded import Recorded
from netwatch.history._restore import Occupied, Unsound, restore
from netwatch.history._rollup import Summary
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
    "Occupied",
    "OutboxRow",
    "Point",
    "Questions",
    "Recorded",
    "Series",
    "Stored",
    "Summary",
    "Unsound",
    "backup",
    "beside",
    "describe",
    "findings",
    "has_wal_reset_bug",
    "prune_alone",
    "restore",
]
