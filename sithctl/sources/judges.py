"""A language model behind an OpenAI-compatible endpoint, through the vendor's own client."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from sithctl.errors import InputError, Refused, UsageError

RETRIES = 4  # the client's own, after 0.5, 1, 2, 4 seconds or as the server says
TIMEOUT = 300.0  # seconds: small machines answer slowly
KEY = "OPENAI_API_KEY"


class Endpoint:
    """Asks ``{base_url}/chat/completions``.

    Args:
        base_url: such as ``http://localhost:11434/v1``.
        model: the judge's name there.
        temperature: 0 for the likeliest answer.

    Raises:
        UsageError: no http address.
        InputError: the client is not installed.
    """

    def __init__(self, base_url: str, model: str, temperature: float = 0.0) -> None:
        self.address = _address(base_url)
        self.model = model
        self.temperature = temperature
        self._base_url = base_url
        self._key = os.environ.get(KEY, "")
        self._secrets = [text for text in (self._key, urlsplit(base_url).password) if text]
        self._create = self._client.chat.completions.create

    def document(self) -> dict[str, Any]:
        """What an answer depends on, without credentials."""
        return {"base_url": self.address, "model": self.model, "temperature": self.temperature}

    def ask(self, prompt: str) -> str:
        """The answer's text; safe to call from several threads.

        Raises:
            Refused: the server does not take this prompt.
            InputError: it cannot be reached, or serves nobody.
        """
        import openai

        try:
            completion = self._create(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=self.temperature,
                extra_headers=self._headers,
            )
        except openai.APIStatusError as error:
            raise self._failure(error.status_code, error) from error
        except openai.APIConnectionError as error:
            why = self._told(error.__cause__ or error)
            todo = "check --base-url; what came so far is kept"
            raise InputError(f"the judge cannot be reached ({why})", self.address, todo) from error
        except (openai.OpenAIError, ValueError) as error:
            raise self._foreign(self._told(error)) from error
        try:
            return self._without_secrets(completion.choices[0].message.content or "")
        except (AttributeError, IndexError, TypeError) as error:
            raise self._foreign("no choices in it") from error

    @cached_property
    def _client(self) -> Any:
        try:
            from openai import OpenAI
        except ImportError as error:
            raise InputError(
                "the openai package is not installed",
                None,
                "pip install 'sithctl[judge]', or judge with --offline",
            ) from error
        return OpenAI(
            base_url=self._base_url,
            api_key=self._key or "none",  # it wants one; see _headers
            max_retries=RETRIES,
            timeout=TIMEOUT,
        )

    @cached_property
    def _headers(self) -> dict[str, Any] | None:
        """A local server may need no key, and is then sent none."""
        from openai import Omit

        return None if self._key else {"Authorization": Omit()}

    def _failure(self, status: int, error: Exception) -> InputError:
        why = self._told(error)
        if status in {401, 403}:
            todo = f"set {KEY} to a key that it takes"
            return InputError(f"the judge refuses access ({why})", self.address, todo)
        if status == 404:
            todo = "check --judge-model, and --base-url, which mostly ends in /v1"
            return InputError(f"no such judge ({why})", self.address, todo)
        if status in {400, 413, 422}:
            return Refused(f"the judge takes no such prompt ({why})", self.address)
        todo = "run again to go on; what came so far is kept"
        if status == 429:
            todo = "run again with fewer --jobs; what came so far is kept"
        return InputError(f"the judge fails ({why})", self.address, todo)

    def _foreign(self, why: str) -> InputError:
        todo = "give the base URL of an OpenAI-compatible server"
        return InputError(f"no chat completion came back ({why})", self.address, todo)

    def _told(self, error: BaseException) -> str:
        """What went wrong in the server's words: they come from anybody, and may quote the key."""
        return self._without_secrets(" ".join(str(error).split()) or type(error).__name__)[:160]

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _address(base_url: str) -> str:
    """A base URL without the user, password and query that it may carry."""
    try:
        parts = urlsplit(base_url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        todo = "write it as in http://localhost:11434/v1"
        raise UsageError("--base-url is no http address", None, todo)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
