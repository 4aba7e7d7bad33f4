"""Ends what a proof started, once the proof is gone, however it ended: even by SIGKILL."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.proof import hosts
from tests.torture.processes import NAME, ROOT, Mark


def guard(mark: Mark, folder: Path) -> subprocess.Popen[bytes]:
    """Start the guardian; it waits until its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.proof.guard", mark.text, str(folder)],
        stdin=subprocess.PIPE,  # closed by the kernel when this process ends
        start_new_session=True,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != NAME},
    )


def main(mark: str, folder: str) -> None:
    """Wait, then clear away."""
    sys.stdin.buffer.read()
    Mark(mark).kill()
    shutil.rmtree(folder, ignore_errors=True)
    hosts.sweep()


if __name__ == "__main__":
    main(*sys.argv[1:])
