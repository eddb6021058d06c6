"""``sithctl --version --verbose``: what a report of a fault needs to say."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "torch",
    "torchvision",
    "transformers",
    "open-clip-torch",
    "timm",
    "safetensors",
    "h5py",
    "numpy",
    "scipy",
    "datasets",
    "typer",
    "rich",
)
FEATURES = {  # torch's own tests, private, so perhaps absent
    "AMX": "_is_amx_tile_supported",
    "AVX-512 bf16": "_is_avx512_bf16_supported",
}
SETTINGS = ("SITHCTL_MODEL", "SITHCTL_CACHE", "HF_HOME", "HF_HUB_OFFLINE", "OMP_NUM_THREADS")


def surroundings() -> dict[str, str]:
    """What results and faults may depend on, by name; torch is loaded for it."""
    import torch

    from sithctl.artifacts.cache import folder

    found = {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "processor": f"{_processor()}; {_features()}",
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} processors",
        "device": _device(),
    }
    found |= {library: _version(library) for library in LIBRARIES}
    found["cache"] = str(folder())
    return found | {name: os.environ[name] for name in SETTINGS if name in os.environ}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """Its name; Linux has it in a file, other systems tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _features() -> str:
    """What products of float32 and bfloat16 are made with."""
    import torch

    tests = {name: getattr(torch.cpu, test, None) for name, test in FEATURES.items()}
    there = [name for name, test in tests.items() if test is not None and test()]
    return ", ".join([torch.backends.cpu.get_cpu_capability(), *there])


def _device() -> str:
    """The accelerator that torch finds."""
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return f"CUDA {torch.version.cuda}: {', '.join(names)}"
    return "mps" if torch.backends.mps.is_available() else "cpu alone"
