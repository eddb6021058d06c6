"""The whole chain behind a bare ``sithctl explain``, every stage from the cache where it can be.

On the cached way nothing here imports torch: the answer must come at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sithctl.artifacts.cache import cached, file_digest, folder, key
from sithctl.artifacts.containers import HDF5_MAGIC
from sithctl.artifacts.store import load
from sithctl.commands.instead import refuse_images
from sithctl.errors import InputError, UsageError
from sithctl.kinds import Codes, Factors, Pool, Spectra
from sithctl.kinds.base import digest_of
from sithctl.models.locate import BUNDLED, CHECKPOINTS, locate
from sithctl.models.location import HISTORY, is_adapter
from sithctl.scenes.bundled import CONCEPTS, FACTORS, MEAN, bundled_concepts
from sithctl.sources.texts import read_texts
from sithctl.stages.layers import select_layers
from sithctl.stages.options import Options
from sithctl.views.console import output

LAST = 4
SCENES_IN_POOL, POOL_SEED = 3000, 5  # of the bundled classifier: scenes that no training step saw


@dataclass(frozen=True)
class Chain:
    """One model explained with one pool and one mean.

    Attributes:
        model: as the user called it.
        pool: a pool file or a word list; the bundled pool when None.
        mean: a file, ``none``, or None.
        options: of ``decompose``.
        tower: ``vision``, or ``text`` of a model that has one.
    """

    model: str
    pool: str | None
    mean: str | None
    options: Options
    tower: str = "vision"

    def codes(self, layers: str | None) -> list[Codes]:
        """Codes of the layers asked for, the model's last four when None: one a layer."""
        if self.pool is None and bundled_base(self.model) is None:
            raise UsageError("no pool", None, "give --pool FILE: a pool, or words to encode")
        facts = self._facts()
        chosen = select_layers(layers, facts["layers"], facts["name"], last=LAST)
        recipes = {layer: self._recipe(layer) for layer in chosen}
        missing = [n for n in chosen if not _entry(recipes[n]).exists()]
        made: dict[int, Codes] = {}
        if missing:
            whole = self._make(missing)
            made = {n: replace(whole, layers={n: whole.layers[n]}) for n in missing}
        return [self._layer(n, recipes[n], made) for n in chosen]

    def _layer(self, layer: int, recipe: dict[str, Any], made: dict[int, Codes]) -> Codes:
        return cached("codes", recipe, Codes, lambda: made.get(layer) or self._make([layer]))

    def _facts(self) -> dict[str, Any]:
        """The model's name and number of layers, remembered so that torch need not be loaded."""
        recipe = {"model": self._model_digest(), "tower": self.tower}
        note = folder() / f"facts-{key('facts', recipe)}.json"
        try:
            facts: dict[str, Any] = json.loads(note.read_text())
            return facts
        except (OSError, ValueError):
            pass
        from sithctl.models.opening import open_model

        opened = open_model(self.model, tower=self.tower)
        facts = {"name": opened.name, "layers": opened.layers}
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps(facts))
        except OSError:
            pass
        return facts

    def _model_digest(self) -> list[str]:
        return model_digest(self.model)

    def _recipe(self, layer: int) -> dict[str, Any]:
        own = bundled_base(self.model)
        pool = _bundled_files(str(own)) if self.pool is None else [_file(self.pool)]
        mean = MEAN if self.mean is None else None if self.mean == "none" else self._mean_file()
        return {
            "model": self._model_digest(),
            "tower": self.tower,
            "pool": [f"{path.suffix}:{file_digest(path)}" for path in pool],  # as it is parsed
            "mean": file_digest(mean) if mean and mean.exists() else None,
            "options": self.options.document(),
            "layer": layer,
        }

    def _mean_file(self) -> Path:
        path = Path(str(self.mean))
        if not path.is_file():
            refuse_images(str(self.mean), self.model)
            todo = "check the path, or make it with `sithctl mean IMAGES -o mean.h5`"
            raise InputError("no such mean", path, todo)
        return path

    def _make(self, layers: list[int]) -> Codes:
        from sithctl.commands.decompose import load_mean
        from sithctl.stages.decompose import decompose
        from sithctl.stages.fitting import resolve_mean
        from sithctl.stages.fold import fold
        from sithctl.stages.svd import svd

        mean = load_mean(self.mean)
        with output.working("folding and decomposing heads"):
            recipe = {"model": self._model_digest(), "tower": self.tower, "layers": layers}
            spectra = cached(
                "spectra",
                recipe,
                Spectra,
                lambda: svd(fold(self.model, layers, tower=self.tower)),
            )
        words = self.pool is not None and not _is_artefact(_file(self.pool))
        if words and self.tower == "vision":  # a text tower takes the mean of the words themselves
            resolve_mean(spectra, None, mean)  # before the words are encoded, not after
        pool = self._pool()
        with output.progress("selecting concepts") as tell:
            return decompose(
                spectra,
                pool,
                mean,
                layers=layers,
                options=self.options,
                progress=tell,
            )

    def _pool(self) -> Pool:
        if self.pool is None:
            return bundled_pool(str(bundled_base(self.model)))
        path = _file(self.pool)
        if _is_artefact(path):
            return load(path, Pool)
        concepts = read_texts([str(path)]).concepts
        recipe = {"model": self._model_digest(), "concepts": digest_of({}, {"concepts": concepts})}
        return cached("pool", recipe, Pool, lambda: _encode(concepts, None, self.model))


