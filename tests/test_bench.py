"""The bench's GPU part on the processor, small: what it measures must be the search."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tests.bench import gpu
from tests.bench.search import Size


def test_the_search_is_the_one_that_is_measured() -> None:
    search, concepts = gpu.measure(Size(3000, 80, 48, 1), "cpu")
    assert (concepts.value, concepts.unit) == (100.0, "%")
    assert search.value > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said() -> None:
    command = (sys.executable, "-m", "tests.bench", "gpu")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "no GPU here: `make bench` measures the processor\n"
