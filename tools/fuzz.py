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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--scale", type=int, default=10, help="times the examples of make test")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    begun, total, indices = time.monotonic(), Counter[str](), 0
    failed, minutes = 0, 0.0
    with ThreadPoolExecutor(options.jobs) as pool:
        for wave in count():
            if failed or (minutes >= options.minutes and wave * options.jobs >= 2):
                break
            numbers = range(wave * options.jobs, (wave + 1) * options.jobs)
            seeds = [options.seed + number for number in numbers]
            checked = [number % 2 == 1 for number in numbers]
            done = pool.map(round_of, seeds, [options.scale] * len(seeds), checked)
            for seed, check, (status, counts) in zip(seeds, checked, done, strict=True):
                failed += status != 0
                total += counts
                indices += counts.total() * check
                print(
                    f"seed {seed}{', indices checked' if check else ''}: {counts.total()} inputs, "
                    f"{'sound' if status == 0 else f'FAILED with {status}'}"
                )
            minutes = (time.monotonic() - begun) / 60
    for name, n in total.most_common():
        print(f"{n:>12} {name}")
    print(
        f"{total.total():>12} inputs in {minutes:.1f} min, {indices} of them with indices checked; "
        f"{failed or 'no'} failure{'s' if failed > 1 else ''}."
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
