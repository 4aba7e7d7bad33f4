"""embed: see `clipbatch embed --help`.

python jobs/embed.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python embed.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["embed", *sys.argv[1:]]))
