"""``eval zero-shot``: accuracy against independent computations, on every kind of labelled data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Run
from PIL import Image

import sithctl
from sithctl.evaluation.compared import fallen, shares, worst
from sithctl.evaluation.prompted import class_weights
from sithctl.kinds import Change, Plan
from sithctl.models import load_encoder
from sithctl.scenes import captions as wording
from sithctl.scenes import zero_shot as known_world
from sithctl.scenes.captions import ALONE, alone
from sithctl.scenes.factors import FACTORS, INDEX
from sithctl.scenes.model import DIRECTORY, pixels
from sithctl.scenes.world import draw, spurious_scenes
from sithctl.sources.images import Wanted
from sithctl.sources.open import open_images

SHAPES = ("star", "ring", "heart")
TEMPLATES = ("{}", "a {}", "a photo of {}")


def painted(n: int, seed: int = 3) -> tuple[list[Image.Image], list[dict[str, str]]]:
    """Pictures of three shapes, and their factors."""
    scenes = draw(n, seed).only(hazard="safe")
    for i, shape in enumerate(SHAPES):
        chosen = torch.arange(n) % len(SHAPES) == i
        scenes.factors[chosen, INDEX["shape"]] = FACTORS[INDEX["shape"]].values.index(shape)
    pictures = [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in scenes.pictures()]
    return pictures, [scenes.values(i) for i in range(n)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with class labels: sixty pictures of three shapes in any scene."""
    import datasets

    pictures, values = painted(60)
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(SHAPES)),
            "scene": datasets.Value("string"),
            "colour": datasets.Value("string"),
        }
    )
    rows = {
        "image": pictures,
        "label": [SHAPES.index(v["shape"]) for v in values],
        "scene": [v["scene"] for v in values],
        "colour": [v["colour"] for v in values],
    }
    folder = tmp_path_factory.mktemp("data") / "shapes"
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(folder)
    return folder


def told(pictures: list[Image.Image], names: list[list[str]]) -> list[int]:
    """Transformers' own answer: the nearest of the classes' mean prompts."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(DIRECTORY).eval()
    processor = AutoImageProcessor.from_pretrained(DIRECTORY)
    tokenizer = AutoTokenizer.from_pretrained(DIRECTORY)
    with torch.inference_mode():
        seen = model.get_image_features(**processor(images=pictures, return_tensors="pt"))
        rows = []
        for called in names:
            prompts = [t.format(name) for t in TEMPLATES for name in called]
            tokens = tokenizer(prompts, padding=True, return_tensors="pt")
            rows.append(F.normalize(model.get_text_features(**tokens).pooler_output).mean(0))
    return (F.normalize(seen.pooler_output) @ F.normalize(torch.stack(rows)).T).argmax(1).tolist()


Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(run: Run) -> Measure:
    def call(*arguments: object) -> dict[str, Any]:
        result = run("eval", "zero-shot", *arguments, "--format", "json")
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return call


def templates() -> list[str]:
    return [word for t in TEMPLATES for word in ("--template", t)]


# ── the figures ─────────────────────────────────────────────────────────────────────────────


def test_accuracies_are_those_of_transformers_itself(
    stored: Path, measure: Measure, tmp_path: Path
) -> None:
    names = [["star", "asterisk"], ["ring", "hoop"], ["heart", "valentine"]]
    lines = [f"{label}\t{', '.join(called)}\n" for label, called in zip(SHAPES, names, strict=True)]
    (tmp_path / "classes.txt").write_text("".join(lines))
    given = (*templates(), "--classes", tmp_path / "classes.txt", "--group", "scene,colour")
    found = measure("--data", stored, *given)
    pictures, values = painted(60)
    right = np.array([SHAPES[i] for i in told(pictures, names)]) == [v["shape"] for v in values]
    assert 0.4 < right.mean() < 1
    assert found["overall"]["accuracy"]["mean"] == pytest.approx(right.mean())
    assert found["label"] == "label"
    assert [c["class"] for c in found["classes"]] == list(SHAPES)
    for row in found["classes"]:
        some = [v["shape"] == row["class"] for v in values]
        assert row["pictures"] == sum(some)
        assert row["accuracy"]["mean"] == pytest.approx(right[some].mean())
    for row in found["groups"]:
        facts = {"shape": row["class"], **row["attributes"]}
        some = [facts.items() <= v.items() for v in values]
        assert row["pictures"] == sum(some) > 0
        assert row["accuracy"]["mean"] == pytest.approx(right[some].mean())
    assert sum(row["pictures"] for row in found["groups"]) == 60
    lowest = min(row["accuracy"]["mean"] for row in found["groups"])
    assert found["worst_group"]["accuracy"]["mean"] == lowest


def prompts(plural: bool) -> list[list[str]]:
    """The world's own prompts of the spurious shapes, word for word."""
    words = FACTORS[INDEX["shape"]].words
    forms = [f for f in ALONE["shape"] if plural or not f.endswith("{}s")]
    return [[alone("shape", w, form) for w in words[s] for form in forms] for s in ("star", "ring")]


