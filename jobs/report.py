"""report: see `clipbatch report --help`.

python jobs/report.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python report.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import command

if __name__ == "__main__":
    raise SystemExit(command(["report", *sys.argv[1:]]))
