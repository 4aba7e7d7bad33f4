"""A command tells how its driver ended, whatever ended it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipbatch.runtime import driver

CHILD = """
import os, sys, time
from clipbatch import cli
from clipbatch.runtime import driver
cli.main = lambda given: {body}
sys.exit(driver.main(sys.argv[1:]))
"""
COMMAND = """
import sys
from clipbatch.runtime import driver
driver.CHILD = (sys.executable, "-c", sys.argv[1])
sys.exit(driver.supervise(sys.argv[2:]))
"""
WAITING = "(print(os.getpid(), flush=True), time.sleep(60))"


@pytest.fixture
def supervise(monkeypatch, capfd):
    def run(body, *given):
        monkeypatch.setattr(driver, "CHILD", (sys.executable, "-c", CHILD.format(body=body)))
        return driver.supervise(given), capfd.readouterr()

    return run


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_an_exit_code_that_was_told_is_the_commands(supervise, code):
    assert supervise(f"{code}") == (code, ("", ""))


def test_a_verdict_stands_whatever_an_interpreter_does_at_its_end(supervise):
    dying = "__import__('atexit').register(os._exit, 139) and 1"
    assert supervise(dying)[0] == 1


def test_arguments_and_streams_are_the_drivers(supervise):
    code, told = supervise("print(given) or 0", "audit", "a b", "--db=x")
    assert (code, told.out) == (0, "['audit', 'a b', '--db=x']\n")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("os._exit(1)", "exit status 1"),
        ("os._exit(0)", "exit status 0"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("os.abort()", "SIGABRT"),
    ],
)
def test_an_end_that_was_not_told_is_no_verdict(supervise, body, why):
    code, told = supervise(body)
    assert code == 3
    (line,) = told.err.splitlines()
    assert line.startswith("clipbatch: its driver died")
    assert why in line
    assert "same command" in line


def test_the_watch_over_ray_has_said_why_already(supervise):
    assert supervise("os._exit(3)") == (3, ("", ""))


def started(body=WAITING):
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, CHILD.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


def gone(pid):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_driver_ends_with_its_command():
    process, child = started()
    process.kill()
    process.communicate()
    assert gone(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_reaches_its_driver(number):
    process, child = started()
    os.kill(process.pid, number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "clipbatch: stopped; what was merged is kept" in told
    assert gone(child)
