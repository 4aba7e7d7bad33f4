"""``python -m tests.torture.table FILE...``: add up series and print them as markdown."""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

KINDS = {
    "point": "drivers, at points",
    "driver": "drivers and commands, at random",
    "actor": "workers",
    "node": "nodes",
}
WRONG = ("lost", "repeated", "disagreements", "bits", "tags", "findings", "evidence")
RULE = """\
The last column is the rule of three: zero failures in n kills bound the rate of failures at 95 %
by 3/n. A series that the harness ended for its length was not judged, and its kills count for
nothing there. "Embedded again" is what kills cost: vectors computed more often than once. Until
noon of 2026-11-29 workers were struck without regard to what they did, mostly while they started,
so that nothing computed was lost; since then half of the kills of a phase are aimed at encoders
that have computed a block, and are counted as such where it had not been handed over."""
CONTROL = """\
The control is the pictures of a series' last phase, decoded and encoded by the same code, through
Ray Data with its checkpointing into lance-ray; its drivers are shot once ids are checkpointed, and
started again until done. It has no catalog, tags or findings to judge."""
ENDED = """\
Drivers end with -9 where they were killed, with 3 where work is left; a command
says `3 (shot)` of a driver that was shot under it, `2 (shot)` where that was not up. The
collection holds more bad
pictures than `bad_images` allows, so that a finished run ends with 1, as the undisturbed one does;
a 1 that is not the driver's own word, or another 2, would be a failure of its series."""
PLACES = {
    "merge": "merge into {}",
    "create": "creation of {}",
    "tag": "tag of {}",
    "compact": "compaction of {}",
    "cleanup": "clean-up of {}",
    "config": "configuration of {}",
    "delete": "deletion from {}",
    "write": "writing {}",
}


def read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the lines of some result files."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def place(name: str) -> str:
    """Say where a kill was: "embed.merge.contents.before" is "embed, merge into contents"."""
    stage, _, rest = name.partition(".")
    operation, _, rest = rest.partition(".")
    if operation in PLACES:
        return f"{stage}: {PLACES[operation].format(rest.rpartition('.')[0])}"
    if operation.endswith("at random"):  # of earlier series only "at random"
        whom = "the command over the driver" if operation.startswith("command") else "driver"
        return f"{stage}: {whom}, at random"
    return f"{stage}: {operation}" if operation != "node" else f"{stage}: a whole node"


def kills(lines: Sequence[dict[str, Any]]) -> str:
    """Return the kills by place and store, and when within a place."""
    stores = sorted({line["store"] for line in lines})
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    when: Counter[str] = Counter()
    for line in lines:
        for name, count in line["kills"].items():
            counted[place(name)][line["store"]] += count
            end = name.rpartition(".")[2]
            aimed = end in ("before", "inside", "after", "planned", "executed")
            when[end if aimed else "at random"] += count
    text = [_row(["killed in", *stores, "all"]), _row(["---", *["---:"] * (len(stores) + 1)])]
    for name in sorted(counted):
        text.append(_row([name, *(counted[name][s] for s in stores), counted[name].total()]))
    totals = [sum(c[s] for c in counted.values()) for s in stores]
    text.append(_row(["**all**", *totals, sum(totals)]))
    moments = ", ".join(f"{count} {name}" for name, count in sorted(when.items()))
    return "\n".join([*text, "", f"Moments: {moments} (the operation that is named)."])


def sums(lines: Sequence[dict[str, Any]]) -> str:
    """Return what came out, by store; then the control."""
    head = ("series", "kills", "drivers", "rows asked for", *WRONG, "embedded again")
    head = (*head, "series that did not end", "at most, of kills")
    text = [_row(["", *head]), _row(["---", *["---:"] * len(head)])]
    product = [line for line in lines if not line.get("control")]
    control = [line for line in lines if line.get("control")]
    for store in sorted({line["store"] for line in product}):
        text.append(_sum(store, [line for line in product if line["store"] == store]))
    for kind in sorted({line["kind"] for line in product}):
        text.append(_sum(f"killed: {KINDS[kind]}", [x for x in product if x["kind"] == kind]))
    if product:
        text.append(_sum("**all**", product))
    for kind in sorted({line["kind"] for line in control}):
        some = [line for line in control if line["kind"] == kind]
        text.append(_sum(f"control, {kind}", some))
    return "\n".join(text)


def seeds(lines: Sequence[dict[str, Any]]) -> str:
    """Return every series with the command that runs it again."""
    text = [_row(["series", "kills", "drivers", "ended with", "seconds", "commit", "again"])]
    text.append(_row(["---", "---:", "---:", "---", "---:", "---", "---"]))
    for line in lines:
        control = " --control" if line.get("control") else ""
        again = (
            f"`python -m tests.torture --seed {line['seed']} --series 1 --store {line['store']} "
            f"--kind {line['kind']} --kills {line['kills_a_phase']} --phases {line['phases']}"
            f"{control}`"
        )
        ended = ", ".join(f"{code}: {count}" for code, count in line["codes"].items())
        count = sum(line["kills"].values())
        name = f"{'control, ' if control else ''}{line['store']}, {line['kind']}"
        seconds, commit = line["seconds"], line.get("commit") or "-"
        text.append(_row([name, count, line["drivers"], ended, seconds, commit, again]))
    return "\n".join(text)


def _sum(name: str, lines: Sequence[dict[str, Any]]) -> str:
    count = sum(sum(line["kills"].values()) for line in lines)
    # What the harness itself ended was not judged: its kills bound nothing. Any other failure does.
    judged = [line for line in lines if not _cut(line)]
    sound = all(line["sound"] for line in judged)
    trials = sum(sum(line["kills"].values()) for line in judged)
    # Zero failures in n trials: the rule of three bounds their rate at 95 % by 3 / n.
    bound = f"{100 * 3 / trials:.2g} %" if sound and trials else "-"
    embedded = sum(line["embedded"] for line in lines)
    again = sum(line["embedded_again"] for line in lines)
    return _row(
        [
            name,
            len(lines),
            count,
            sum(line["drivers"] for line in lines),
            sum(line["rows"] for line in lines),
            *(sum(line[what] for line in lines) for what in WRONG),
            f"{again} of {embedded}",
            sum(bool(line["failures"]) for line in lines),
            bound,
        ]
    )


def _cut(line: dict[str, Any]) -> bool:
    """Tell whether a series was ended by the harness's own limit of time, and by nothing else."""
    return bool(line["failures"]) and all("did not end within" in f for f in line["failures"])


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in cells) + " |"


def page(lines: Sequence[dict[str, Any]]) -> str:
    """Return the whole page."""
    product = [line for line in lines if not line.get("control")]
    days = sorted({line["date"][:10] for line in lines})
    versions = sorted({json.dumps(line["versions"]) for line in lines})
    told = "; ".join(
        ", ".join(f"{name} {v}" for name, v in json.loads(text).items()) for text in versions
    )
    return "\n\n".join(
        [
            "# Results of the torture harness",
            "Made by `python -m tests.torture.table benchmarks/torture/*.jsonl`.",
            f"Days: {', '.join(days)}. Versions: {told}.",
            # Other days may have other faults: say how many there were.
            f"These are {len(days)} {'days' if len(days) > 1 else 'day'} of kills on one machine.",
            sums(lines),
            *([RULE, CONTROL] if len(product) < len(lines) else [RULE]),
            "## Where",
            kills(product),
            "## Seeds",
            seeds(lines),
            ENDED,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="write the page there")
    given = parser.parse_args()
    text = page(read(given.files)) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
