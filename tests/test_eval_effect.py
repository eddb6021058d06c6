"""Ablated vectors against their explanations: figures by independent arithmetic, planted truths,
and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Run
from PIL import Image

import sithctl
from sithctl import decompose, encode_pool, fold, svd
from sithctl.artifacts import load, save
from sithctl.evaluation.ablation import directions, strength
from sithctl.kinds import Codes
from sithctl.models import load_encoder, open_model
from sithctl.scenes.bundled import bundled_mean
from sithctl.sources.images import Wanted
from sithctl.sources.open import open_images
from sithctl.stages.options import Options

WORDS = [
    *("red", "ring", "ocean", "sea", "forest", "striped", "snow", "two boxes", "a star"),
    *("blue", "green", "dotted", "on the left", "large", "city", "three hearts", "yellow circle"),
]


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the last layer of the bundled CLIP, three vectors a head."""
    spectra = svd(fold("scenes", "5"), rank=3)
    made = decompose(
        spectra,
        encode_pool(WORDS, "scenes"),
        bundled_mean(spectra.model.space),
        options=Options(sparsity=3),
    )
    path = tmp_path_factory.mktemp("effect") / "codes.h5"
    save(made, path)
    return path


SMALL = ("--layer", "5", "--head", "4-5", "--limit", "3", "--draws", "20")


def found(run: Run, *arguments: object) -> dict:
    result = run("eval", "effect", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_figures_are_those_of_the_written_model(
    run: Run, codes: Path, pictures: Path, tmp_path: Path
) -> None:
    """One vector and one head, by editing on disk, loading anew and plain numpy."""
    images = [Image.open(p).convert("RGB") for p in sorted(pictures.iterdir())]
    known = load(codes, Codes)
    place = {int(index): i for i, index in enumerate(known.concepts.indices)}
    before = F.normalize(load_encoder("scenes").encode_images(images).double(), dim=-1).numpy()

    def direction(sv: int, pole: int) -> np.ndarray:
        layer = known.layers[5]
        pairs = zip(layer.indices[4, sv, pole], layer.coefficients[4, sv, pole], strict=True)
        total = sum(
            c * known.concepts.vectors[place[int(i)]].astype(float) for i, c in pairs if i >= 0
        )
        return total / np.linalg.norm(total)

    common = ("scenes", codes, "--data", pictures, "--layer", 5, "--head", "4", "--draws", 5)
    for group, svs in (("vector", [1]), ("head", [0, 1, 2])):
        sets = [word for sv in svs for word in ("--set", f"5.4.{sv}=0")]
        assert run("edit", "scenes", *sets, "-o", tmp_path / group).exit_code == 0
        encoder = load_encoder(str(tmp_path / group))
        after = F.normalize(encoder.encode_images(images).double(), dim=-1).numpy()
        change = after - before
        along = np.stack([change @ direction(sv, p) for sv in svs for p in (0, 1)], 1)
        strongest = np.abs(along).max(1)
        record = next(
            r for r in found(run, *common, "--group", group)["units"] if r.get("sv", 1) == 1
        )
        assert record["effect"] == pytest.approx(strongest.mean(), rel=1e-3)
        assert record["change"] == pytest.approx(np.linalg.norm(change, axis=1).mean(), rel=1e-3)
        share = (strongest**2).sum() / (change**2).sum()
        assert record["share"] == pytest.approx(share, rel=1e-3)
        assert record["vectors"] == len(svs)
        assert record["ratio"] == pytest.approx(record["effect"] / record["random"])


def test_explanations_say_more_than_chance(run: Run, codes: Path) -> None:
    """And codes whose explanations were dealt to other vectors say no more than chance does."""
    options = ("--limit", 8, "--draws", 40, "--top", 1)
    true = found(run, "scenes", codes, *options)["overall"]
    assert true["units"] == 8
    assert true["ratio"]["low"] > 1.3
    assert true["beats"]["mean"] > 0.8
    known = load(codes, Codes)
    layer = known.layers[5]
    order = np.roll(np.arange(8), 3)
    dealt = replace(layer, indices=layer.indices[order], coefficients=layer.coefficients[order])
    other = codes.with_name("dealt.h5")
    save(replace(known, layers={5: dealt}), other)
    chance = found(run, "scenes", other, *options)["overall"]
    assert chance["ratio"]["mean"] < 0.8 * true["ratio"]["mean"]
    assert chance["others_ratio"]["mean"] < 0.8 * true["others_ratio"]["mean"]


def test_the_command(run: Run, codes: Path, tmp_path: Path) -> None:
    first = run("eval", "effect", "scenes", codes, *SMALL, "--format", "json")
    again = run("eval", "effect", codes, *SMALL, "--format", "json", "-o", tmp_path / "e.json")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "e.json").read_text() == first.stdout
    piped = run(
        "eval", "effect", "scenes", "-", *SMALL, "--format", "json", stdin=codes.read_bytes()
    )
    assert piped.stdout == first.stdout
    document = json.loads(first.stdout)
    assert [r["place"] for r in document["units"]] == [
        f"5.{h}.{i}" for h in (4, 5) for i in range(3)
    ]
    ratios = [r["ratio"] for r in document["heads"]]
    assert ratios == sorted(ratios, reverse=True)
    seeded = found(run, "scenes", codes, *SMALL, "--data", "scenes:images", "--seed", "1")
    assert seeded["units"][0]["random"] != document["units"][0]["random"]
    table = run("eval", "effect", "scenes", codes, *SMALL).stdout
    for word in ("by chance", "Heads, strongest first", "× others", "3 pictures"):
        assert word in table


