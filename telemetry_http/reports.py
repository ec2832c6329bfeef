"""Reports on batches: what the service says became of many events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen


@frozen
class RejectedLine:
    """A line of a batch that was not recorded, or an element of a list; the first one is 1."""

    line: int
    detail: str


@frozen
class BatchReport:
    """
    What became of a batch.

    `first_seq` and `last_seq` are of those that were accepted; events of others may lie between.
    `duplicates` had been stored before, under their ids. `rejected` names the first lines that were
    refused, `rejected_total` says how many there are.
    """

    accepted: int
    duplicates: int
    first_seq: int | None
    last_seq: int | None
    rejected: Sequence[RejectedLine]
    rejected_total: int


def report_of(answer: Mapping[str, Any]) -> BatchReport:
    """
    Return the report in an *answer* of the service.

    Raises:
        KeyError, TypeError: There is none.
    """
    return BatchReport(
        answer["accepted"],
        answer["duplicates"],
        answer["first_seq"],
        answer["last_seq"],
        [RejectedLine(one["line"], one["detail"]) for one in answer["rejected"]],
        answer["rejected_total"],
    )


def added_up(reports: Sequence[tuple[int, BatchReport]]) -> BatchReport:
    """Return one report for blocks that followed each other; each comes with its size."""
    rejected: list[RejectedLine] = []
    before = 0
    for size, report in reports:
        rejected += [RejectedLine(before + one.line, one.detail) for one in report.rejected]
        before += size
    seqs = [seq for _, one in reports for seq in (one.first_seq, one.last_seq) if seq is not None]
    return BatchReport(
        sum(one.accepted for _, one in reports),
        sum(one.duplicates for _, one in reports),
        seqs[0] if seqs else None,
        seqs[-1] if seqs else None,
        rejected,
        sum(one.rejected_total for _, one in reports),
    )