def in_memory(n: int, seed: int) -> known_world.Groups:
    encoder = load_encoder("scenes")

    def see(batch: torch.Tensor) -> torch.Tensor:
        return F.normalize(encoder.encode_pixels(pixels(batch)), dim=-1)

    return known_world.spurious(encoder.encode_text, see, n, seed)


def same(found: dict[str, Any], expected: known_world.Groups) -> bool:
    groups = {
        (g["class"], g["attributes"]["scene"]): g["accuracy"]["mean"] for g in found["groups"]
    }
    return groups == pytest.approx(expected.groups) and found["overall"]["accuracy"][
        "mean"
    ] == pytest.approx(expected.overall)


def test_the_spurious_scenes_are_those_of_the_world_itself(
    measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Picture by picture the in-memory figures; but templates write no ``annuli``."""
    words = [
        f"{s}\t{', '.join(called)}\n" for s, called in zip(SHAPES, prompts(True), strict=False)
    ]
    (tmp_path / "prompts.txt").write_text("".join(words))
    world = ("--data", "scenes:spurious", "--limit", 200, "--seed", 11)
    found = measure(*world, "--classes", tmp_path / "prompts.txt", "--template", "{}")
    expected = in_memory(200, 11)
    assert same(found, expected)
    assert found["worst_group"]["accuracy"]["mean"] == pytest.approx(expected.worst)
    assert found["worst_group"]["accuracy"]["mean"] < found["overall"]["accuracy"]["mean"] - 0.1

    (tmp_path / "words.txt").write_text(
        "star\tstar, asterisk, starburst\nring\tring, hoop, annulus\n"
    )
    forms = [word for form in ALONE["shape"] for word in ("--template", form)]
    found = measure(*world, "--classes", tmp_path / "words.txt", *forms)
    assert abs(found["overall"]["accuracy"]["mean"] - expected.overall) < 0.03
    monkeypatch.setattr(wording, "plural", lambda noun: f"{noun}s")
    assert same(found, in_memory(200, 11))


def test_the_classifier_is_the_mean_of_unit_prompts() -> None:
    vectors = {
        c: torch.randn(5, generator=torch.Generator().manual_seed(i)) for i, c in enumerate("abcd")
    }
    rows = class_weights(lambda texts: torch.stack([vectors[t] for t in texts]), ["abc", "d"])
    mean = sum(vectors[c] / vectors[c].norm() for c in "abc")
    torch.testing.assert_close(rows[0], mean / mean.norm())
    torch.testing.assert_close(rows[1], vectors["d"] / vectors["d"].norm())


def test_intervals_draw_within_groups_and_in_pairs() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random(300) < 0.8, rng.random(300) < 0.6
    record = shares([one, other], "accuracy", 0)
    assert record["difference"]["mean"] == pytest.approx(one.mean() - other.mean())
    spread = np.std(one.astype(float) - other) / np.sqrt(300)
    width = record["difference"]["high"] - record["difference"]["low"]
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.1)
    same_twice = shares([one, one], "accuracy", 0)["difference"]
    assert same_twice == {"mean": 0, "low": 0, "high": 0}

    groups = {"a": one[:100], "b": other[:50], "c": np.ones(10)}
    low = worst([groups, groups], "accuracy", 5)
    assert low["group"] == low["against_group"] == "b"
    assert low["pictures"] == 50
    assert low["difference"] == {"mean": 0, "low": 0, "high": 0}
    alone_ = shares([groups["b"]], "accuracy", 5)["accuracy"]
    assert low["accuracy"]["mean"] == alone_["mean"]
    assert low["accuracy"]["high"] == pytest.approx(alone_["high"], abs=0.05)


# ── data of every kind ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Waterbirds' layout: twenty-four pictures in folders of species, eight a split."""
    folder = tmp_path / "waterbirds"
    pictures, _ = painted(24)
    rows = ["img_id,img_filename,y,split,place,place_filename"]
    for i, picture in enumerate(pictures):
        name = f"{i % 5:03}.Species/{i}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
        rows.append(f"{i},{name},{i % 2},{i // 8},{i // 2 % 2},/o/{i}.jpg")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "birds.txt").write_text("landbird\nwaterbird\n")
    return folder


