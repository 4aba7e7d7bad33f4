"""A driver as users have it, under its command: ``python -m tests.torture.command ...``.

The options are those of ``tests.torture.driver``, which becomes the product's child.
"""

import sys

from clipbatch.runtime import driver


def main() -> int:
    driver.CHILD = (sys.executable, "-m", "tests.torture.driver", "--told")
    return driver.supervise(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
