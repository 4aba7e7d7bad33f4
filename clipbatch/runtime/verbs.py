"""The verbs in order: one Ray, one run, one exit code."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clipbatch import schema, storage
from clipbatch.config import Config
from clipbatch.errors import ClipbatchError, ConfigError, ExitCode, Incomplete, Refused
from clipbatch.index import baseline, commit, runs, table
from clipbatch.index.lease import Lease
from clipbatch.index.runs import Run
from clipbatch.measure import ANALYSES
from clipbatch.plan import store as plans
from clipbatch.progress import duration, say
from clipbatch.report import build, declared, notify
from clipbatch.runtime.collect import collect
from clipbatch.runtime.embed import embed
from clipbatch.runtime.measure import measure
from clipbatch.runtime.session import Session
from clipbatch.runtime.spec import spec_of
from clipbatch.versions import refuse_known_bad


def run(verb: str, config: Config, run_id: str = "") -> ExitCode:
    """Run one verb, or all of them for ``audit``.

    Args:
        verb: its name.
        config: resolved.
        run_id: measure and report: which run; the latest when empty.
    """
    refuse_known_bad()
    say("config", config.to_json())
    try:
        with Lease(config.index) as lease, Session() as session:
            return _begun(verb, config, _Means(session, lease), run_id)
    except ClipbatchError as error:
        if verb == "audit":  # a night without a verdict is what one wants to hear of most
            notify.notify(notify.trouble(error, int(error.exit_code)))
        raise


def _begun(verb: str, config: Config, means: "_Means", run_id: str) -> ExitCode:
    """Run a verb; rights that are lost once work has begun are nothing to mend before it."""
    try:
        return _VERBS[verb](config, means, run_id)
    except Refused as error:
        if not means.lease.asked:
            raise
        raise Incomplete(  # the store was found fit a while ago: rights were lost meanwhile
            f"{error}; it was allowed when this run began: what was merged is kept, run the "
            "same command to go on"
        ) from error


@dataclass(frozen=True)
class _Means:
    """What a verb works with; each is started or taken only when it is needed."""

    session: Session
    lease: Lease


def _check_before_work(config: Config) -> None:
    """Whatever a person must mend is found here, before anything is started or written."""
    if not config.collect.source:
        raise ConfigError(
            "no source: name a folder, tar, parquet or manifest, e.g. `clipbatch audit photos/`, "
            "or set collect.source in the configuration"
        )
    storage.refuse_unwritable(config.report.folder)
    declared.refuse_unknown(config.report.checks, [analysis.name for analysis in ANALYSES])


def _collect(config: Config, means: _Means, run_id: str) -> ExitCode:
    _check_before_work(config)
    collect(config, means.session, run_id or runs.new_run_id(), means.lease)
    return ExitCode.PASSED


def _embed(config: Config, means: _Means, run_id: str) -> ExitCode:
    _check_before_work(config)
    table.open_table(config.index.database, schema.CATALOG)
    storage.probe(config.index.database)
    means.lease.take()
    embed(config, means.session, run_id or runs.new_run_id())
    return ExitCode.PASSED


def _index(config: Config, means: _Means, run_id: str) -> ExitCode:
    table.open_table(config.index.database, schema.CATALOG)
    storage.probe(config.index.database)
    means.lease.take()
    started = Run(run_id or runs.new_run_id())
    committed = commit.commit(config, spec_of(config), started, {})
    commit.tidy(config, committed)
    say("index", f"run {committed.run_id}: {committed.tables}")
    return ExitCode.PASSED


def _measure(config: Config, means: _Means, run_id: str) -> ExitCode:
    found = _found(config, run_id)
    means.lease.take()
    done = _measured(config, means.session, found)
    failed = [text for text in done.fingerprints.values() if text.startswith("failed")]
    return ExitCode.INCOMPLETE if failed else ExitCode.PASSED


def _measured(config: Config, session: Session, committed: Run) -> Run:
    committed = baseline.choose(config, committed)
    found = measure(config, session, committed)
    done = runs.finish(
        committed,
        state="measured",
        fingerprints=found.fingerprints | found.failed,
        counts=committed.counts
        | {"units_computed": found.units[0], "units_reused": found.units[1]},
    )
    runs.save(config.index.database, done)
    return done


def _report(config: Config, _means: _Means, run_id: str) -> ExitCode:
    storage.refuse_unwritable(config.report.folder)
    return build.build(config, _found(config, run_id))


def _found(config: Config, run_id: str) -> Run:
    """Return the run that a verb after index works on; it must be of the configured encoder."""
    table.open_table(config.index.database, schema.RUNS)
    run = runs.find(config.index.database, run_id, spec_of(config).slug)
    storage.probe(config.index.database)
    return run


def _audit(config: Config, means: _Means, _run_id: str) -> ExitCode:
    session = means.session
    _check_before_work(config)
    spec = spec_of(config)
    began = time.monotonic()
    started = Run(runs.new_run_id())
    counts: dict[str, Any] = {}
    seconds: dict[str, float] = {}

    def timed(verb: str, work: Callable[[], Any]) -> Any:
        clock = time.monotonic()
        answer = work()
        seconds[verb] = round(time.monotonic() - clock, 3)
        return answer

    counts |= timed("collect", lambda: collect(config, session, started.run_id, means.lease))
    counts |= timed("embed", lambda: embed(config, session, started.run_id))
    committed = timed("index", lambda: commit.commit(config, spec, started, counts))
    measured = timed("measure", lambda: _measured(config, session, committed))
    seconds["ray_start"] = round(session.start_seconds, 3)  # part of the verb that needed it
    told = plans.checked(config, measured, seconds)
    measured = runs.finish(measured, counts=measured.counts | {"seconds": seconds} | told)
    code = build.build(config, measured)
    commit.tidy(config, measured)
    say("audit", f"run {started.run_id} took {duration(time.monotonic() - began)}")
    return code


_VERBS: dict[str, Callable[[Config, _Means, str], ExitCode]] = {
    "collect": _collect,
    "embed": _embed,
    "index": _index,
    "measure": _measure,
    "report": _report,
    "audit": _audit,
}
