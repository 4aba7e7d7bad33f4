"""The exception tree: the class says what the system does next.

    ClipbatchError
      ConfigError       a person must change something      -> exit 2, nothing was started
        Refused         a store or disk denies its rights   -> exit 2; once work has begun, 3
      BadImage          this picture cannot be used         -> a row with a reason, go on
      Transient         network, lost node, full store      -> try again
      UnitFailed        one unit of work failed for good    -> mark it, go on, exit 3
      Incomplete        the run ended with work left        -> exit 3, run the same command again
      ContractBroken    schema, NaN, counts do not agree    -> stop everything, exit 3

Messages say what was got, what was expected and what to do next.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What a command's exit status means to cron, CI and schedulers."""

    PASSED = 0
    FAILED_AUDIT = 1
    COULD_NOT_RUN = 2
    INCOMPLETE = 3


class Reason(StrEnum):
    """Why a picture is a bad row: the closed list of codes."""

    EMPTY = "empty"  # zero bytes
    NOT_AN_IMAGE = "not_an_image"  # no decoder knows the bytes
    TRUNCATED = "truncated"  # the bytes end before the picture does
    CORRUPT = "corrupt"  # the decoder refused the bytes
    TOO_MANY_PIXELS = "too_many_pixels"  # larger than collect.max_pixels
    TOO_MANY_BYTES = "too_many_bytes"  # larger than collect.max_bytes
    TOO_MUCH_MEMORY = "too_much_memory"  # its pixels are few, but decoding them takes too much
    UNSUPPORTED = "unsupported"  # a known format that this installation cannot decode
    VANISHED = "vanished"  # listed, but gone when it was opened
    CHANGED = "changed"  # other bytes when opened than when it was listed
    UNREADABLE = "unreadable"  # permission denied or an I/O error
    TIMED_OUT = "timed_out"  # the store did not answer in time
    DAMAGED_CONTAINER = "damaged_container"  # the file or folder around it cannot be read
    CRASHED_WORKER = "crashed_worker"  # alone, it killed the process that decoded or embedded it


class ClipbatchError(Exception):
    """Base of every error that clipbatch raises on purpose."""

    exit_code = ExitCode.INCOMPLETE


class ConfigError(ClipbatchError):
    """A person must change the configuration or the input; nothing was started."""

    exit_code = ExitCode.COULD_NOT_RUN


class Refused(ConfigError):
    """A store or a disk denies access; it may have allowed it when the run began."""


class BadImage(ClipbatchError):
    """One picture cannot be used.

    Attributes:
        reason: a code from the closed list.
        message: the detail for a person, at most 500 characters.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message[:500]

    def __reduce__(self) -> tuple[type["BadImage"], tuple[Reason, str]]:
        """Travel between processes whole."""
        return type(self), (self.reason, self.message)


class Transient(ClipbatchError):
    """Something outside failed in a way that may pass; the caller tries again."""


class UnitFailed(ClipbatchError):
    """One unit of an analysis failed for good; the others go on."""


class Incomplete(ClipbatchError):
    """The run ended with work left; the same command continues it."""


class ContractBroken(ClipbatchError):
    """Rows, keys or numbers contradict the design; nothing after this can be trusted."""
