"""What a run has done, as counters of Ray's: on its dashboard, and for Prometheus.

Ray serves them at the metrics port of the driver's node as ``ray_<name>_total``; their rates are
the stages' rates (cluster/README.md).
"""

import sys
from typing import Any, Final

COUNTERS: Final = {
    "clipbatch_pictures_listed": "Entries of the source that were listed and compared.",
    "clipbatch_pictures_hashed": "Pictures whose bytes were read and named.",
    "clipbatch_pictures_decoded": "Pictures that were decoded, bad ones included.",
    "clipbatch_vectors_embedded": "Vectors that came back from encoders.",
    "clipbatch_rows_merged": "Rows of vectors that were new to the table.",
    "clipbatch_units_measured": "Units of analyses that were computed.",
}

_made: dict[str, Any] = {}
_waiting: dict[str, int] = {}  # counted before there was a Ray


def count(name: str, more: int) -> None:
    """Count work as done; kept until there is a Ray to tell, and lost where none is started."""
    _waiting[name] = _waiting.get(name, 0) + more
    ray: Any = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return
    from ray.util.metrics import Counter

    for key, number in _waiting.items():
        if key not in _made:
            _made[key] = Counter(key, COUNTERS[key])
        if number:
            _made[key].inc(number)
    _waiting.clear()
