"""``eval retrieval``: ranks against sorting by hand, and ViSU's settings on pairs of hazards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import sithctl
from sithctl.evaluation import ranks
from sithctl.evaluation.ranks import NEVER, search
from sithctl.models import load_encoder
from sithctl.scenes.world import draw
from sithctl.sources.images import Wanted
from sithctl.sources.open import open_images
from sithctl.sources.rendered import plain_caption

PAIRS = ("--data", "scenes:safe", "--unsafe", "scenes:hazard", "--limit", 40, "--seed", 7)
DEPTHS = (1, 5, 10)

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(run: Run) -> Measure:
    def call(*arguments: object) -> dict[str, Any]:
        result = run("eval", "retrieval", *arguments, "--format", "json")
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return call


def figures(found: dict[str, Any], key: str = "share") -> dict[tuple[str, str], float]:
    return {(r["setting"], r["figure"]): r[key]["mean"] for r in found["retrieval"]}


def refused(run: Run, *arguments: object, code: int = 3) -> str:
    """The one line with which the command ends."""
    result = run("eval", "retrieval", *arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


# ── ranks ───────────────────────────────────────────────────────────────────────────────────

small = st.integers(0, 2)


@st.composite
def searches(draws: st.DrawFn) -> tuple[Any, ...]:
    """Vectors of few values, so that there are ties; every query has a right answer."""
    n, m = draws(st.integers(1, 7)), draws(st.integers(1, 9))
    queries = draws(st.lists(st.tuples(small, small), min_size=n, max_size=n))
    candidates = draws(st.lists(st.tuples(small, small), min_size=m, max_size=m))
    answers = [0, *draws(st.lists(st.sampled_from([NEVER, 0, 1]), min_size=m - 1, max_size=m - 1))]
    keys = draws(st.lists(st.sampled_from(sorted({*answers} - {NEVER})), min_size=n, max_size=n))
    safe = [True, *draws(st.lists(st.booleans(), min_size=m - 1, max_size=m - 1))]
    return queries, keys, candidates, answers, safe


@given(searches(), st.integers(1, 40))
def test_ranks_are_those_of_sorting(drawn: tuple[Any, ...], block: int) -> None:
    queries, keys, candidates, answers, safe = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "BLOCK", block)
        found = search(
            torch.tensor(queries).float(),
            np.array(keys),
            torch.tensor(candidates).float(),
            np.array(answers),
            np.array(safe),
        )
    for i, query in enumerate(queries):
        near = [query[0] * c[0] + query[1] * c[1] for c in candidates]
        # Nearest first, and of equally near ones those that would be wrong.
        order = sorted(range(len(near)), key=lambda j: (-near[j], answers[j] == keys[i]))
        rank = next(k for k, j in enumerate(order) if answers[j] == keys[i])
        assert found.ranks[i] == rank
        order = sorted(range(len(near)), key=lambda j: (-near[j], safe[j]))
        assert found.safe[i] == safe[order[0]]


def test_a_model_that_sees_no_difference_finds_nothing() -> None:
    same = torch.ones(5, 3)
    found = search(same, np.arange(5), same, np.arange(5))
    assert found.ranks.tolist() == [4] * 5


# ── the settings ────────────────────────────────────────────────────────────────────────────


def features(seed: int, n: int, hazard: str) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Captions, and their and the pictures' features, by the model's own encoder."""
    scenes = draw(n, seed).only(hazard=hazard)
    texts = [plain_caption(scenes.values(i)) for i in range(n)]
    encoder = load_encoder("scenes")
    pictures = [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in scenes.pictures()]
    seen = F.normalize(encoder.encode_images(pictures), dim=-1)
    return texts, F.normalize(encoder.encode_text(texts), dim=-1), seen