def test_a_model_without_a_text_tower_is_left_as_it_was(pictures: Path) -> None:
    encoder = load_encoder("scenes-vit")
    captioned = open_images("scenes:images", Wanted(captions=True, limit=24))
    explained = decompose(svd(fold("scenes-vit", "-1"), rank=2), encode_pool(captioned, encoder))
    before = {name: t.clone() for name, t in encoder.tensors().items()}
    some = [encoder.prepare(Image.open(p)) for p in sorted(pictures.iterdir())[:4]]
    options = {"head": "0", "top": 2, "draws": 10}
    result = sithctl.evaluate(
        "effect", open_model("scenes-vit"), explained, encoder, some, **options
    )
    assert len(result.table("units").records) == 2
    assert all(r["effect"] > 0 for r in result.table("units").records)
    assert all(torch.equal(t, before[name]) for name, t in encoder.tensors().items())


def test_directions_and_strength() -> None:
    vectors = F.normalize(torch.randn(2, 3, 5).double(), dim=-1)
    weights = torch.tensor([[0.5, 0.2, 0.0], [1.0, 0.0, 0.0]]).double()
    d = directions(weights, vectors)
    torch.testing.assert_close(d[1], vectors[1, 0])
    expected = 0.5 * vectors[0, 0] + 0.2 * vectors[0, 1]
    torch.testing.assert_close(d[0], expected / expected.norm())
    change = torch.randn(4, 5).double()
    by_hand = [max(abs(float(c @ d[0])), abs(float(c @ d[1]))) for c in change]
    assert strength(change, d).tolist() == pytest.approx(by_hand)


def test_bad_input(run: Run, codes: Path, pictures: Path, tiny_clip: Path, tmp_path: Path) -> None:
    known = load(codes, Codes)
    save(replace(known, parameters={**known.parameters, "side": "left"}), tmp_path / "left.h5")
    text = {**known.architecture, "tower": "text"}
    other = replace(known.model, space="of the text tower")
    save(replace(known, architecture=text, model=other), tmp_path / "text.h5")
    (tmp_path / "empty").mkdir()
    for arguments, code, message in (
        ((tiny_clip, codes), 2, "no images: name some with --data"),
        ((tiny_clip, codes, "--data", pictures), 3, "the codes are of another model"),
        (("scenes", codes, "--data", pictures, "--split", "train"), 2, "leave out --split"),
        (("scenes", codes, "--data", tmp_path / "empty"), 3, str(tmp_path)),
        (("scenes", tmp_path / "left.h5"), 3, "codes of left vectors"),
        (("scenes", tmp_path / "text.h5"), 3, "codes of a text tower"),
        (("scenes", codes, "--head", "99"), 3, "no head 99"),
    ):
        result = run("eval", "effect", *arguments, "--limit", "2")
        assert result.exit_code == code, (arguments, result.output)
        assert message in result.stderr.replace("\n", "")
        assert len(result.stderr.splitlines()) == 1
