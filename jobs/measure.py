"""measure: see `clipbatch measure --help`.

python jobs/measure.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python measure.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import command

if __name__ == "__main__":
    raise SystemExit(command(["measure", *sys.argv[1:]]))
