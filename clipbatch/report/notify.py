"""Tell somebody the verdict: a webhook or a command that the environment names.

``CLIPBATCH_WEBHOOK`` is an address that gets a POST, ``CLIPBATCH_NOTIFY`` a command that gets the
same JSON on its standard input. Both may hold secrets, so neither may stand in a configuration,
and neither is ever printed. What is said holds no text of the collection: a label is written by
somebody else, and a chat would turn it into a mention or a link.
"""

import json
import os
import re
import shlex
import subprocess
import urllib.parse
import urllib.request
from typing import Any, Final

from clipbatch.progress import say
from clipbatch.report.model import Report, Status
from clipbatch.text import one_line, redact

WEBHOOK: Final = "CLIPBATCH_WEBHOOK"
COMMAND: Final = "CLIPBATCH_NOTIFY"
TIMEOUT_S: Final = 10.0
SCHEMA: Final = 1
_NAMED: Final = 8  # checks in the sentence; the JSON has all of them
_ACTIVE: Final = re.compile(r"[^\w .,;+=%()-]|\.(?=[^\W\d])")  # markup, mentions, links


def verdict(report: Report, place: str = "") -> dict[str, Any]:
    """Return what is told of a report: the verdict, and counts by names of our own."""
    missed = [c for c in report.checks if c.status in (Status.FAIL, Status.ERROR, Status.WARN)]
    new = [c for c in missed if not c.as_before]
    names = [f"{_plain(c.name)} ({c.status})" for c in new[:_NAMED]]
    more = f" and {len(new) - _NAMED} more" if len(new) > _NAMED else ""
    told = f"new: {', '.join(names)}{more}" if new else "no new warnings"
    before = f"; {len(missed) - len(new)} as before" if len(missed) > len(new) else ""
    return _message(
        str(report.verdict), int(report.exit_code), _plain(report.run.run_id), f"{told}{before}"
    ) | {
        "report": redact(place),
        "baseline": report.baseline_run or None,
        "checks": [
            {
                "name": _plain(c.name),
                "status": str(c.status),
                "value": c.value,
                "as_before": c.as_before,
            }
            for c in missed
        ],
        "new": {n.name: n.count for n in report.news or () if n.count},
    }


def trouble(error: BaseException, exit_code: int) -> dict[str, Any]:
    """Return what is told of a run that came to no verdict."""
    return _message(
        "could not run" if exit_code == 2 else "incomplete",
        exit_code,
        "",
        _plain(redact(one_line(error)))[:300],
    )


def notify(message: dict[str, Any]) -> None:
    """Call the webhook and the command; what fails is said, and changes nothing else."""
    data = json.dumps(message).encode()
    for name, call in ((WEBHOOK, _post), (COMMAND, _run)):
        target = os.environ.get(name, "").strip()
        if not target:
            continue
        try:
            call(target, data)
            say("notify", f"${name} was told: {message['verdict']}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdict stands
            # The message of an error may hold the address: only its kind is said.
            code = getattr(error, "code", getattr(error, "returncode", ""))
            said = f"{type(error).__name__} {code}".strip()
            say("notify", f"${name} was not told ({said}); the verdict stands")


def _message(verdict: str, exit_code: int, run_id: str, told: str) -> dict[str, Any]:
    text = f"clipbatch {run_id} {verdict.upper()}, exit code {exit_code}: {told}"
    return {
        "schema": SCHEMA,
        "text": " ".join(text.split()),
        "verdict": verdict,
        "exit_code": exit_code,
        "run": run_id or None,
    }


def _plain(text: str) -> str:
    return _ACTIVE.sub("_", text)


def _post(address: str, data: bytes) -> None:
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("expected an http or https address")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, data, headers)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        answer.read(1024)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the verdict, and the secret in the address, to somebody else."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


def _run(command: str, data: bytes) -> None:
    subprocess.run(
        shlex.split(command),
        input=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=True,
    )
