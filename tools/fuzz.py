"""make fuzz MINUTES=10: the properties of test_fuzz*.py with ever new inputs, counted.

Rounds alternate: compiled code as it runs on a robot, and compiled with every index checked. As
many run at once as there are cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]


def round_of(seed: int, scale: int, checked: bool) -> tuple[int, Counter[str]]:
    """One run of all properties in a process of its own, so that even a crash is only counted.

    Returns:
        Its exit status, negative for a signal, and how many inputs each property was given.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as counts:
        environment = {
            **os.environ,
            "EVLAYERSEG_FUZZ": str(scale),
            "EVLAYERSEG_FUZZ_COUNTS": counts.name,
        }
        if checked:
            cache = Path(os.environ.get("NUMBA_CACHE_DIR", ROOT / ".venv/numba"))
            environment |= {
                "NUMBA_BOUNDSCHECK": "1",
                "NUMBA_CACHE_DIR": f"{cache}-checked",
            }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-x", "-o", "timeout=0", "-p"),
                *("no:cacheprovider", f"--hypothesis-seed={seed}"),
                *("test/system/test_fuzz.py", "test/system/test_fuzz_files.py"),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            print(done.stdout)
        lines = [line.rsplit(" ", 1) for line in counts.read().splitlines()]
    return done.returncode, Counter({name: int(n) for name, n in lines})


class Fuzz:
    """Rounds until the time is over or one has failed, and what they came to."""

    def __init__(self, seed: int, scale: int, minutes: float) -> None:
        self._seed, self._scale = seed, scale
        self._begun, self._seconds = time.monotonic(), 60 * minutes
        self._next = count()
        self.failed = self.checked = 0
        self.total: Counter[str] = Counter()

    @property
    def minutes(self) -> float:
        """Since it began."""
        return (time.monotonic() - self._begun) / 60

    def run(self) -> None:
        """One round after the other; for several threads at once. The first two are always run."""
        for number in self._next:
            over = 60 * self.minutes > self._seconds
            if self.failed or (over and number >= 2):
                return
            seed, checked = self._seed + number, number % 2 == 1
            status, counts = round_of(seed, self._scale, checked)
            self.failed += status != 0
            self.total += counts
            self.checked += counts.total() if checked else 0
            print(
                f"round {number}, seed {seed}{', indices checked' if checked else ''}: "
                f"{counts.total()} inputs, {'sound' if status == 0 else f'FAILED with {status}'}"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--scale", type=int, default=10, help="times the examples of make test")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    fuzz = Fuzz(options.seed, options.scale, options.minutes)
    with ThreadPoolExecutor(options.jobs) as pool:
        for job in [pool.submit(fuzz.run) for _ in range(options.jobs)]:
            job.result()
    for name, n in fuzz.total.most_common():
        print(f"{n:>12} {name}")
    print(
        f"{fuzz.total.total():>12} inputs in {fuzz.minutes:.1f} min, {fuzz.checked} of them with "
        f"indices checked; {fuzz.failed or 'no'} failure{'s' if fuzz.failed > 1 else ''}."
    )
    return 1 if fuzz.failed else 0


if __name__ == "__main__":
    sys.exit(main())
