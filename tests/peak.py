"""The peak memory of a command: python tests/peak.py COMMAND … prints its KiB, last, on stderr.

A process of its own, small and without imports: a child's ru_maxrss starts at the size of whoever
started it, which for pytest with torch is more than what is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence


def peak(command: Sequence[str], **options: object) -> tuple[float, int]:
    """Seconds and peak bytes of a command that ends well.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    done = subprocess.run(
        [sys.executable, "-S", __file__, *command], stderr=subprocess.PIPE, check=True, **options
    )  # type: ignore[call-overload]
    seconds, size = done.stderr.decode().splitlines()[-1].split()
    return float(seconds), int(size) * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    start = time.perf_counter()
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(child, 0)
    sys.stderr.write(f"\n{time.perf_counter() - start} {usage.ru_maxrss}\n")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
