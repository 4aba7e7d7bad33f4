"""The pages ``docs/nights.md`` and ``docs/nights-learnt.md``, made from a season."""

from collections.abc import Sequence

from tests.nights import commands, table
from tests.nights.learnt import Learnt
from tests.nights.season import Night

WORDS = """\
# Thirty nights

Does a nightly audit find what goes wrong, and only that? A season of {count} nights on {size}
real photographs of groceries, {calm} of them quiet or ordinary and {faults} with one fault each.

```
{command}
```

{summary}

Found is a fault whose night failed, or warned of something that the last good night did not, by a
check that is about the fault. A false alarm is any other night that did not pass. Both are read
from `audit.json` and the exit code. A fault is undone in the next night, and held against the last
night that passed; the checks named below are those that the last good night did not miss.

- Each night is `clipbatch audit --config jobs/configs/nightly.toml` {where}, with a real catalog,
  real Lance tables and the offline encoder. Beside the shipped file stand only
  {settings}.
- The folder: three shops, three splits, fourteen classes. Pictures that arrive are other
  photographs of the same set. The foreign domain is cut from the sample photographs of
  scikit-learn (`china.jpg`, `flower.jpg`) and matplotlib (`grace_hopper.jpg`), with charts that
  matplotlib draws.
- {thresholds}
- Pictures opened are those whose bytes the audit had to read. Beside them the report opens pictures
  that it shows for the first time, once each: at most some dozens, however large the collection.
- Seed {seed}: the same nights every time. Night 0 is the full run that costs are compared with;
  seconds are of the whole command{imports}.

{table}
"""

SHIPPED = """\
Thresholds are the shipped defaults. They were looked at on seeds 1 and 2 while they were made;
  {seed} was never used for that. They were not learnt by `clipbatch calibrate`."""
LEARNT = """\
Thresholds were learnt by `clipbatch calibrate` from {nights} other nights of the same collection,
  without a fault (what happens, and which pictures arrive, are drawn by seed {seed}); {passed} of
  them passed under the shipped ones. What it said of false alarms:
  "{rate}"
  The thresholds: {checks}."""


def name(learnt: Learnt | None) -> str:
    """Return what the page is called."""
    return "nights-learnt.md" if learnt else "nights.md"


def page(
    nights: Sequence[Night], seed: int, serial: bool, size: int, learnt: Learnt | None = None
) -> str:
    """Return the page."""
    faults = sum(night.fault is not None for night in nights)
    options = f" --seed {seed}" + (f" --learn {learnt.seed}" if learnt else "")
    options += " --serial" if serial else ""
    return WORDS.format(
        count=len(nights) - 1,
        size=f"{size:,}",
        calm=len(nights) - 1 - faults,
        faults=faults,
        command=f"python -m tests.nights{options} --docs docs",
        summary=table.summary(nights),
        where="without Ray, one after another in one process" if serial else "on Ray",
        imports=", whose imports only night 0 pays" if serial else ", its imports included",
        settings=", ".join(f"`{setting}`" for setting in commands.SETTINGS),
        seed=seed,
        thresholds=_thresholds(learnt) if learnt else SHIPPED.format(seed=seed),
        table=table.table(nights),
    )


def _thresholds(learnt: Learnt) -> str:
    checks = ", ".join(
        f"`{name} {check['op']} {check['threshold']:.3g}`" for name, check in learnt.checks.items()
    )
    return LEARNT.format(
        nights=learnt.nights,
        seed=learnt.seed,
        passed=learnt.passed,
        rate=learnt.rate,
        checks=checks,
    )