def model_digest(model: str) -> list[str]:
    """A model's name, and digests of the files that make it what it is."""
    place = BUNDLED.get(model, Path(model))
    files: list[Path] = []
    if not place.is_dir() or is_adapter(place):
        found = locate(model)
        place, files = found.weights, [] if found.adapter is None else _beside(found.adapter)
    files = [f for f in (*files, *_beside(place)) if f.is_file()]
    digests = [f"{f.name}:{file_digest(f)}" for f in files]
    given = Path(model)
    name = given.resolve().name if given.exists() else model
    return [name, *digests]  # the name is part of the result, and an OpenCLIP one the config


def _beside(place: Path) -> list[Path]:
    """The files that make a model what it is: all weights of a directory or of an index, of a
    single checkpoint it alone; configs and tokenizers."""
    folder = place if place.is_dir() else place.parent
    texts = {".json", ".txt", ".model"}
    single = place.is_file() and not place.name.endswith(".index.json")
    kinds = texts if single else {*texts, *CHECKPOINTS}
    found = {file for file in folder.iterdir() if file.suffix in kinds}
    return sorted(found | ({place} if single else set()))


def bundled_base(model: str) -> str | None:
    """The bundled model that a model is, or that it was edited from: their feature space is one,
    which ``decompose`` checks, and so is their pool."""
    if model in BUNDLED:
        return model
    try:
        name = json.loads((Path(model) / HISTORY).read_text())["model"]["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return name if isinstance(name, str) and name in BUNDLED else None


def _entry(recipe: dict[str, Any]) -> Path:
    return folder() / f"codes-{key('codes', recipe)}.h5"


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        todo = f"check the path, or make a pool with `sithctl encode-pool {name} -o pool.h5`"
        raise InputError("no such pool, nor a list of words", name, todo)
    return path


def _is_artefact(path: Path) -> bool:
    """A pool, or at least a file that claims to be one; anything else is a list of words."""
    with path.open("rb") as file:
        is_hdf5 = file.read(len(HDF5_MAGIC)) == HDF5_MAGIC
    return is_hdf5 or path.suffix in {".h5", ".hdf5", ".safetensors"}


def _encode(concepts: list[str], factors: list[Factors] | None, model: str) -> Pool:
    with output.working("loading the model"):
        from sithctl.models import load_encoder
        from sithctl.stages.pool import encode_pool

        encoder = load_encoder(model)
    with output.progress("encoding concepts") as tell:
        return encode_pool(concepts, encoder, factors=factors, progress=tell)


def bundled_pool(model: str = "scenes") -> Pool:
    """The pool that comes with a bundled model, encoded once and cached: phrases for the CLIP,
    captioned scenes for the classifier."""
    weights = BUNDLED[model] / "model.safetensors"
    files = [file_digest(path) for path in (weights, *_bundled_files(model))]
    make = _scenes_pool if model == "scenes-vit" else _phrases_pool
    return cached("pool", {"files": files}, Pool, make)


def _bundled_files(model: str) -> list[Path]:
    """What a bundled pool is made from: lists, or the code that draws the world."""
    if model == "scenes":
        return [CONCEPTS, FACTORS]
    return sorted(CONCEPTS.parent.glob("*.py"))


def _phrases_pool() -> Pool:
    return _encode(*bundled_concepts(), "scenes")


def _scenes_pool() -> Pool:
    with output.working("loading the model"):
        from sithctl.models import load_encoder
        from sithctl.sources.images import Wanted
        from sithctl.sources.open import SCENES_IMAGES, open_images
        from sithctl.stages.pool import encode_pool

        encoder = load_encoder("scenes-vit")
    images = open_images(SCENES_IMAGES, Wanted(captions=True, limit=SCENES_IN_POOL, seed=POOL_SEED))
    with output.progress("encoding scenes") as tell:
        return encode_pool(images, encoder, progress=tell)
