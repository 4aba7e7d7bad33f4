r"""Text of others made fit for a terminal, a log or a page: visible, on one line, without secrets.

Labels, captions and names come from whoever made the collection; messages of libraries may quote
addresses. Whatever prints them sends them through here.
"""

import os
import re
from typing import Final

# Controls, soft hyphens, zero widths (joiners are kept, scripts need them), what turns the way
# of writing, line and paragraph separators, half characters, and what Unicode says is no character.
UNSAFE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    r"\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(1, 17))
    + "]"
)
_SHOWN: Final = {"\n": "↵", "\t": " "}
_LEAST: Final = 8  # characters of a secret; a shorter value is also an ordinary word
_SECRET_NAME: Final = re.compile(
    r"(^|_)(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|ACCESS_KEY|ACCOUNT_KEY|API_KEY)(_|$)"
)
_SECRETS: Final = (
    # s3://key:secret@bucket; a secret may hold slashes, a port is none.
    (re.compile(r"(\w+://)[^\s/@:\"']+:(?!\d+/)[^\s@\"']*@"), r"\1"),
    (re.compile(r"(\w+://)[^/\s@\"']*@"), r"\1"),
    (re.compile(r"(\w+://[^\s?\"']*)\?[^\s\"']*"), r"\1"),
    (
        re.compile(
            r"(?i)\b(X-Amz-[\w-]+|AWSAccessKeyId|Signature|Credential|sig|token|password|secret)"
            r"=[^\s&,;\"'<>]+"
        ),
        r"\1=***",
    ),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), "***"),
)


def visible(text: object) -> str:
    r"""Write what cannot be seen, or would change what is seen, as an escape such as ``\u202e``.

    Line breaks become ``↵`` and tabs a space. What remains is legal in HTML, XML and UTF-8.
    """
    return UNSAFE.sub(_escape, str(text))


def redact(text: str) -> str:
    """Remove secrets from a text: user:password@, query strings and signatures of URLs, keys.

    The values of environment variables whose names speak of a secret go as well.
    """
    for pattern, rest in _SECRETS:
        text = pattern.sub(rest, text)
    for name, value in os.environ.items():
        if len(value) >= _LEAST and value in text and _SECRET_NAME.search(name.upper()):
            text = text.replace(value, "***")
    return text


def one_line(text: object) -> str:
    """Return a text for a terminal or a log: one line, nothing hidden, no secrets."""
    return visible(redact(" ".join(str(text).split())))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in _SHOWN:
        return _SHOWN[found[0]]
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
