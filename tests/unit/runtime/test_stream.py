"""What a failure of Ray's means; tests/ray makes real ones."""

import pytest
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import (
    ActorUnavailableError,
    RayTaskError,
    UserCodeException,
    WorkerCrashedError,
)

from clipbatch.runtime.stream import LONGEST, workers_failed

pytestmark = pytest.mark.quick


def wrapped(cause):
    return RayTaskError("f", "a traceback", cause)


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        WorkerCrashedError(),
        caused(WorkerCrashedError(), StopIteration()),  # as Ray Data raises it
        wrapped(WorkerCrashedError()),
        ActorUnavailableError("it is away", None),
    ],
)
def test_a_death_may_be_a_pictures_doing(error):
    assert not workers_failed(error).raised


@pytest.mark.parametrize(
    "error",
    [
        wrapped(RuntimeError("device-side assert")),
        wrapped(caused(UserCodeException("in a map"), RuntimeError("no"))),
        ExecutionTimeoutError("no progress"),
    ],
)
def test_an_exception_is_not(error):
    assert workers_failed(error).raised


def test_of_a_traceback_the_exception_is_told():
    trace = (
        "ray::f\n  File x\nRuntimeError: device-side assert\n\nray.exceptions.UserCodeException: x"
    )
    told = str(workers_failed(RayTaskError("f", f"{trace}\nSee the manual.", RuntimeError())))
    assert told.endswith("RuntimeError: device-side assert")


def test_a_long_error_is_told_in_short():
    told = str(workers_failed(WorkerCrashedError("x" * 10_000)))
    assert len(told) <= LONGEST + 50
