"""measure: see `clipbatch measure --help`.

python jobs/measure.py --config jobs/configs/groceries.toml
ray job submit --working-dir jobs -- python measure.py --config configs/groceries.toml
"""

import sys

from clipbatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["measure", *sys.argv[1:]]))
