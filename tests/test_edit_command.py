"""``sithctl edit``: what to edit, what is shown before, what is refused and leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run
from safetensors.torch import load_file, save_file

from sithctl.artifacts import load
from sithctl.errors import InputError
from sithctl.kinds import Codes
from sithctl.models import open_model
from sithctl.stages.edit import Spectrum


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the last layer of the bundled CLIP."""
    from sithctl import decompose, encode_pool, fold, svd
    from sithctl.artifacts import save
    from sithctl.scenes.bundled import bundled_mean

    words = ["red", "ring", "ocean", "sea", "forest", "striped", "snow", "two boxes", "a star"]
    pool = encode_pool(words, "scenes")
    spectra = svd(fold("scenes", "5"), rank=4)
    path = tmp_path_factory.mktemp("codes") / "codes.h5"
    save(decompose(spectra, pool, bundled_mean(spectra.model.space)), path)
    save(pool, path.with_name("pool.h5"))
    plain = svd(fold("scenes", "5", plain=True), rank=1)
    save(decompose(plain, pool, bundled_mean(plain.model.space)), path.with_name("plain.h5"))
    return path


def records(run: Run, *arguments: object) -> dict:
    result = run("edit", *arguments, "--dry-run", "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_preview_shows_both_poles_and_the_energy(run: Run, codes: Path) -> None:
    said = records(run, "scenes", "--codes", codes, "--set", "5.2.0-1=0.5")
    assert [row["sv"] for row in said["changes"]] == [0, 1]
    for row in said["changes"]:
        assert set(row["poles"]) == {"+", "-"}
        assert row["sigma_after"] == pytest.approx(row["sigma"] / 2)
    assert 0 < said["energy"]["5"] < 1
    table = run("edit", "scenes", "--codes", codes, "--set", "5.2.0=0", "--dry-run").stdout
    for word in ("5.2.0", "both signs", "layer 5:", "by hand"):
        assert word in table


@pytest.mark.parametrize("name", ["plan.csv", "plan.toml"])
def test_a_plan_that_lies_there_already(run: Run, tmp_path: Path, name: str) -> None:
    out, plan = tmp_path / "out", tmp_path / name
    line = ("edit", "scenes", "--set", "5.0.0=0", "--save-plan", plan)
    assert run(*line, "--dry-run").exit_code == 0
    before = plan.read_bytes()
    result = run(*line, "-o", out)
    assert result.exit_code == 0, result.output
    assert (out / "config.json").exists()
    other = run(*line, "--set", "5.0.1=0", "-o", tmp_path / "more")
    assert other.exit_code == 3
    assert "the output exists" in other.stderr
    assert plan.read_bytes() == before
    assert not (tmp_path / "more").exists()
    assert run(*line, "--set", "5.0.1=0", "--force", "--dry-run").exit_code == 0
    assert plan.read_bytes() != before


def test_a_real_run_says_how_much_of_a_layer_it_changes(run: Run, tmp_path: Path) -> None:
    model = open_model("scenes")
    squares = Spectrum.of(model, model.layer(5)).sigma.square()
    share = float(squares[0, 0] / squares.sum())

    def said(*arguments: object) -> str:
        result = run("edit", "scenes", *arguments)
        assert result.exit_code == 0, result.output
        return " ".join(result.stderr.split())

    one = said("--set", "5.0.0=0", "-o", tmp_path / "out")
    assert f"1 singular value scaled, of the value-output energy layer 5: {share:.1%}; read" in one
    assert "a large edit" not in one
    assert f"layer 5: {share:.1%}: " in said("--set", "5.0.0=0", "--delta", tmp_path / "delta")
    assert "a large edit" not in said("--set", "5.*.*=0.8", "--dry-run")  # (1 − 0.8)² of it
    rest = said("--set", "5.*.*=0", "--set", "5.0.0=1", "--set", "4.0.0=0", "--dry-run")
    assert f"a large edit: it changes {1 - share:.0%} of layer 5's value-output energy" in rest
    assert "layer 4" not in rest
    words = ("--suppress", "ocean", "--layers", 5, "--threshold", 0, "--dry-run")
    assert "energy: --max-vectors, or a higher --threshold, takes fewer" in said(*words)


def test_words(run: Run, codes: Path) -> None:
    common = ("scenes", "--codes", codes, "--suppress", "ocean, forest")
    all_of_them = records(run, *common, "--threshold", "0.2")["changes"]
    few = records(run, *common, "--threshold", "0.2", "--max-vectors", 2)["changes"]
    assert 2 == len(few) < len(all_of_them)
    assert {row["scale"] for row in all_of_them} == {0.0}
    assert all("similarity" in row["why"] for row in few)
    cut = run("edit", *common, "--threshold", "0.2", "--max-vectors", 2, "--dry-run").stderr
    assert cut == f"note: 2 of {len(all_of_them)} vectors that reach the threshold: --max-vectors\n"
    some = records(run, *common, "--factor", "0.5", "--max-vectors", 1)["changes"]
    assert [row["scale"] for row in some] == [0.5]
    more = records(run, "scenes", "--codes", codes, "--amplify", "ocean", "--max-vectors", 1)
    assert more["changes"][0]["scale"] == 2.0
    result = run("edit", *common, "--threshold", 5, "--dry-run")
    assert result.exit_code == 3
    assert "nearest concepts are" in result.stderr


def test_words_that_no_concept_names_are_said(run: Run, codes: Path) -> None:
    common = ("scenes", "--codes", codes, "--suppress")
    result = run("edit", *common, "oceam, sea", "--threshold", 0, "--dry-run")
    assert result.exit_code == 0, result.output
    said = "note: no concept names oceam: chosen by similarity alone; did you mean ocean?"
    assert " ".join(result.stderr.split()).count("no concept names") == 1
    assert said in " ".join(result.stderr.split())
    result = run("edit", *common, "xyzzy", "--threshold", 0, "--dry-run")
    assert "names xyzzy: chosen by similarity alone\n" in result.stderr
    found = run("find", "oceam", codes, "--similar", "--threshold", 0)
    assert said in " ".join(found.stderr.split())


def test_options_that_repeat_add_up(run: Run, codes: Path, tmp_path: Path) -> None:
    common = ("scenes", "--codes", codes, "--threshold", "0.2")
    apart = records(run, *common, "--suppress", "ocean", "--suppress", "forest")
    assert apart == records(run, *common, "--suppress", "ocean, forest")
    assert apart != records(run, *common, "--suppress", "forest")
    more = records(run, *common, "--amplify", "ocean", "--amplify", "forest")["changes"]
    assert [row["sv"] for row in more] == [row["sv"] for row in apart["changes"]]
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("layer,head,sv,scale\n5,0,0,0.5\n5,0,1,0\n")
    other.write_text("layer,head,sv,scale\n5,0,1,0\n5,1,0,2\n")
    both = ("scenes", "--plan", one, "--plan", other)
    rows = records(run, *both)["changes"]
    assert [(r["head"], r["sv"], r["scale"]) for r in rows] == [(0, 0, 0.5), (0, 1, 0), (1, 0, 2)]
    other.write_text("layer,head,sv,scale\n5,0,1,3\n")
    result = run("edit", *both, "--dry-run")
    assert result.exit_code == 3
    assert f"vector 5.0.1 is scaled by 3, and by 0 in {one}: {other}" in result.stderr


def test_the_last_word_counts_and_says_so(run: Run, codes: Path) -> None:
    common = ("scenes", "--codes", codes, "--suppress", "ocean", "--max-vectors", 1)
    (row,) = records(run, *common)["changes"]
    place = f"{row['layer']}.{row['head']}.{row['sv']}"
    (row,) = records(run, *common, "--set", f"{place}=0.5")["changes"]
    assert row["scale"] == 0.5
    assert row["why"].startswith("by hand; not 0 (ocean: similarity")


def test_a_model_without_a_text_tower(run: Run, tmp_path: Path) -> None:
    said = records(run, "scenes-vit", "--layers", "-1", "--suppress", "ring", "--max-vectors", 3)
    assert len(said["changes"]) == 3
    assert all(row["why"].startswith("ring: similarity") for row in said["changes"])
    result = run("edit", "scenes-vit", "--layers", "-1", "--suppress", "rimg", "--dry-run")
    assert result.exit_code == 3
    assert "no caption names rimg" in result.stderr
    assert "nearest: " in result.stderr


def test_a_task(run: Run, codes: Path, tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("ocean\nforest\n")
    pool = codes.with_name("pool.h5")
    task = ("--task", tmp_path / "classes.txt", "--pool", pool, "--codes", codes)
    said = records(run, "scenes", *task)["changes"]
    assert len(said) == open_model("scenes").heads * 4
    assert all(row["scale"] >= 0.8 and row["why"].startswith("task: R") for row in said)
    assert len({row["scale"] for row in said}) > 2
    low = records(run, "scenes", *task, "--floor", 0, "--offset", 0, "--ceiling", 0.5)["changes"]
    assert max(row["scale"] for row in low) <= 0.5
    (tmp_path / "all.txt").write_text("\n".join(load_words(pool)))
    result = run("edit", "scenes", "--task", tmp_path / "all.txt", *task[2:], "--dry-run")
    assert result.exit_code == 3
    assert "no concept is left beside the class names" in result.stderr


def load_words(pool: Path) -> list[str]:
    from sithctl.kinds import Pool

    return load(pool, Pool).concepts


def test_scores(run: Run, tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    rows = ["layer,head,sv,pole,score", "5,0,0,+,1", "5,0,0,-,4", "5,0,1,+,2", "5,1,0,+,3"]
    scores.write_text("\n".join(rows))
    said = records(run, "scenes", "--scores", scores, "--map", "3=-1,4-5=0")["changes"]
    assert [(r["head"], r["sv"], r["scale"]) for r in said] == [(0, 0, 0.0), (1, 0, -1.0)]
    assert run("edit", "scenes", "--scores", scores, "--dry-run").exit_code == 2


def test_scores_of_another_model(run: Run, codes: Path, tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "question.txt").write_text("Is it the ocean?")
    scores, asked = tmp_path / "scores.csv", ("--question", tmp_path / "question.txt")
    assert run("judge", codes, *asked, "--offline", "-o", scores).exit_code == 0
    common = ("--scores", scores, "--map", "1-5=0.5")
    assert {row["layer"] for row in records(run, "scenes", *common)["changes"]} == {5}
    assert run("edit", "scenes", "--set", "5.0.0=0", "-o", tmp_path / "edited").exit_code == 0
    for other in (tmp_path / "edited", tiny_clip):
        result = run("edit", other, *common, "--dry-run")
        assert result.exit_code == 3
        assert "the scores were made for other weights (layer 5 of scenes)" in result.stderr
    own = scores.read_text().partition("\n")[2]
    scores.write_text(own)
    assert records(run, tmp_path / "edited", *common)["changes"]


def test_codes_that_do_not_fit(run: Run, codes: Path, tiny_clip: Path) -> None:
    result = run("edit", tiny_clip, "--codes", codes, "--set", "0.0.0=0", "--dry-run")
    assert result.exit_code == 3
    assert "the codes are of another model (scenes, layer 5)" in result.stderr
    plain = codes.with_name("plain.h5")
    result = run("edit", "scenes", "--codes", plain, "--set", "5.0.0=0", "--dry-run")
    assert result.exit_code == 3
    assert "plain spectra" in result.stderr


def test_reconstruction(run: Run, codes: Path, tmp_path: Path) -> None:
    from sithctl.stages.reconstruct import reconstruct

    result = run("edit", "scenes", "--reconstruct", codes, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    model, again = open_model("scenes"), open_model(str(tmp_path / "out"))
    made = reconstruct(model, load(codes, Codes))
    before = Spectrum.of(model, model.layer(5))
    found = Spectrum.of(again, again.layer(5)).factors
    left = before.factors.writer @ before.right.mT  # what each vector is written by
    new = torch.linalg.lstsq(left, found.writer).solution
    wanted = torch.linalg.lstsq(left, made.layers[5].writer).solution
    torch.testing.assert_close(new, wanted, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(new[:, 4:], before.right[:, 4:], atol=1e-3, rtol=0)
    assert (new[:, :4] - before.right[:, :4]).norm() > 0.1


def test_what_stands_in_a_vectors_place(codes: Path) -> None:
    """By numpy alone, from the concepts that ``explain`` shows: norm(norm(Γ̂ᵀc) + μ) through the
    projection's pseudo-inverse, without the mean that no LayerNorm sees."""
    from sithctl.stages.explain import explain
    from sithctl.stages.reconstruct import reconstruct

    found, model = load(codes, Codes), open_model("scenes")
    layer = max(found.layers)
    after = reconstruct(model, found).layers[layer].writer
    spectrum = Spectrum.of(model, model.layer(layer))
    told = next(e for e in explain(found, layer=layer, head=2, sv=1) if e.pole == "+")
    place = {int(i): k for k, i in enumerate(found.concepts.indices)}
    said = sum(c.coefficient * found.concepts.vectors[place[c.index]] for c in told.concepts)
    feature = said / np.linalg.norm(said) + found.mean
    projection = found.readout.steps[1].tensors["weight"]
    back = feature / np.linalg.norm(feature) @ np.linalg.pinv(projection)
    back = back / np.linalg.norm(back)
    back = torch.from_numpy(back - back.mean())
    left = spectrum.factors.writer[2] @ spectrum.right[2].mT
    new = torch.linalg.lstsq(left, after[2]).solution[1]
    torch.testing.assert_close(new, back.double(), atol=1e-4, rtol=1e-3)


def test_a_read_out_that_cannot_be_undone_is_not_reconstructed(codes: Path) -> None:
    from dataclasses import replace

    from sithctl.kinds import Readout, Step
    from sithctl.stages.reconstruct import reconstruct

    found = load(codes, Codes)
    mlp = Step("residual-mlp", {}, 1e-6, "gelu")
    beyond = replace(found, readout=Readout((*found.readout.steps, mlp)))
    with pytest.raises(InputError, match="cannot be undone"):
        reconstruct(open_model("scenes"), beyond)


def test_layers_narrow_what_the_codes_offer(run: Run, tmp_path: Path) -> None:
    heads = run("fold", "scenes", "--layers", "4-5")
    made = run("decompose", "-", stdin=run("svd", "-", stdin=heads.stdout_bytes).stdout_bytes)
    (tmp_path / "codes.h5").write_bytes(made.stdout_bytes)
    common = ("edit", "scenes", "--codes", tmp_path / "codes.h5", "--suppress", "ocean")
    result = run(*common, "--layers", 5, "--dry-run", "--format", "json")
    assert result.exit_code == 0, result.output
    assert {row["layer"] for row in json.loads(result.stdout)["changes"]} == {5}
    result = run(*common, "--layers", 2, "--dry-run")
    assert result.exit_code == 3
    assert "lack layer 2: scenes: they hold 4, 5" in " ".join(result.stderr.split())


def test_text_towers(run: Run, tiny_clip: Path, tmp_path: Path) -> None:
    sets = ("--tower", "text", "--set", "1.0.0=0")
    result = run("edit", tiny_clip, *sets, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    one, other = (load_file(f / "model.safetensors") for f in (tiny_clip, tmp_path / "out"))
    differ = {name for name in one if not torch.equal(one[name], other[name])}
    assert differ
    assert all(name.startswith("text_model.encoder.layers.1.") for name in differ)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "of its text tower" in readme
    assert "--tower text --plan" in readme


def test_the_readme(run: Run, tiny_clip: Path, tmp_path: Path) -> None:
    source, plan = tmp_path / "model", tmp_path / "plan.csv"
    shutil.copytree(tiny_clip, source)
    (source / "README.md").write_bytes(b"---\nlicense: mit\n---\n\n# Mine\n\ngr\xfcn\n")
    why = '"<b>x</b> | [a](b) *c* `d`\x1b[2J\n# no heading"'
    plan.write_text(f"layer,head,sv,scale,why\n0,0,0,0,{why}\n")
    assert run("edit", source, "--plan", plan, "-o", tmp_path / "out").exit_code == 0
    data = (tmp_path / "out" / "README.md").read_bytes()
    assert data.startswith(b"---\nlicense: mit\n---\n")
    assert data.endswith(b"# Mine\n\ngr\xfcn\n")
    text = data.decode(errors="replace")
    assert "1 singular value scaled" in text
    assert "sithctl edit model --plan sithctl-plan.csv" in text
    row = next(line for line in text.splitlines() if "no heading" in line)
    assert row.startswith("| 0 | 0 | 0 | 0 | &lt;b>x&lt;/b> \\| \\[a\\](b) \\*c\\* \\`d\\`")
    assert "\x1b" not in text
    # Edited again: one history of both, and each file whole.
    again = run("edit", tmp_path / "out", "--set", "1.0.0=0", "-o", tmp_path / "more")
    assert again.exit_code == 0, again.output
    history = json.loads((tmp_path / "more" / "sithctl.json").read_text())["history"]
    assert [entry["stage"] for entry in history] == ["edit", "edit"]


def test_a_preview_writes_nothing(run: Run, tiny_clip: Path, tmp_path: Path) -> None:
    result = run("edit", tiny_clip, "--set", "0.0.0=0", "--dry-run", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert not list(tmp_path.iterdir())


def _hashes(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


Refuse = Callable[..., None]


@pytest.fixture
def refuse(run: Run, tiny_clip: Path, tmp_path: Path) -> Refuse:
    """An edit that must be refused in one line, and leave all as it was."""

    def check(*arguments: object, words: str, code: int = 3) -> None:
        before = _hashes(tmp_path), sorted(tmp_path.rglob("*"))
        result = run("edit", *arguments)
        assert result.exit_code == code, result.output
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert words in result.stderr
        assert (_hashes(tmp_path), sorted(tmp_path.rglob("*"))) == before

    return check


@pytest.fixture
def model(tiny_clip: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_clip, tmp_path / "model")


ONE = ("--set", "0.0.0=0")


def test_targets(refuse: Refuse, run: Run, model: Path, tmp_path: Path) -> None:
    refuse(model, *ONE, "-o", model, words="the target is the model itself")
    refuse(model, *ONE, "-o", model / "inside", words="the target is the model itself")
    refuse(model, *ONE, "-o", tmp_path / "no" / "where", words="folder does not exist")
    (tmp_path / "file").write_text("x")
    refuse(model, *ONE, "-o", tmp_path / "file", words="the target is a file")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("x")
    (out / "sithctl-plan.csv").write_text("stale")
    refuse(model, *ONE, "-o", out, words="the target is not empty")
    for name in ("other.safetensors", "pytorch_model.bin", "model.safetensors.index.json"):
        (out / name).write_text("x")
        refuse(model, *ONE, "-o", out, "--force", words=f"other weights lie there: {name}")
        (out / name).unlink()
    assert run("edit", model, *ONE, "-o", out, "--force").exit_code == 0
    assert (out / "mine.txt").read_text() == "x"
    assert "stale" not in (out / "sithctl-plan.csv").read_text()
    assert run("edit", model, *ONE, "-o", out, "--force").exit_code == 0
    assert not list(tmp_path.rglob("*.part"))


def test_a_target_that_may_not_be_written(refuse: Refuse, model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    refuse(model, *ONE, "-o", tmp_path / "out", words="no permission to write there")


def test_a_failed_check_leaves_nothing(refuse: Refuse, model, tmp_path, monkeypatch) -> None:
    from sithctl.checkpoints import writer

    monkeypatch.setattr(writer, "patch", lambda path, changed: None)
    files = ("-o", tmp_path / "out", "--delta", tmp_path / "delta")
    refuse(model, *ONE, *files, words="the value-output matrix is", code=4)


@pytest.mark.parametrize("factor", ["nan", "inf", "-inf"])
def test_factors(refuse: Refuse, model: Path, tmp_path: Path, factor: str) -> None:
    refuse(model, "--set", f"0.0.0={factor}", "-o", tmp_path / "out", words="finite number")


def test_words_that_contradict_themselves(refuse: Refuse) -> None:
    both = ("--suppress", "sea", "--suppress", "Ocean", "--amplify", "red, ocean")
    refuse("scenes", *both, "--dry-run", words="to suppress and to amplify at once", code=2)
    for factor in (2, 1.5, "inf"):
        more = ("--suppress", "ocean", "--factor", factor)
        refuse("scenes", *more, "--dry-run", words="--suppress makes less", code=2)


def test_no_place_for_what_is_asked(refuse: Refuse, tmp_path: Path, small_dinov2: Path) -> None:
    folder = shutil.copytree(small_dinov2, tmp_path / "dino")
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    (scale,) = (name for name in tensors if "layer.0.layer_scale1" in name)
    tensors[scale][3] = 0.0
    save_file(tensors, weights, {"format": "pt"})
    refuse(folder, *ONE, "-o", tmp_path / "out", words="LayerScale is 0 in layer 0")
    del tensors["encoder.layer.1.attention.output.dense.bias"]
    save_file(tensors, weights, {"format": "pt"})
    refuse(folder, "--set", "1.0.0=0", "-o", tmp_path / "out", words="layer")


def test_two_libraries_folder_and_odd_files(run: Run, model: Path, tmp_path: Path) -> None:
    shutil.copyfile(model / "model.safetensors", model / "open_clip_model.safetensors")
    (model / "open_clip_config.json").write_text("{}")
    (model / "sub").mkdir()
    (model / "gone.txt").symlink_to("nowhere")
    (model / "vocab.txt").write_text("x")
    (model / "vocab.txt").chmod(0o444)
    (model / "config.json").chmod(0o444)
    result = run("edit", model, *ONE, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    left = {"open_clip_model.safetensors", "open_clip_config.json", "sub", "gone.txt"}
    mine = {"README.md", "sithctl.json", "sithctl-plan.csv"}
    names = {p.name for p in model.iterdir()}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names - left | mine
    assert all(name in result.stderr for name in left)


def test_snapshots_of_links_and_odd_names(run: Run, tiny_clip: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    shutil.copytree(tiny_clip, blobs)
    snapshot.mkdir()
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(path)
    assert run("edit", snapshot, *ONE, "-o", tmp_path / "out").exit_code == 0
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())
    inside = run("edit", snapshot, *ONE, "-o", snapshot / "x")
    assert inside.exit_code == 3
    shutil.copyfile(tiny_clip / "model.safetensors", blobs / "epoch_9.safetensors")
    made = run("edit", blobs / "epoch_9.safetensors", *ONE, "-o", tmp_path / "nine")
    assert made.exit_code == 0, made.output
    assert open_model(str(tmp_path / "nine")).location.loader is not None


def test_what_was_explained_before_does_not_matter(run: Run, tmp_path, monkeypatch) -> None:
    """Layers explained one at a time, or all at once: the same vectors are about the words."""
    found = []
    for first in ("4", "4-5", "5"):
        monkeypatch.setenv("SITHCTL_CACHE", str(tmp_path / first))
        assert run("explain", "--layer", first, "--format", "jsonl").exit_code == 0
        found.append(records(run, "scenes", "--layers", "4-5", "--suppress", "ocean"))
    assert found[0] == found[1] == found[2]


def test_an_edited_bundled_model_keeps_its_pool(run: Run, tmp_path: Path) -> None:
    assert run("edit", "scenes", "--set", "5.2.0=0", "-o", tmp_path / "out").exit_code == 0
    asked = ("--layer", 5, "--head", 2, "--format", "jsonl")
    before = run("explain", *asked)
    after = run("explain", "--model", tmp_path / "out", *asked)
    assert after.exit_code == 0, after.stderr
    first, *_ = [json.loads(line) for line in after.stdout.splitlines()]
    plain = [json.loads(line) for line in before.stdout.splitlines()]
    assert first["concepts"] == plain[2]["concepts"]  # σ's order moves up by one: both its poles
