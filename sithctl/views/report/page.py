"""The report's page: the template with its data, style and script in it."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from sithctl._version import __version__

# One script of parts, each an idea of its own, in the order in which they build on one another.
SCRIPTS = ("data.js", "map.js", "card.js", "search.js", "start.js")


def page(document: dict[str, Any]) -> str:
    """A report as one HTML file: it fetches nothing, and runs no script but its own.

    Args:
        document: from ``document``.
    """
    style, script = _part("report.css"), "\n".join(map(_part, SCRIPTS))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_part("report.html")).render(
        **document,
        title=" and ".join(dict.fromkeys(side["name"] for side in document["sides"])),
        version=__version__,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(as_script_data(document)),
    )


def as_script_data(document: Any) -> str:
    r"""JSON that cannot end the script element it stands in, whatever its texts are.

    >>> as_script_data("</script><!--")
    '"\\u003c/script>\\u003c!--"'
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the browser is to allow: this style, this script, pictures in the file; no address."""
    allowed = {"script-src": _hash(script), "style-src": _hash(style), "img-src": "data:"}
    nothing = dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'")
    return "; ".join(f"{name} {source}" for name, source in (nothing | allowed).items())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
