"""LoRA adapters as peft saves them, merged on the way in: W + (α/r) B A (Hu et al., 2022).

What peft does beyond that (DoRA, initialisations that change the base, quantised bases, …) is
refused: read as a plain LoRA it would give numbers that mean nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sithctl.checkpoints.adapted import Adapted, LowRank
from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.location import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from sithctl.models.spellings import same_tensor

MERGE = "merge it with peft's merge_and_unload, save that, and give it instead"
# What makes an adapter other than W + (α/r) B A, by its config's keys.
_BEYOND = {
    "use_dora": "DoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "block-diagonal LoRA",
    "layer_replication": "replicated layers",
    "target_parameters": "single parameters as targets",
    "trainable_token_indices": "single trained tokens",
    "alora_invocation_tokens": "an adapter that some tokens switch on",
    "arrow_config": "adapters that are routed between",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
}
_KEEPS_BASE = (None, True, False, "gaussian", "orthogonal", "eva")  # initialisations that do
_TOWERS = {"vision": ("vision", "visual"), "text": ("text",)}  # in the names of classes, of tensors
_LORA = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.default)?(?:\.(weight|bias))?")


def adapted(base: Checkpoint, folder: Path, config: Mapping[str, Any]) -> Adapted:
    """A base checkpoint seen through the adapter in ``folder``.

    Args:
        config: of the base model.

    Raises:
        InputError: it is no plain LoRA, is damaged, or a tensor of it has no place in the base.
    """
    settings = _settings(folder)
    if config.get("quantization_config"):
        raise InputError("the adapter's base is quantised", base.path, "name the base before it")
    tensors = _Tensors.of(folder)
    place = _Places(base, settings, folder)
    added: dict[str, LowRank] = {}
    for module, parts in tensors.low_rank.items():
        name = place.of(f"{module}.weight")
        added[name] = _update(module, parts, settings, base.shape(name), folder)
        if "bias" in parts:
            added[place.of(f"{module}.bias")] = LowRank(
                _scale(module, parts["A"].shape[0], settings) * parts["bias"].unsqueeze(1),
                parts["bias"].new_ones(1, 1),
            )
    replaced = {}
    for name, tensor in tensors.whole.items():
        replaced[place.of_whole(name, tensor)] = tensor
    return Adapted(base, added, replaced)


def _settings(folder: Path) -> dict[str, Any]:
    """The adapter's config, of a plain LoRA."""
    path = folder / ADAPTER_CONFIG
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))  # read once by locate
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise InputError(f"not supported: an adapter of the type {kind}", path, MERGE)
    for key, what in _BEYOND.items():
        if settings.get(key):
            raise InputError(f"not supported: {what} ({key})", path, MERGE)
    start = settings.get("init_lora_weights")
    if start not in _KEEPS_BASE:
        raise InputError(
            f"not supported: an adapter that changed its base (init_lora_weights {start})",
            path,
            MERGE,
        )
    alpha = settings.get("lora_alpha")
    patterns = [settings.get(key) or {} for key in ("rank_pattern", "alpha_pattern")]
    if not isinstance(alpha, int | float) or not all(isinstance(p, dict) for p in patterns):
        raise InputError("no LoRA's config (lora_alpha, patterns)", path, "save the adapter again")
    return settings


@dataclass(frozen=True)
class _Tensors:
    """What an adapter's file holds, its own prefixes taken off.

    Attributes:
        low_rank: module → ``A``, ``B`` and where there is one ``bias``, float64; the tables of an
            embedding, which are stored the other way round, as a Linear's would be.
        whole: tensors in full, by name.
    """

    low_rank: dict[str, dict[str, Tensor]]
    whole: dict[str, Tensor]

    @classmethod
    def of(cls, folder: Path) -> _Tensors:
        path = next((p for n in ADAPTER_WEIGHTS if (p := folder / n).is_file()), None)
        if path is None:
            wanted = " or ".join(ADAPTER_WEIGHTS)
            raise InputError(f"an adapter without weights (no {wanted})", folder, "save it again")
        file = Checkpoint(path)
        low_rank: dict[str, dict[str, Tensor]] = {}
        whole: dict[str, Tensor] = {}
        for name in file.names():
            plain = _plain(name)
            match = _LORA.fullmatch(plain)
            if match is None and "lora_" in plain:
                raise InputError(f"not supported: {name} is no plain LoRA's", path, MERGE)
            if match is None:
                file.read(name)  # refuses a NaN
                whole[plain] = file.stored(name)
                continue
            module, embedding, letter, sort = match.groups()
            tensor = file.read(name)
            if embedding:
                letter, tensor = "AB"[letter == "A"], tensor.T
            low_rank.setdefault(module, {})["bias" if sort == "bias" else letter] = tensor
        for module, parts in low_rank.items():
            if not {"A", "B"} <= parts.keys():
                raise InputError(f"{module} has one of lora_A and lora_B", path, "save it again")
        return cls(low_rank, whole)