def test_waterbirds(birds: Path, tiny_clip: Path, measure: Measure) -> None:
    names = birds.parent / "birds.txt"
    for data in (birds, birds / "metadata.csv"):
        found = measure(tiny_clip, "--data", data, "--split", "test", "--classes", names)
        assert (found["label"], found["group"], found["pictures"]) == ("y", ["place"], 8)
        said = [(g["group"], g["attributes"], g["pictures"]) for g in found["groups"]]
        assert said == [
            (f"{bird} × place {place}", {"place": str(place)}, 2)
            for bird in ("landbird", "waterbird")
            for place in (0, 1)
        ]
    images = open_images(str(birds), Wanted(attributes=True, split="test"))
    assert sorted(int((item.factors or {})["img_id"]) for item in images) == list(range(16, 24))


def test_what_waterbirds_must_be_told(birds: Path, run: Run) -> None:
    names = ("--classes", birds.parent / "birds.txt")
    message = refused(run, "--data", birds, *names)
    assert "there are several splits" in message
    assert "--split: train, val, test" in message
    message = refused(run, "--data", birds, "--split", "test")
    assert "the labels in y are numbers" in message
    assert "--classes" in message
    assert "no split dev" in refused(run, "--data", birds, "--split", "dev", *names)


@pytest.mark.parametrize("split", [None, "test"])
def test_class_folders(tmp_path: Path, measure: Measure, run: Run, split: str | None) -> None:
    pictures, values = painted(18)
    for where in ("train", "test") if split else ("",):
        for i, (picture, value) in enumerate(zip(pictures, values, strict=True)):
            folder = tmp_path / "data" / where / value["shape"].replace("ring", "small_ring")
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{i}.png")
    given = ("--data", tmp_path / "data")
    if split:
        assert "--split: test, train" in refused(run, *given)
        given = (*given, "--split", split)
    found = measure(*given)
    assert found["label"] == "class"
    assert found["groups"] == []
    assert [c["names"] for c in found["classes"]] == [["heart"], ["small ring"], ["star"]]
    assert sum(c["pictures"] for c in found["classes"]) == 18
    lowest = min(c["accuracy"]["mean"] for c in found["classes"])
    assert found["worst_group"]["accuracy"]["mean"] == lowest


def test_a_table_of_captions_beside_class_folders_keeps_the_classes(tmp_path: Path) -> None:
    pictures, _ = painted(2)
    for i, picture in enumerate(pictures):
        (tmp_path / f"c{i}").mkdir()
        picture.save(tmp_path / f"c{i}" / "x.png")
    (tmp_path / "metadata.jsonl").write_text(
        "".join(
            json.dumps({"file_name": f"c{i}/x.png", "size": 1.0, "gap": None}) + "\n"
            for i in (0, 1)
        )
    )
    items = list(open_images(str(tmp_path), Wanted(attributes=True)))
    assert [item.factors for item in items] == [
        {"class": f"c{i}", "file_name": f"c{i}/x.png", "size": "1"} for i in (0, 1)
    ]


def test_numbered_names_of_a_class_label(
    stored: Path, tiny_clip: Path, measure: Measure, tmp_path: Path
) -> None:
    """Lines without tabs are labels, or stand in the order of the labels that are known."""
    (tmp_path / "names.txt").write_text("heart\nstar\nring\n")
    by_name = measure(tiny_clip, "--data", stored, "--classes", tmp_path / "names.txt")
    assert by_name["overall"] == measure(tiny_clip, "--data", stored)["overall"]
    assert [c["class"] for c in by_name["classes"]] == ["heart", "star", "ring"]
    (tmp_path / "names.txt").write_text("asterisk\nhoop\nsweetheart\n")
    in_order = measure(tiny_clip, "--data", stored, "--classes", tmp_path / "names.txt")
    (tmp_path / "tabs.txt").write_text("ring\thoop\nstar\tasterisk\nheart\tsweetheart\n")
    tabbed = measure(tiny_clip, "--data", stored, "--classes", tmp_path / "tabs.txt")
    assert in_order["overall"] == tabbed["overall"]


