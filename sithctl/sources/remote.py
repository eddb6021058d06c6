"""Images that a data set names by web address."""

from __future__ import annotations

import os
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from sithctl._version import __version__
from sithctl.errors import InputError

TIMEOUT = 20  # seconds
LARGEST = 64 << 20  # bytes of an image file
UNREACHED = 20  # addresses in a row without an answer: there is no network


class Web:
    """Fetches images; gives up where no address answers."""

    def __init__(self) -> None:
        self.unreached = 0

    def fetch(self, address: str) -> bytes:
        """The bytes at a web address.

        Raises:
            InputError: no network.
            OSError: this image cannot be had, others perhaps can.
        """
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise _no_network(address, "HF_HUB_OFFLINE is set")
        request = Request(address, headers={"User-Agent": f"sithctl/{__version__}"})
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:
                data: bytes = answer.read(LARGEST + 1)
        except HTTPError as error:
            self.unreached = 0
            raise OSError(f"{address}: {error.code} {error.reason}") from error
        except (URLError, TimeoutError, HTTPException) as error:
            self.unreached += 1
            if self.unreached >= UNREACHED:
                raise _no_network(address, str(error)) from error
            raise OSError(f"{address}: {error}") from error
        self.unreached = 0
        if len(data) > LARGEST:
            raise OSError(f"{address}: larger than {LARGEST >> 20} MiB")
        return data


def is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _no_network(address: str, why: str) -> InputError:
    return InputError(
        f"images named by web address cannot be fetched ({why})",
        address,
        "go where there is a network, or give a data set that holds its images",
    )