def _plain(name: str) -> str:
    """A tensor's name in the model that was adapted, without the wrappers around its modules."""
    name = name.removeprefix("base_model.model.")
    for wrapper in (".base_layer.", ".modules_to_save.default.", ".modules_to_save."):
        name = name.replace(wrapper, ".")
    return name


def _update(
    module: str,
    parts: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    shape: tuple[int, ...],
    folder: Path,
) -> LowRank:
    """One module's (α/r) B A, as its weight is stored."""
    reader, writer = parts["A"].flatten(1), parts["B"].flatten(1)
    rank = reader.shape[0]
    said = _by_pattern(settings, "rank_pattern", module, settings.get("r", rank))
    if rank != said or writer.shape[1] != rank:
        what = f"{module} has rank {rank} and {writer.shape[1]} where the config says {said}"
        raise InputError(what, folder, "save the adapter again")
    update = LowRank(_scale(module, rank, settings) * writer, reader)
    if settings.get("fan_in_fan_out"):
        update = LowRank(update.right.T, update.left.T)
    if update.shape != (shape[0], math.prod(shape[1:])):
        what = f"{module} is {update.shape} in the adapter and {shape} in its base"
        raise InputError(what, folder, f"correct base_model_name_or_path in {ADAPTER_CONFIG}")
    return update


def _scale(module: str, rank: int, settings: Mapping[str, Any]) -> float:
    alpha = float(_by_pattern(settings, "alpha_pattern", module, settings["lora_alpha"]))
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _by_pattern(settings: Mapping[str, Any], key: str, module: str, default: Any) -> Any:
    """A module's own value, of the first pattern that its name ends with: peft's rule."""
    for pattern, value in (settings.get(key) or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


class _Places:
    """From the adapter's names to the base's."""

    def __init__(self, base: Checkpoint, settings: Mapping[str, Any], folder: Path) -> None:
        self.names, self.base, self.folder = base.names(), base, folder
        self.saved = tuple(settings.get("modules_to_save") or ())
        kind = str((settings.get("auto_mapping") or {}).get("base_model_class")).lower()
        marks = [marks for tower, marks in _TOWERS.items() if tower in kind]
        # A tower's adapter on a model of both: its names may be those of the other tower.
        self.own = [n for n in self.names if len(marks) == 1 and any(m in n for m in marks[0])]

    def of(self, name: str) -> str:
        """The one place of a tensor.

        Raises:
            InputError: there is none, or more than one.
        """
        found = self._found(name)
        if len(found) == 1:
            return found[0]
        if found:
            raise self._error(f"{name} may be any of {', '.join(found)}")
        module = name.removesuffix(".weight")
        if self._found(f"{module}.in_proj_weight"):
            # peft 0.21 adds the output's update twice, in its forward pass, too; the tensors do not
            # say by which peft they were trained.
            what = f"not supported: LoRA on torch's own multi-head attention ({module})"
            raise InputError(what, self.folder, MERGE)
        raise self._error(f"no place for {name}")

    def _found(self, name: str) -> list[str]:
        return same_tensor(name, self.own) or same_tensor(name, self.names)

    def of_whole(self, name: str, tensor: Tensor) -> str:
        """A tensor in full: its place, or where it is of a module that was trained in full and its
        base lacks (a new classifier), its own name; such a one may have another shape."""
        module = name.rpartition(".")[0]
        trained = any(m in (module, *module.split(".")) for m in self.saved)
        if trained and not same_tensor(name, self.names):
            return name
        place = self.of(name)
        if not trained and self.base.shape(place) != tuple(tensor.shape):
            raise self._error(f"{name} has another shape than {place}")
        return place

    def _error(self, what: str) -> InputError:
        todo = f"correct base_model_name_or_path in {ADAPTER_CONFIG}"
        return InputError(f"the adapter does not fit its base: {what}", self.folder, todo)
