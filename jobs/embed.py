"""embed: see `clipbatch embed --help`.

python jobs/embed.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python embed.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import command

if __name__ == "__main__":
    raise SystemExit(command(["embed", *sys.argv[1:]]))