def test_the_rendered_worlds_know_their_factors(measure: Measure) -> None:
    found = measure("--data", "scenes", "--label", "scene", "--limit", 60)
    assert [c["class"] for c in found["classes"]] == list(FACTORS[INDEX["scene"]].values)
    assert found["overall"]["accuracy"]["mean"] > 0.9
    assert found["overall"]["pictures"] == 60
    scenes, _ = spurious_scenes(8, 4)
    items = list(open_images("scenes:spurious", Wanted(attributes=True, limit=8, seed=4)))
    assert [item.factors for item in items] == [scenes.values(i) for i in range(8)]
    expected = scenes.pictures()[5].permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(items[5].image), expected)


def test_models_of_both_libraries(
    stored: Path, tiny_clip: Path, tiny_open_clip: Path, measure: Measure
) -> None:
    found = measure(tiny_clip, "--data", stored, "--against", tiny_open_clip, "--batch-size", 7)
    base = measure(tiny_open_clip, "--data", stored)
    assert found["against"]["model"] == "tiny-open-clip"
    for key in ("overall", "worst_group"):
        ours, theirs = found["against"][key], base[key]
        assert ours["accuracy"] == pytest.approx(theirs["accuracy"])
        assert ours.get("group") == theirs.get("group")
    for ours, theirs in zip(found["against"]["classes"], base["classes"], strict=True):
        assert {**ours, "accuracy": 0} == {**theirs, "accuracy": 0}
    for row in (found["overall"], found["worst_group"], *found["classes"]):
        gap = row["accuracy"]["mean"] - row["against"]["mean"]
        assert row["difference"]["mean"] == pytest.approx(gap)


# ── the gate ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with all of its last layers' heads switched off."""
    folder = tmp_path_factory.mktemp("models") / "broken"
    plan = Plan.of([Change(n, h, i, 0.0, "") for n in (4, 5) for h in range(8) for i in range(16)])
    from sithctl.stages.edit import edit

    model = load_encoder("scenes").model  # type: ignore[attr-defined]
    from sithctl.models import open_model

    state = model.state_dict() | edit(open_model("scenes"), plan).changed
    model.load_state_dict(state)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_bytes((DIRECTORY / name).read_bytes())
    return folder


def test_the_gate_closes_on_a_drop(stored: Path, broken: Path, run: Run) -> None:
    given = ("eval", "zero-shot", broken, "--data", stored, "--against", "scenes")
    result = run(*given, "--max-drop", 0.02, "--format", "json")
    assert result.exit_code == 4
    found = json.loads(result.stdout)
    assert found["overall"]["difference"]["mean"] < -0.02
    assert found["failures"][0].startswith("overall accuracy fell by")
    assert result.stderr.count("\n") == 1
    assert "fell by" in result.stderr
    fell = -min(c["difference"]["mean"] for c in (found["overall"], *found["classes"]))
    fell = max(fell, -found["worst_group"]["difference"]["mean"])
    assert run(*given, "--max-drop", fell + 1e-6).exit_code == 0
    assert run(*given).exit_code == 0
    table = run(*given, "--max-drop", 0.02).stdout
    assert "difference" in table
    assert "−" in table


def test_just_as_much_as_is_allowed_is_allowed() -> None:
    record = {"difference": {"mean": -0.1 - 1e-12, "low": -0.2, "high": 0.0}}
    assert fallen([("x", record)], 0.1) == ()
    assert fallen([("x", record)], 0.09) == ("x fell by 0.100 (-0.000 to 0.200), more than 0.09",)
    assert fallen([("x", {})], None) == ()


