"""The command line: five verbs, ``audit`` which is all of them, and a few questions.

Heavy libraries are imported by the verb that needs them, so that ``--help`` answers at once.
"""

import argparse
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from clipbatch import __version__
from clipbatch.errors import ClipbatchError, ExitCode
from clipbatch.text import one_line, redact

AGAIN_S: Final = 15.0  # in which a stopped run has mostly ended
ONCE_S: Final = 1.0  # a terminal stops a command and its driver, and the command its driver again

VERBS: Final = {
    "collect": "list the source and bring the catalog up to date",
    "embed": "embed what is missing, clean and with noise",
    "index": "verify, tag and commit what was embedded",
    "measure": "answer every analysis for the latest run",
    "report": "write report.html, audit.json and junit.xml, and judge",
    "audit": "all five, in order",
}
QUESTIONS: Final = {
    "accept": "make a run the reference: what it missed is known, unless it gets worse",
    "calibrate": "learn thresholds from past nights; print TOML and the false alarms they imply",
    "history": "list every check over the nights, as CSV",
    "doctor": "check this machine, its libraries, weights and stores; say what to mend",
    "plan": "measure a sample; say what an audit would take, and whether it fits",
    "rejects": "list pictures that cannot be used, with the reason",
    "runs": "list the committed runs",
    "show": "print the evidence tables of one analysis",
}
EPILOG: Final = """\
exit codes: 0 passed, 1 the audit failed, 2 could not run, 3 incomplete (run it again)

  clipbatch doctor photos/
  clipbatch plan photos/
  clipbatch audit photos/
  clipbatch audit s3://bucket/photos --set embed.encoder=ViT-B-32 \\
      --set embed.weights=laion2b_s34b_b79k
  clipbatch audit --config nightly.toml
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser of every command."""
    top = argparse.ArgumentParser(
        prog="clipbatch",
        description="Image collections in; versioned embeddings and an honest audit out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"clipbatch {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (VERBS | QUESTIONS).items():
        command = commands.add_parser(name, help=text, description=text)
        _options(command, name)
    return top


def _options(command: argparse.ArgumentParser, name: str) -> None:
    """Give a command its own options, and those that all have."""
    if name in ("collect", "embed", "audit", "doctor", "plan"):
        command.add_argument(
            "source", nargs="?", help="folder, .tar, .parquet or .csv; local or s3://"
        )
    if name == "show":
        command.add_argument("analysis", help="its name, e.g. duplicates")
    if name == "accept":
        command.add_argument("accepted", metavar="RUN", help="`clipbatch runs` lists them")
        command.add_argument("--note", default="", help="why; kept with the acceptance")
    if name == "history":
        command.add_argument("check", nargs="?", default="", help="only this one")
    if name == "calibrate":
        command.add_argument(
            "--rate",
            type=float,
            default=0.01,
            help="false alarms a night, of all checks, that are aimed at (default: %(default)s)",
        )
        command.add_argument(
            "--span",
            type=int,
            default=2,
            metavar="NIGHTS",
            help="learn what so many nights in a row bring that is new, so that the night after a "
            "failed one, compared with the last that passed, has room (default: %(default)s)",
        )
        command.add_argument(
            "--all", action="store_true", help="learn from nights that failed as well"
        )
    command.add_argument("--config", type=Path, metavar="TOML", help="one table per verb")
    command.add_argument("--db", metavar="URI", help="the LanceDB database (index.database)")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="override one value of the configuration; may be repeated",
    )
    if name in ("report", "audit", "doctor"):
        command.add_argument("--out", metavar="DIR", help="for the report (report.folder)")
    if name in ("doctor", "plan"):
        command.add_argument("--json", action="store_true", help="print JSON")
    if name in ("measure", "report", "rejects", "show"):
        command.add_argument("--run", default="", metavar="RUN", help="default: the latest")


def command(arguments: Sequence[str] | None = None) -> int:
    """Run one command as a person or a scheduler does; returns its exit code.

    What may start a Ray runs in a child, since Ray may end the process that started it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if parser().parse_args(given).command not in (*VERBS, "plan"):
        return main(given)
    from clipbatch.runtime import driver

    try:
        return driver.supervise(given)
    except KeyboardInterrupt:  # before there was a child
        return int(ExitCode.INCOMPLETE)
    except Exception as error:  # noqa: BLE001  # no process, socket or memory: no verdict
        driver.say(f"its driver cannot be started: {error}; see `ulimit -a`, and try again")
        return int(ExitCode.COULD_NOT_RUN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command in this process; returns its exit code."""
    given = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of few characters is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _stoppable():
            return _dispatch(given)
    except ClipbatchError as error:
        print(f"clipbatch: {one_line(error)}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print(
            "clipbatch: stopped; what was merged is kept: run the same command to go on",
            file=sys.stderr,
        )
        return int(ExitCode.INCOMPLETE)
    except Exception as error:  # noqa: BLE001  # the last resort: whatever it is, it is said
        if os.environ.get("CLIPBATCH_TRACEBACK"):
            _print_traceback(error)
        print(f"clipbatch: {_unforeseen(error)}", file=sys.stderr)
        return int(ExitCode.INCOMPLETE)


def _unforeseen(error: Exception) -> str:
    from clipbatch.index.failures import damaged

    if known := damaged(error):
        return one_line(known)
    told = one_line(f"{type(error).__name__}: {error}")[:500]
    return (
        f"{told}; what was merged is kept: run the same command again, or set "
        "CLIPBATCH_TRACEBACK=1 to see where this came from"
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """A scheduler's SIGTERM ends a run as Ctrl-C does: what was begun is closed, in seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    stop = _Stop()
    from clipbatch.runtime.driver import heard

    before = {number: signal.signal(number, stop) for number in heard()}
    try:
        yield
    finally:
        stop.ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stop:
    """Interrupts the run, and again while it goes on: a library may have swallowed the first."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._asked = 0.0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        last, now = self._asked, time.monotonic()
        if last and now - last < ONCE_S:
            return
        self._asked = now
        if not last:
            threading.Thread(target=self._again, args=(number,), daemon=True).start()
        raise KeyboardInterrupt

    def _again(self, number: int) -> None:
        main = threading.main_thread().ident
        while not self.ended.wait(AGAIN_S) and main is not None:
            signal.pthread_kill(main, number)


def _print_traceback(error: Exception) -> None:
    import traceback

    print(redact("".join(traceback.format_exception(error))), file=sys.stderr)


def _dispatch(given: argparse.Namespace) -> int:
    from clipbatch import config

    overrides = list(given.set)
    named = (("source", "collect.source"), ("db", "index.database"), ("out", "report.folder"))
    for option, key in named:
        if getattr(given, option, None):
            overrides.append(f"{key}={json.dumps(getattr(given, option))}")
    loaded = config.load(given.config, overrides)
    if given.command in VERBS:
        from clipbatch.runtime import verbs

        return int(verbs.run(given.command, loaded, getattr(given, "run", "")))
    from clipbatch.questions import ASKED

    try:
        return ASKED[given.command](loaded, given)
    except BrokenPipeError:  # whoever reads (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.PASSED)


if __name__ == "__main__":
    raise SystemExit(command())
