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
driver.watch.sweep = lambda: None  # there is no Ray
sys.exit(driver.supervise(sys.argv[2:]))
"""
WAITING = "(print(os.getpid(), flush=True), time.sleep(60))"


@pytest.fixture
def supervise(monkeypatch, capfd):
    def run(body, *given):
        monkeypatch.setattr(driver.watch, "sweep", lambda: None)  # there is no Ray
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
    process.wait()
    assert gone(child)  # it would sleep for a minute
    process.communicate()


def test_a_driver_that_does_not_start_is_no_run(monkeypatch, capfd):
    monkeypatch.setattr(driver, "CHILD", (sys.executable, "-c", "import no_such_module"))
    assert driver.supervise([]) == 2
    assert "clipbatch: its driver did not start (exit status 1" in capfd.readouterr().err


def test_a_command_without_processes_or_stderr_fails_no_audit(tmp_path):
    """Exit code 1 is a verdict; whatever else goes wrong is another one."""
    refused = (
        "import subprocess, sys; from clipbatch import cli\n"
        "def no(*a, **k): raise BlockingIOError(11, 'no more processes')\n"
        "subprocess.Popen = no; sys.exit(cli.command(['audit', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", refused], capture_output=True, check=False)
    assert (done.returncode, b"no more processes" in done.stderr) == (2, True)
    command = [sys.executable, "-c", COMMAND, CHILD.format(body="os._exit(1)")]
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 3
    notified = os.environ | {"CLIPBATCH_NOTIFY": "false"}
    with Path("/dev/full").open("wb") as full:
        night = [*command, "audit", "x"]
        assert subprocess.run(night, stderr=full, env=notified, check=False).returncode == 3


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(closed):
    for body, code in (("print(1) or 1", 1), ("os._exit(1)", 3)):
        command = [sys.executable, "-c", COMMAND, CHILD.format(body=body)]
        shell = ["bash", "-c", f'"$@" {closed}', "-", *command]
        assert subprocess.run(shell, check=False, timeout=30).returncode == code


def test_a_stop_while_a_driver_starts_is_a_stop():
    starting = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, starting], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.terminate()
    _, told = process.communicate(timeout=20)
    assert (process.returncode, b"clipbatch: stopped" in told) == (3, True)


def test_what_could_not_be_printed_is_no_success():
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", COMMAND, CHILD.format(body="print(1) or 0")]
        held = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=held, check=False)
    assert done.returncode == 3
    assert b"what it printed is lost" in done.stderr


def test_a_folder_offers_no_modules_to_its_audit(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("json", "ctypes", "torch", "numpy", "lance"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(77)")
    command = [str(Path(sys.executable).with_name("clipbatch")), "collect", "pictures"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert b"no pictures" in done.stderr or b"nothing" in done.stderr, done.stderr


def test_the_last_word_counts(supervise):
    watch = "__import__('clipbatch.runtime.watch').runtime.watch"
    died = f"({watch}.tell(False), os._exit(1))"  # Ray was quicker than the message
    code, told = supervise(died)
    assert code == 3
    assert told.err.startswith("clipbatch: its Ray died")
    said = f"({watch}.tell(False), {watch}.tell(True), os._exit(1))"
    assert supervise(said) == (3, ("", ""))


def test_a_night_whose_driver_died_is_told(supervise, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPBATCH_NOTIFY", f"tee {tmp_path / 'told.json'}")
    assert supervise("os._exit(1)", "audit", "x")[0] == 3
    assert '"verdict": "incomplete"' in (tmp_path / "told.json").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_reaches_its_driver(number):
    process, child = started()
    os.kill(process.pid, number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "clipbatch: stopped; what was merged is kept" in told
    assert gone(child)
