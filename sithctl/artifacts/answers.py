"""A judge's answers, kept in the cache as they come: a killed run goes on where it stopped.

One file a judge, a line an answer, so that a run of fifty thousand leaves one file. Not keyed by
the code's digest, as stages' results are: an answer depends on its prompt alone, and may have cost
money.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from sithctl.artifacts.cache import folder
from sithctl.kinds.base import canonical


class Answers:
    """The answers of one judge so far.

    Args:
        judge: everything that changes an answer, apart from the prompt.
    """

    def __init__(self, judge: Mapping[str, Any]) -> None:
        name = hashlib.sha256(canonical(judge).encode()).hexdigest()[:32]
        self.path = folder() / "answers" / f"{name}.jsonl"
        self._lock = Lock()
        self._known, self._whole = _read(self.path)

    def through(
        self, ask: Callable[[str], str], keep: Callable[[str], bool]
    ) -> Callable[[str], str]:
        """``ask``, only for prompts whose answer is not known; answers worth it are kept.

        A cache that cannot be written is done without.
        """

        def asked(prompt: str) -> str:
            digest = hashlib.sha256(prompt.encode()).hexdigest()
            known = self._known.get(digest)
            if known is not None and keep(known):
                return known
            answer = ask(prompt)
            if keep(answer):
                self._add(digest, answer)
            return answer

        return asked

    def _add(self, digest: str, answer: str) -> None:
        line = json.dumps({"prompt": digest, "answer": answer}) + "\n"
        with self._lock:
            self._known[digest] = answer
            start, self._whole = "" if self._whole else "\n", True
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(start + line)
            except OSError:
                pass


def _read(path: Path) -> tuple[dict[str, str], bool]:
    """The answers in a file, and whether its last line is whole: a killed run may leave half."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}, True
    known: dict[str, str] = {}
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
            known[str(entry["prompt"])] = str(entry["answer"])
        except (ValueError, TypeError, KeyError):
            continue
    return known, text.endswith("\n") or not text
