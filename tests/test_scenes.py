"""The rendered world and the model that ships: known factors, honest words, real accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sithctl.scenes import bundled, release
from sithctl.scenes.captions import concept_pool
from sithctl.scenes.factors import FACTORS, INDEX, NAMES, SPURIOUS, plural, value_index
from sithctl.scenes.model import DIRECTORY, build_tokenizer
from sithctl.scenes.world import captions, draw, holds, spurious_scenes

REQUIRED = {
    "scene": 0.97,
    "colour": 0.85,
    "shape": 0.80,
    "pattern": 0.75,
    "size": 0.80,
    "count": 0.80,
}


def test_a_scene_depends_on_its_seed_and_place_alone() -> None:
    few, many = draw(10, seed=3, bias=0.5), draw(700, seed=3, bias=0.5)
    assert torch.equal(few.factors, many.factors[:10])
    assert torch.equal(few.pictures(), many.pictures(0, 10))
    assert torch.equal(many.pictures(4, 6), many.pictures()[4:6])
    assert not torch.equal(draw(10, seed=4).factors, few.factors)


@pytest.mark.parametrize("factor", FACTORS, ids=lambda f: f.name)
def test_every_value_changes_the_picture(factor) -> None:
    scenes = draw(40, seed=1).only(hazard="safe", count="two", position="middle")
    drawn = [scenes.only(**{factor.name: value}).pictures().float() for value in factor.values]
    for i, one in enumerate(drawn):
        for other in drawn[i + 1 :]:
            assert (one - other).abs().mean() > 2


def test_bias_puts_two_shapes_in_their_scenes() -> None:
    scenes = draw(8000, seed=2, bias=0.9)
    for shape, scene in SPURIOUS.items():
        those = scenes.factors[:, INDEX["shape"]] == value_index("shape", shape)
        there = scenes.factors[those][:, INDEX["scene"]] == value_index("scene", scene)
        assert 0.88 < there.float().mean() < 0.95


def test_hazard_pairs_differ_in_nothing_else() -> None:
    scenes = draw(50, seed=6)
    safe, hazard = scenes.only(hazard="safe"), scenes.only(hazard="hazard")
    inside = (slice(None), slice(None), slice(6, 42), slice(6, 42))
    assert torch.equal(safe.pictures()[inside], hazard.pictures()[inside])
    assert not torch.equal(safe.pictures(), hazard.pictures())
    safe_texts, _ = captions(safe, seed=1)
    hazard_texts, _ = captions(hazard, seed=1)
    assert sum(a != b for a, b in zip(safe_texts, hazard_texts, strict=True)) >= 3


def test_captions_claim_what_holds() -> None:
    scenes = draw(300, seed=9)
    texts, claims = captions(scenes, seed=9)
    assert texts == captions(scenes, seed=9)[0]
    assert bool(holds(claims, scenes.factors).diagonal().all())
    for text, row in zip(texts, claims.tolist(), strict=True):
        assert any(value >= 0 for value in row), text
        for factor, value in zip(FACTORS, row, strict=True):
            if value < 0 or factor.name == "hazard":
                continue
            words = factor.words[factor.values[value]]
            assert any(w in text or plural(w) in text for w in words), (text, factor.name)


def test_no_word_stands_for_two_values() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for factor in FACTORS:
        for value, words in factor.words.items():
            for word in words:
                assert word not in seen, (word, seen.get(word))
                seen[word] = (factor.name, value)


def test_every_word_is_one_token() -> None:
    tokenizer = build_tokenizer()
    for word in {w for phrase in concept_pool() for w in phrase.split()}:
        assert len(tokenizer.tokenize(word)) == 1, word


def test_the_pool_is_large_and_names_factors_alone_and_in_pairs() -> None:
    pool = concept_pool()
    assert len(pool) >= 6000
    assert pool["crimson"] == {"colour": "red"}
    assert pool["striped thing"] == {"pattern": "striped"}
    assert pool["ocean background"] == {"scene": "ocean"}
    assert pool["two violet rings"] == {"count": "two", "colour": "violet", "shape": "ring"}
    for factor in FACTORS:
        alone = {tuple(v.items()) for v in pool.values() if set(v) == {factor.name}}
        assert len(alone) == len(factor.values)


def test_shipped_lists_are_those_of_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "CONCEPTS", tmp_path / "concepts.txt")
    monkeypatch.setattr(release, "FACTORS", tmp_path / "concepts.tsv")
    release.write_concepts()
    assert (tmp_path / "concepts.txt").read_bytes() == bundled.CONCEPTS.read_bytes()
    assert (tmp_path / "concepts.tsv").read_bytes() == bundled.FACTORS.read_bytes()
    labels, factors = bundled.bundled_concepts()
    assert dict(zip(labels, factors, strict=True)) == concept_pool()


def test_shipped_model_is_small_and_loads_in_transformers() -> None:
    from transformers import AutoProcessor, CLIPModel

    assert sum(f.stat().st_size for f in DIRECTORY.iterdir()) <= 12_000_000
    model = CLIPModel.from_pretrained(DIRECTORY)
    processor = AutoProcessor.from_pretrained(DIRECTORY)
    inputs = processor(text=["two violet rings"], return_tensors="pt")
    assert model.get_text_features(**inputs).pooler_output.shape == (1, model.config.projection_dim)
    assert json.loads((DIRECTORY / "config.json").read_text())["model_type"] == "clip"


@pytest.fixture(scope="module")
def measured() -> release.Measured:
    return release.measure()


@pytest.mark.parametrize("factor", REQUIRED)
def test_zero_shot_accuracy(measured: release.Measured, factor: str) -> None:
    assert measured.drawn[factor] >= REQUIRED[factor]
    assert measured.alone[factor] >= REQUIRED[factor]


def test_the_spurious_pair_is_biased_but_not_blind(measured: release.Measured) -> None:
    pair = measured.pair
    assert pair.overall > 0.7
    assert 0.3 <= pair.worst <= 0.6
    assert pair.groups[min(pair.groups, key=lambda g: pair.groups[g])] == pair.worst


def test_readme_of_the_model_states_what_is_measured(measured: release.Measured) -> None:
    text = (DIRECTORY / "README.md").read_text()
    for factor in NAMES:
        line = next(line for line in text.splitlines() if line.startswith(f"| {factor} |"))
        drawn, alone = (float(cell) for cell in line.split("|")[2:4])
        assert drawn == pytest.approx(measured.drawn[factor], abs=0.01)
        assert alone == pytest.approx(measured.alone[factor], abs=0.01)
    assert "python -m sithctl.scenes.train" in text


def test_spurious_scenes_are_four_equal_groups() -> None:
    scenes, group = spurious_scenes(400, seed=1)
    assert torch.bincount(group).tolist() == [100] * 4
    shapes = {value_index("shape", shape) for shape in SPURIOUS}
    assert set(scenes.factors[:, INDEX["shape"]].tolist()) == shapes


def test_trainer_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """Killed after 3 of 5 steps and resumed, it ends where an unbroken run ends."""
    from sithctl.scenes.train import Contrastive, parse

    common = ["--warm-up", "2", "--steps", "3", "--batch", "8", "--warm-up-batch", "8"]

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with more, sums come in any order

    def trainer(folder: str) -> Contrastive:
        (tmp_path / folder).mkdir(exist_ok=True)
        options = parse(["--out", str(tmp_path / folder), *common, "--device", "cpu"])
        made = Contrastive(options)
        made._report = lambda *_: None  # type: ignore[method-assign]
        return made

    whole = trainer("whole")
    whole.run()
    first = trainer("parts")
    first.run(until=3)
    first.save_checkpoint()
    second = trainer("parts")
    second.resume(tmp_path / "parts" / "training.pt")
    assert second.step == 3
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], tensor)
    states = [t.optimiser.state_dict()["state"] for t in (first, second)]
    assert states[0].keys() == states[1].keys()
    for key, state in states[0].items():
        assert torch.equal(state["exp_avg"], states[1][key]["exp_avg"])
    second.run()
    torch.set_num_threads(threads)
    # Adam makes steps of full size from gradients that are nothing but rounding.
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], tensor, atol=1e-4, rtol=0)
    second.save_model()
    assert (tmp_path / "parts" / "model.safetensors").exists()
