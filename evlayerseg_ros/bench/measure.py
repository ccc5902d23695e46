"""Timing, tables of figures, and what machine they were taken on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError

# A line of a table: column to value.
Row = dict[str, Any]

WARM_UP = 3  # runs that are not counted
LEAST = 10  # runs that are, however slow
_PACKAGES = (
    "numpy",
    "numba",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python-headless",
    "ros-rclpy",
    "faery",
)


class Usage(NamedTuple):
    """What a process used: CPU time (s), resident memory now and at most (bytes), at a time (s)."""

    cpu: float
    now: int
    most: int
    at: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """What it has used so far; raises an InputError where it has ended."""
        # After the name, which may hold anything: fields 14 and 15 are user and system time.
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kib = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
            now, most = int(kib["VmRSS"]) << 10, int(kib["VmHWM"]) << 10
        except (OSError, KeyError):  # a zombie has no memory
            raise InputError(f"The process {pid}, which is measured, ended by itself.") from None
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return cls(cpu, now, most, time.monotonic())


def measure(action: Callable[[], object], seconds: float) -> np.ndarray:
    """Wall times of an action, float64 [n] in s: n as many as fit in `seconds`, at least LEAST."""
    return measure_in_turn([action], seconds)[0]


def measure_in_turn(actions: Sequence[Callable[[], object]], seconds: float) -> np.ndarray:
    """The same for several actions, a run of each in turn: what else the machine does hits all.

    Returns:
        float64 [actions, n], s; run k of all of them lies together.
    """
    for _ in range(WARM_UP):
        for action in actions:
            action()
    rounds: list[list[float]] = []
    begun = time.perf_counter()
    while len(rounds) < LEAST or time.perf_counter() - begun < seconds * len(actions):
        ticks = [time.perf_counter()]
        for action in actions:
            action()
            ticks.append(time.perf_counter())
        rounds.append(ticks)
    return np.diff(rounds).T


def ratio(times: np.ndarray, first: np.ndarray) -> Row:
    """How many times as long as the first of the actions measured in turn, median over the runs."""
    return {"ratio": float(np.median(times / first))}


def summary(times: np.ndarray, events: int = 0) -> Row:
    """Median, p99 and number of wall times (s), and Mev/s at the median for so many events."""
    if not len(times):
        return {"median_ms": None, "p99_ms": None, "runs": 0}
    p50, p99 = np.percentile(times, (50, 99))
    speed = {"mev_s": events * 1e-6 / p50} if events else {}
    return {**speed, "median_ms": p50 * 1e3, "p99_ms": p99 * 1e3, "runs": len(times)}


def machine() -> Row:
    """What runs here: processor, cores, memory, versions, and how busy it was at the start."""
    return {
        "cpu": _line_of("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _line_of("/proc/meminfo", "MemTotal"),
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def busy(about: Row) -> str:
    """A warning if other processes took a good part of the cores of `machine()`, else ""."""
    if about["load"] < about["cores"] / 4:
        return ""
    return f"The load is {about['load']} on {about['cores']} cores: figures will be too low."


def _line_of(path: str, key: str) -> str:
    """The value of the first line `key: value` of a file, "" if there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _gpu() -> str:
    if not shutil.which("nvidia-smi"):
        return ""
    told = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
    )
    return told.stdout.strip() if told.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def table(rows: list[Row]) -> str:
    """Rows as aligned text; columns in the order in which rows name them."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    numbers = [all(isinstance(row.get(c), int | float | None) for row in rows) for c in columns]

    def aligned(line: list[str]) -> str:
        cells = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=True)
        )
        return "| " + " | ".join(cells) + " |"

    rule = [
        "-" * (width - 1) + (":" if number else "-")
        for width, number in zip(widths, numbers, strict=True)
    ]
    return "\n".join(map(aligned, (cells[0], rule, *cells[1:])))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
