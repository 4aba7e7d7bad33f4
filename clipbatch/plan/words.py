"""A plan as lines for a person."""

from collections.abc import Iterator, Sequence
from typing import Final

from clipbatch.doctor.diagnosis import size
from clipbatch.plan.forecast import Forecast, Rates, ToDo, Workers
from clipbatch.plan.plan import GROWTH, Plan
from clipbatch.progress import duration

_FIRST: Final = 24  # characters of the first column
_NEXT: Final = 24  # of a further one; "1000.0 MiB, 10 min 10 s"


def lines(plan: Plan) -> Iterator[str]:
    """Yield what was found, what was measured, and the forecast with its growth."""
    yield from _found(plan.todo)
    yield from _measured(plan.rates, plan.workers)
    yield ""
    yield _row("forecast", [f"x{factor}" if factor > 1 else "now" for factor in GROWTH])
    for name, cells in _table(plan.forecasts):
        yield _row(name, cells)
    yield ""
    yield "analyses: memory of one unit, seconds of one core"
    for name in plan.forecasts[0].analyses:
        yield _row(f"  {name}", [_cost(told, name) for told in plan.forecasts])


def _found(todo: ToDo) -> Iterator[str]:
    told = f"{todo.pictures:,} listed in {duration(todo.seconds)}, {todo.to_open:,} to open"
    if todo.bytes is not None and todo.to_open:
        told += f" ({size(todo.bytes)})"
    yield f"pictures  {told}; {todo.known:,} contents and {todo.have:,} vectors are there already"
    if todo.to_open:
        yield (
            "          equal bytes are found only by opening: contents, rows and what follows from "
            "them are at most"
        )


def _measured(rates: Rates, workers: Workers) -> Iterator[str]:
    device = "GPU" if workers.gpus else f"CPU, {workers.threads} threads each"
    yield (
        f"measured  {rates.sample} pictures ({rates.bad} bad): open {rates.open_s * 1e3:.1f} ms, "
        f"decode {rates.decode_s * 1e3:.1f} ms, vector {rates.vector_s * 1e3:.1f} ms in batches of "
        f"{rates.batch_size}"
    )
    yield (
        f"workers   {workers.actors} encoding on {len(workers.nodes)} nodes ({device}), "
        f"{size(rates.actor_bytes)} each; they start in "
        f"{duration(workers.start_s + rates.start_s)}, of which Ray {duration(workers.start_s)}"
    )


def _table(told: Sequence[Forecast]) -> Iterator[tuple[str, list[str]]]:
    yield "pictures", [f"{f.pictures:,}" for f in told]
    yield "vectors to make", [f"{f.rows:,}" for f in told]
    yield "tables grow by", [size(f.bytes) for f in told]
    for verb in ("collect", "embed", "measure"):
        yield verb, [duration(f.seconds[verb]) for f in told]
    yield "in all", [duration(f.total_seconds) for f in told]
    yield "GPU hours", [f"{f.gpu_hours:,.2f}" for f in told]
    yield "CPU core hours", [f"{f.cpu_hours:,.2f}" for f in told]
    yield "memory of the command", [size(f.driver_bytes) for f in told]


def _cost(told: Forecast, name: str) -> str:
    cost = told.analyses[name]
    return f"{size(cost.memory)}, {duration(cost.seconds)}" if cost else "not declared"


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<{_FIRST}}" + "".join(f"{cell:>{_NEXT}}" for cell in cells)
