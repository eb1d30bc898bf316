"""The results: one row for each side of a case."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Sample:
    """The measurements of one whole process."""

    # Wall time, in s.
    wall: float
    # CPU time, in s.
    cpu: float
    # Peak memory, in MB.
    memory: float


@dataclass
class Row:
    """One side of a case, such as `bare rmcp` of `200 HTTP servers, no delay`."""

    case: str
    side: str
    # `s` (less is better), or a rate such as `lines/s` (more is better).
    unit: str
    samples: list[float]
    # For whole processes: the CPU times in s, and the peak memory in MB.
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    # Whether the other sides of the case are compared with this one.
    is_reference: bool = False

    @classmethod
    def of_processes(cls, case: str, side: str, samples: list[Sample], *, is_reference: bool) -> Row:
        wall, cpu = [sample.wall for sample in samples], [sample.cpu for sample in samples]
        return cls(case, side, "s", wall, cpu, [sample.memory for sample in samples], is_reference)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find(rows: list[Row], case: str, side: str) -> Row | None:
    return next((row for row in rows if row.case == case and row.side == side), None)
