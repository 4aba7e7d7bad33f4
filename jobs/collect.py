"""collect: see `clipbatch collect --help`.

python jobs/collect.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python collect.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["collect", *sys.argv[1:]]))
