"""audit: see `clipbatch audit --help`.

python jobs/audit.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python audit.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import command

if __name__ == "__main__":
    raise SystemExit(command(["audit", *sys.argv[1:]]))
