"""report: see `clipbatch report --help`.

python jobs/report.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python report.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["report", *sys.argv[1:]]))