def test_a_model_against_itself(stored: Path, tiny_clip: Path, run: Run) -> None:
    given = ("--data", stored, "--against", tiny_clip, "--max-drop", 0, "--group", "colour")
    result = run("eval", "zero-shot", tiny_clip, *given, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    for row in (found["overall"], found["worst_group"], *found["classes"], *found["groups"]):
        assert row["difference"] == {"mean": 0, "low": 0, "high": 0}


def test_the_same_seed_gives_the_same_bytes(stored: Path, run: Run, tmp_path: Path) -> None:
    given = ("eval", "zero-shot", "scenes", "--data", stored, "--group", "scene")
    given = (*given, "--format", "json")
    first, again, other = (run(*given, "--seed", seed).stdout for seed in (1, 1, 2))
    assert first == again
    assert json.loads(first)["overall"]["accuracy"]["mean"] == pytest.approx(
        json.loads(other)["overall"]["accuracy"]["mean"]
    )
    assert first != other
    assert run(*given, "--seed", 1, "-o", tmp_path / "found.json").stdout == ""
    assert (tmp_path / "found.json").read_text() == first
    assert run(*given, "-o", tmp_path / "found.json").exit_code != 0


def test_from_python(stored: Path) -> None:
    images = open_images(str(stored), Wanted(attributes=True))
    found = sithctl.evaluate("zero-shot", "scenes", images, templates=["a {}"])
    assert found.header["pictures"] == 60
    assert found.table("classes").records[0]["class"] == "star"


# ── bad input ───────────────────────────────────────────────────────────────────────────────


def refused(run: Run, *arguments: object, code: int = 3) -> str:
    """The one line with which the command ends."""
    result = run("eval", "zero-shot", *arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "sithctl eval zero-shot: " in result.stderr
    return result.stderr


def test_models_without_words(stored: Path, small_dinov2: Path, run: Run) -> None:
    assert "the model has no text tower" in refused(run, small_dinov2, "--data", stored)
    assert "no text tower" in refused(run, "--data", stored, "--against", "scenes-vit")


def test_columns_that_there_are_not(stored: Path, run: Run, pictures: Path) -> None:
    message = refused(run, "--data", stored, "--group", "place")
    assert "no column place" in message
    assert "label, scene, colour" in message
    assert "no column kind" in refused(run, "--data", stored, "--label", "kind")
    message = refused(run, "--data", pictures)
    assert "no column of labels" in message
    assert "--label: none" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("star\nring\nheart\nsquare\n", "4 classes for the labels star, ring, heart"),
        ("star\nring\n", "the label heart is none of the classes"),
        ("a\nb\n", "2 classes for the labels star, ring, heart"),
        ("star\ta\nring\tb\n", "the label heart is none of the classes"),
        ("star\ta\nring\tb\nheart\tc\ncube\td\n", "no picture of the class d"),
        ("star\ta\nring\n", "the class 'ring' has no tab"),
        ("star\nstar\n", "the class star stands there twice"),
        ("star\t,\n", "without a name"),
        ("\n \n", "no classes"),
    ],
)
def test_classes_that_do_not_fit(
    stored: Path, run: Run, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "classes.txt").write_text(text)
    assert said in refused(run, "--data", stored, "--classes", tmp_path / "classes.txt")


def test_pictures_that_do_not_fit(run: Run, tmp_path: Path) -> None:
    painted(1)[0][0].save(tmp_path / "a.png")
    painted(1)[0][0].save(tmp_path / "b.png")
    table = tmp_path / "list.csv"
    table.write_text("file_name,label\na.png,star\nb.png,ring\nb.png,heart\n")
    assert "named twice" in refused(run, "--data", table)
    Image.new("RGB", (9, 9)).save(tmp_path / "c.png")
    table.write_text("file_name,label\na.png,star\nb.png,\nc.png,ring\n")
    assert "no label for the image b.png" in refused(run, "--data", table)
    table.write_text("file_name,label\na.png,star\nb.png,star\n")
    assert "all pictures are of one class, star" in refused(run, "--data", table)
    table.write_text("name,label\na.png,star\n")
    assert "no column file_name" in refused(run, "--data", table)
    message = refused(run, "--data", "scenes:spurious", "--limit", 2)
    assert "no picture of the class ring" in message


def test_options_that_do_not_fit(stored: Path, run: Run) -> None:
    given = ("--data", stored)
    assert "--max-drop" in refused(run, *given, "--max-drop", 0.1, code=2)
    assert "no place" not in refused(run, *given, "--template", "a", code=2)
    assert "no such folder" in refused(run, "--data", "nowhere")
    assert "one of scenes, " in refused(run, "--data", "scenes:none")
    assert "leave out --split" in refused(run, "--data", "scenes", "--split", "test", code=2)


def test_a_table_without_rows_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("img_filename,y,place\n")
    result = run("eval", "zero-shot", "--data", str(tmp_path / "metadata.csv"))
    assert result.exit_code == 3
    assert "the table has no rows" in result.stderr


@pytest.mark.parametrize("task", ["zero-shot", "retrieval"])
def test_a_report_may_go_to_a_terminal(task: str, shell) -> None:
    """It is text, unlike what stages write: not to be refused as binary data."""
    data = {"zero-shot": "scenes:spurious", "retrieval": "scenes:safe"}[task]
    result = shell(f"script -qec 'sithctl eval {task} --data {data} --limit 8' /dev/null")
    assert result.returncode == 0, result.stdout.decode()
    assert b"binary" not in result.stdout