def test_the_settings_of_visu(measure: Measure) -> None:
    """Against sorting every query's candidates one by one."""
    found = figures(measure(*PAIRS))
    said, T, V = features(7, 40, "safe")
    unsaid, Tx, Vx = features(7, 40, "hazard")
    assert all("safe" in s and "dangerous" in u for s, u in zip(said, unsaid, strict=True))
    sides = {"T": (T, said), "V": (V, said), "T*": (Tx, unsaid), "V*": (Vx, said)}
    among = {
        "T": (T, said),
        "V": (V, said),
        "T∪T*": (torch.cat([T, Tx]), [*said, *unsaid]),
        "V∪V*": (torch.cat([V, Vx]), None),
    }
    for setting in ("T→V", "V→T", "T→V∪V*", "V→T∪T*", "T*→V∪V*", "V*→T∪T*"):
        asks, where = setting.split("→")
        (queries, keys), (candidates, answers) = sides[asks], among[where]
        if asks == "T*" or answers is None:
            answers = [*keys, *[""] * 40]
        ranks_, safe = [], []
        for query, key in zip(queries, keys, strict=True):
            order = (candidates @ query).argsort(descending=True).tolist()
            ranks_.append(next(k for k, j in enumerate(order) if answers[j] == key))
            safe.append(order[0] < 40)
        for depth in DEPTHS:
            share = np.mean([rank < depth for rank in ranks_])
            assert found[setting, f"recall@{depth}"] == pytest.approx(share, abs=0.02), setting
        if "∪" in setting:
            assert found[setting, "safe first"] == pytest.approx(np.mean(safe), abs=0.02)
    assert len(found) == 6 * 3 + 4


def test_what_turns_queries_around_shows(measure: Measure) -> None:
    """With both sides exchanged the safe queries are those whose first answer is not safe."""
    found = figures(measure(*PAIRS))
    turned = ("--data", "scenes:hazard", "--unsafe", "scenes:safe", "--limit", 40, "--seed", 7)
    other = figures(measure(*turned))
    for one, two in (("T→V∪V*", "T*→V∪V*"), ("V→T∪T*", "V*→T∪T*")):
        assert found[one, "safe first"] > 0.9
        assert found[two, "safe first"] < 0.1
        assert other[two, "safe first"] == pytest.approx(1 - found[one, "safe first"])
        assert other[one, "recall@5"] > 0.9


def test_hazards_differ_from_their_pairs_by_the_tape_alone() -> None:
    wanted = Wanted(captions=True, limit=20, seed=3)
    safe, hazard, plain = (
        list(open_images(name, wanted))
        for name in ("scenes:safe", "scenes:hazard", "scenes:images")
    )
    for one, other, drawn in zip(safe, hazard, plain, strict=True):
        assert one.factors == {**(other.factors or {}), "hazard": "safe"}
        assert other.caption == one.caption.replace("safe", "dangerous")
        twin = one if (drawn.factors or {})["hazard"] == "safe" else other
        assert drawn.caption == twin.caption
        assert np.array_equal(np.asarray(drawn.image), np.asarray(twin.image))
        inside = (slice(6, 42), slice(6, 42))
        assert np.array_equal(np.asarray(one.image)[inside], np.asarray(other.image)[inside])
        assert not np.array_equal(np.asarray(one.image), np.asarray(other.image))
    assert {item.id for item in safe}.isdisjoint(item.id for item in hazard)


def test_any_picture_of_a_caption_is_right(pictures: Path, measure: Measure) -> None:
    """Twelve pictures of one caption: whichever comes first is right."""
    lines = [f"{i:02}.png\ta thing\n" for i in range(12)]
    (pictures / "captions.txt").write_text("".join(lines))
    found = measure("--data", pictures)
    assert set(figures(found).values()) == {1.0}
    assert "11 of 12 captions are repetitions" in found["notes"][-1]
    lines[5] = "05.png\tanother\n"
    (pictures / "captions.txt").write_text("".join(lines))
    assert figures(measure("--data", pictures))["T→V", "recall@1"] in (1.0, 11 / 12, 1 / 12, 0.0)


def test_models_of_both_libraries(
    pictures: Path, tiny_clip: Path, tiny_open_clip: Path, run: Run, measure: Measure
) -> None:
    for i in range(12):
        (pictures / f"{i:02}.txt").write_text(f"picture of {i} things")
    found = measure(tiny_open_clip, "--data", pictures, "--against", tiny_clip, "--batch-size", 5)
    base = measure(tiny_clip, "--data", pictures)
    assert figures(found, "against") == pytest.approx(figures(base))
    theirs = {(r["setting"], r["figure"]): r for r in found["against"]["retrieval"]}
    for record in base["retrieval"]:
        other = theirs[record["setting"], record["figure"]]
        assert other["share"] == pytest.approx(record["share"])
        assert other.keys() == record.keys()
    for record in found["retrieval"]:
        gap = record["share"]["mean"] - record["against"]["mean"]
        assert record["difference"]["mean"] == pytest.approx(gap)


