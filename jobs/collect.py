"""collect: see `clipbatch collect --help`.

python jobs/collect.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python collect.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import command

if __name__ == "__main__":
    raise SystemExit(command(["collect", *sys.argv[1:]]))
