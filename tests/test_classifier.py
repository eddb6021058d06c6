"""The bundled classifier: the real case of a model without a text tower, explained by captioned
scenes."""

from __future__ import annotations

import json

import pytest

from sithctl.commands.chain import bundled_pool
from sithctl.kinds import Codes, Pool
from sithctl.models.locate import BUNDLED
from sithctl.scenes.factors import NAMES
from sithctl.scenes.grounded import LAYERS, as_markdown, measure
from sithctl.stages.decompose import decompose
from sithctl.stages.fold import fold
from sithctl.stages.options import Options
from sithctl.stages.svd import svd
from tests.conftest import Run

FOLDER = BUNDLED["scenes-vit"]


@pytest.fixture(scope="module")
def pool() -> Pool:
    return bundled_pool("scenes-vit")


@pytest.fixture(scope="module")
def codes(pool: Pool) -> Codes:
    return decompose(svd(fold("scenes-vit")), pool, layers=LAYERS)


def test_it_is_small_and_tells_shapes() -> None:
    from transformers import ViTForImageClassification

    from sithctl.scenes.classifier import shape_accuracy

    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4_000_000
    model = ViTForImageClassification.from_pretrained(FOLDER).eval()
    assert shape_accuracy(model) > 0.9


def test_explanations_name_the_factor_that_it_was_taught(pool: Pool, codes: Codes) -> None:
    """Shape stands above chance, further than any other factor; what it says is in its README."""
    rows = measure(codes, pool)
    shape = rows["shape"]
    assert shape.share.low > shape.chance.high + 0.05
    gain = {name: rows[name].share.mean - rows[name].chance.mean for name in NAMES}
    assert max(gain, key=gain.__getitem__) == "shape"
    assert as_markdown(rows) in (FOLDER / "README.md").read_text()


def test_grounding_in_scenes_is_of_one_shape(pool: Pool) -> None:
    """The nearest scenes (grounding) share their shape more often than not."""
    nearest = decompose(svd(fold("scenes-vit", "-1")), pool, options=Options(method="nearest"))
    rows = measure(nearest, pool)
    assert rows["shape"].share.low > rows["shape"].chance.high + 0.2


def test_its_pool_is_its_own_mean(codes: Codes) -> None:
    assert abs(codes.mean - codes.pool_mean).max() < 1e-6
    assert codes.concepts.thumbnails is not None
    assert codes.concepts.sources is not None


def test_the_command_alone_is_complete(run: Run) -> None:
    """As for the CLIP: the whole chain, its own pool, from the cache the second time."""
    first = run("explain", "--model", "scenes-vit", "--layer", 5, "--head", 1, "--format", "json")
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    concept = document["explanations"][0]["concepts"][0]
    assert concept["image"].startswith("scenes/")
    again = run("explain", "--model", "scenes-vit", "--layer", 5, "--head", 1, "--format", "json")
    assert again.stdout == first.stdout
    unisith = run(
        "explain", "--model", "scenes-vit", "--layer", 5, "--head", 1, "--format", "unisith-json"
    )
    vectors = json.loads(unisith.stdout)["5"]["1"]["singular_vectors"]
    assert len(vectors) == 16
    assert vectors[0]["image_ids"][0] == concept["image"]


def test_the_chain_stage_by_stage(run: Run) -> None:
    heads = run("fold", "scenes-vit", "--layers", 5)
    spectra = run("svd", "-", stdin=heads.stdout_bytes)
    codes = run("decompose", "-", "--rank", 2, stdin=spectra.stdout_bytes)
    assert codes.exit_code == 0, codes.stderr
    shown = run("explain", "-", "--format", "csv", "--head", 0, stdin=codes.stdout_bytes)
    whole = run(
        "explain", "--model", "scenes-vit", "--layer", 5, "--head", 0, "--top", 2, "--format", "csv"
    )
    assert shown.stdout == whole.stdout
