"""index: see `clipbatch index --help`.

python jobs/index.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python index.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import command

if __name__ == "__main__":
    raise SystemExit(command(["index", *sys.argv[1:]]))