def test_the_gate(tiny_clip: Path, run: Run) -> None:
    given_ = ("--data", "scenes:safe", "--limit", 30)
    result = run("eval", "retrieval", tiny_clip, *given_, "--against", "scenes", "--max-drop", 0.02)
    assert result.exit_code == 4
    assert "recall@1" in result.stdout
    assert "T→V recall@1 fell by" in result.stderr
    other_way = ("eval", "retrieval", "scenes", *given_, "--against", tiny_clip, "--max-drop", 0)
    assert run(*other_way).exit_code == 0
    assert "--max-drop" in refused(run, *given_, "--max-drop", 0.1, code=2)


def test_the_same_seed_gives_the_same_bytes(tiny_clip: Path, run: Run) -> None:
    given_ = ("eval", "retrieval", tiny_clip, *PAIRS, "--limit", 20, "--format", "json")
    assert run(*given_).stdout == run(*given_).stdout
    assert "retrieval" in run(*given_[:-1], "markdown").stdout


def test_from_python() -> None:
    wanted = Wanted(captions=True, limit=12, seed=1)
    safe, hazard = (open_images(name, wanted) for name in ("scenes:safe", "scenes:hazard"))
    found = sithctl.evaluate("retrieval", "scenes", safe, unsafe=hazard)
    assert found.header["unsafe"] == "scenes:hazard"
    assert len(found.table("retrieval").records) == 22


# ── bad input ───────────────────────────────────────────────────────────────────────────────


def test_captions_that_are_missing(pictures: Path, run: Run) -> None:
    assert "images without captions" in refused(run, "--data", pictures)
    (pictures / "captions.txt").write_text("00.png\ta thing\n")
    assert "no caption for the image 01.png" in refused(run, "--data", pictures)


@pytest.fixture
def captioned(pictures: Path) -> Path:
    lines = [f"{i:02}.png\tpicture of {i} things\n" for i in range(12)]
    (pictures / "captions.txt").write_text("".join(lines))
    return pictures


def tar_of(folder: Path, n: int) -> Path:
    """The first pictures of a folder as a tar, which does not say how many it has."""
    import io
    import tarfile

    path = folder.parent / f"{n}.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(n):
            for name, data in (
                (f"{i:02}.png", (folder / f"{i:02}.png").read_bytes()),
                (f"{i:02}.txt", f"picture of {i} things".encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def test_pairs_of_unequal_number(captioned: Path, run: Run, tiny_clip: Path) -> None:
    fewer = ("--unsafe", "scenes:hazard", "--limit", 13)
    message = refused(run, tiny_clip, "--data", captioned, *fewer)
    assert "12 safe images and 13 unsafe ones are no pairs" in message
    message = refused(run, tiny_clip, "--data", captioned, "--unsafe", tar_of(captioned, 7))
    assert "12 safe images and 7 unsafe ones are no pairs" in message


def test_a_pair_of_which_one_cannot_be_read(captioned: Path, run: Run, tiny_clip: Path) -> None:
    other = captioned.parent / "unsafe"
    shutil.copytree(captioned, other)
    given_ = (tiny_clip, "--data", captioned, "--unsafe", other)
    assert run("eval", "retrieval", *given_).exit_code == 0
    (other / "03.png").write_bytes(b"none")
    message = refused(run, *given_)
    assert "the image 03.png cannot be read" in message
    assert "leave its row out of both" in message


def test_models_that_cannot_be_compared(
    captioned: Path, run: Run, small_dinov2: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    message = refused(run, small_dinov2, "--data", captioned)
    assert "the model has no text tower" in message
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_clip, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["visual_projection.weight"][0, 0] = torch.nan
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    assert "features are NaN" in refused(run, broken, "--data", captioned)
