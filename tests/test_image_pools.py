"""Image pools: encoded by the analysed model, kept whole through codes, shown and written out."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import Run, Shell
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sithctl import Options, decompose, encode_pool, explain, fold, mean, svd
from sithctl.artifacts import load, save
from sithctl.artifacts.containers import read, shapes, write_hdf5
from sithctl.artifacts.store import intact
from sithctl.errors import InputError
from sithctl.kinds import Blobs, CaptionedImage, Codes, Pool
from sithctl.kinds.base import digest_of
from sithctl.models import load_encoder
from sithctl.sources.images import Wanted
from sithctl.sources.open import open_images
from sithctl.stages.image_pool import thumbnail
from sithctl.views.terminal import plain_text
from sithctl.views.thumbnails import safe_name, write_thumbnails

SCENES = Wanted(captions=True, limit=24, seed=7, detail_column="short")


@pytest.fixture(scope="module")
def pool(tiny_clip: Path) -> Pool:
    return encode_pool(open_images("scenes:images", SCENES), str(tiny_clip))


@pytest.fixture(scope="module")
def codes(tiny_clip: Path, pool: Pool) -> Codes:
    spectra = svd(fold(str(tiny_clip), "-1"))
    return decompose(spectra, pool, options=Options(method="nearest", sparsity=3))


# ── the stage ───────────────────────────────────────────────────────────────────────────────


def test_embeddings_are_the_models_own_image_features(tiny_clip: Path, pool: Pool) -> None:
    items = list(open_images("scenes:images", SCENES))
    features = load_encoder(str(tiny_clip)).encode_images([item.image for item in items])
    np.testing.assert_allclose(pool.embeddings, features.numpy(), atol=1e-5)
    assert pool.modality == "image"
    assert pool.concepts == [item.caption for item in items]
    assert pool.sources == [f"scenes/7/{i}" for i in range(24)]
    assert pool.detail_captions == [item.detail for item in items]
    assert pool.factors == [item.factors for item in items]
    assert pool.thumbnails is not None
    for data, item in zip(pool.thumbnails, items, strict=True):
        with Image.open(io.BytesIO(data)) as small:
            assert small.format == "JPEG"
            assert small.size == item.image.size  # never enlarged


def test_a_pool_of_images_of_ones_own(tiny_clip: Path) -> None:
    images = [
        CaptionedImage(Image.new("RGB", (300, 200), (i * 60, 90, 0)), str(i), f"shade {i}")
        for i in range(4)
    ]
    pool = encode_pool(images, str(tiny_clip), dtype="float16", thumbnails=False)
    assert pool.embeddings.dtype == np.float16
    assert (pool.concepts[2], pool.sources) == ("shade 2", ["0", "1", "2", "3"])
    assert pool.factors is pool.detail_captions is pool.thumbnails is None
    assert set(pool.arrays()) == {"embeddings", "concepts", "sources"}


def test_features_do_not_depend_on_the_batch_nor_the_digest_on_the_folder(
    tiny_clip: Path, pictures: Path, tmp_path: Path
) -> None:
    for i in range(12):
        (pictures / f"{i:02}.txt").write_text(f"number {i}")
    shutil.copytree(pictures, tmp_path / "copy")
    made = [
        encode_pool(
            open_images(str(folder), Wanted(captions=True)), load_encoder(str(tiny_clip), **more)
        )
        for folder, more in [(pictures, {}), (tmp_path / "copy", {}), (pictures, {"batch_size": 5})]
    ]
    assert made[0].digest == made[1].digest
    np.testing.assert_allclose(made[0].embeddings, made[2].embeddings, atol=1e-5)
    (pictures / "03.txt").write_text("another")
    other = encode_pool(open_images(str(pictures), Wanted(captions=True)), str(tiny_clip))
    assert other.history[-1]["inputs"] != made[0].history[-1]["inputs"]


def test_history_names_what_was_skipped(tiny_clip: Path, pictures: Path) -> None:
    for i in range(30):
        (pictures / f"{i:02}.txt").write_text(f"number {i}")
        if i >= 5:
            (pictures / f"{i:02}.png").write_bytes(b"broken")
    images = open_images(str(pictures), Wanted(captions=True))
    pool = encode_pool(images, str(tiny_clip))
    skipped = pool.history[-1]["parameters"]["skipped"]
    assert skipped["count"] == 25
    assert skipped["images"] == [f"{i:02}.png" for i in range(5, 25)]
    assert mean(open_images(str(pictures))).history[-1]["parameters"]["skipped"] == skipped


def test_no_readable_image(tiny_clip: Path, pictures: Path) -> None:
    for path in list(pictures.iterdir()):
        path.with_suffix(".txt").write_text("a caption")
        path.write_bytes(b"broken")
    told = (
        "no image could be read of 12, the first, 00.png, because: cannot identify the image file"
    )
    with pytest.raises(InputError, match=told):
        encode_pool(open_images(str(pictures), Wanted(captions=True)), str(tiny_clip))


def test_a_picture_is_let_go_before_the_next(tiny_clip: Path) -> None:
    """A batch of full-size pictures could fill the memory: only what the model takes stays."""
    import gc
    import weakref

    seen: list[weakref.ref[Image.Image]] = []
    most = 0

    def arriving() -> Iterator[CaptionedImage]:
        nonlocal most
        for i in range(9):
            image = Image.new("RGB", (64, 48), (20 * i, 0, 0))
            seen.append(weakref.ref(image))
            yield CaptionedImage(image, str(i), f"shade {i}")
            del image
            gc.collect()
            most = max(most, sum(reference() is not None for reference in seen))

    encoder = load_encoder(str(tiny_clip))
    encode_pool(arriving(), encoder)
    mean(arriving(), encoder)
    assert most <= 2


def test_prepared_pictures_have_the_features_of_pictures(
    tiny_clip: Path, tiny_open_clip: Path, pictures: Path
) -> None:
    images = [item.image for item in open_images(str(pictures))]
    for model in (tiny_clip, tiny_open_clip):
        encoder = load_encoder(str(model), batch_size=5)
        prepared = [encoder.prepare(image) for image in images]
        whole = encoder._features_of(encoder._preprocess(images))
        for features in (encoder.encode_prepared(prepared), encoder.encode_images(images)):
            torch.testing.assert_close(features, whole, atol=1e-5, rtol=1e-5)


def test_a_damaged_pool(pool: Pool, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pool.h5"

    def refused(name: str, column: object) -> str:
        save(pool, path)
        with h5py.File(path, "a") as file:
            kind = file[name].dtype
            del file[name]
            file.create_dataset(name, data=column, dtype=kind)
        result = run("mean", path, "-o", tmp_path / "mean.h5")
        assert result.exit_code == 3, result.output
        return " ".join(result.stderr.split())

    assert "damaged pool: embeddings of shape (24,)" in refused("embeddings", pool.embeddings[:, 0])
    assert "24 concepts for 23 embeddings" in refused("embeddings", pool.embeddings[:23])
    assert "23 sources for 24 embeddings" in refused("sources", pool.sources[:23])
    holed = pool.embeddings.copy()
    holed[3, 3] = np.nan
    assert "NaN or infinite embeddings" in refused("embeddings", holed)


def test_thumbnails_are_small_and_the_same_every_time() -> None:
    generator = np.random.default_rng(0)
    image = Image.fromarray(generator.integers(0, 255, (400, 300, 3), dtype=np.uint8))
    with Image.open(io.BytesIO(thumbnail(image))) as small:
        assert small.size == (72, 96)
    assert thumbnail(image) == thumbnail(image.copy())
    assert image.size == (300, 400)
    with Image.open(io.BytesIO(thumbnail(Image.new("RGB", (5000, 3))))) as thin:
        assert thin.size == (96, 1)


# ── a model without a text tower ────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def dinov2(small_dinov2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden DINOv2 with the image processor that its folder lacks."""
    from transformers import BitImageProcessor

    folder = tmp_path_factory.mktemp("models") / "dinov2"
    shutil.copytree(small_dinov2, folder)
    size = {"height": 28, "width": 28}
    BitImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained(folder)
    return folder


def test_a_model_without_a_text_tower_is_explained_by_images(dinov2: Path, run: Run) -> None:
    pool = encode_pool(open_images("scenes:images", SCENES), str(dinov2))
    spectra = svd(fold(str(dinov2)))
    options = Options(method="nearest", sparsity=2)
    codes = decompose(spectra, pool, options=options)
    np.testing.assert_array_equal(codes.mean, mean(pool).mean)
    np.testing.assert_allclose(codes.mean, codes.pool_mean, atol=1e-6)
    stages = [stage["stage"] for stage in codes.history]
    assert stages == ["fold", "svd", "encode-pool", "mean", "decompose"]
    other = mean(open_images("scenes", Wanted(limit=8)), str(dinov2))
    given_mean = decompose(spectra, pool, other, options=options)
    np.testing.assert_array_equal(given_mean.mean, other.mean)
    with pytest.raises(InputError, match="captioned images"):
        encode_pool(["red"], str(dinov2))


def test_the_whole_chain_of_a_model_without_a_text_tower(
    dinov2: Path, run: Run, tmp_path: Path
) -> None:
    model = ("--model", dinov2)
    done = run("encode-pool", "scenes:images", "--limit", 16, *model, "-o", tmp_path / "p.h5")
    assert done.exit_code == 0, done.output
    asked = ("explain", *model, "--pool", tmp_path / "p.h5", "--layer", 1, "--format", "jsonl")
    first, again = run(*asked), run(*asked)
    assert first.exit_code == 0, first.output
    assert first.stdout == again.stdout
    assert all(c["image"] for c in json.loads(first.stdout.splitlines()[0])["concepts"])


# ── files ───────────────────────────────────────────────────────────────────────────────────


@given(
    blobs=st.lists(st.binary(max_size=200), max_size=8),
    texts=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=4),
)
def test_byte_columns_come_back_as_they_were(blobs: list[bytes], texts: list[str]) -> None:
    import tempfile

    document = {"kind": "x", "model": {}, "history": []}
    columns = {"a/bytes": Blobs(blobs), "a/texts": texts, "numbers": np.arange(3)}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in "ab"]
        for path in paths:
            write_hdf5(path, document, columns)
        found, arrays = read(paths[0], "file")
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert found == document
    assert isinstance(arrays["a/bytes"], Blobs)
    assert arrays["a/bytes"] == blobs
    assert arrays["a/texts"] == texts
    assert digest_of({}, arrays) == digest_of({}, columns)


def test_texts_and_bytes_of_the_same_content_differ() -> None:
    assert digest_of({}, {"a": ["x"]}) != digest_of({}, {"a": Blobs([b"x"])})


@pytest.mark.parametrize("kind", ["pool", "codes"])
def test_image_columns_make_the_round_trip(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    original = request.getfixturevalue(kind)
    save(original, tmp_path / "a")
    again = load(tmp_path / "a", type(original))
    for name, column in original.arrays().items():
        np.testing.assert_array_equal(np.asarray(again.arrays()[name]), np.asarray(column))
    assert intact(tmp_path / "a")
    assert again.digest == original.digest
    save(again, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    prefix = "concepts/" if kind == "codes" else ""
    found = shapes(tmp_path / "a")
    assert {f"{prefix}{n}" for n in ("thumbnails", "sources", "details", "factors")} <= set(found)
    assert found[f"{prefix}thumbnails"].startswith("bytes")
    with h5py.File(tmp_path / "a", "a") as file:
        file[f"{prefix}thumbnails"][0] = np.zeros(3, np.uint8)
    assert not intact(tmp_path / "a")


def test_a_pool_file_without_the_new_columns_loads(pool: Pool, tmp_path: Path) -> None:
    save(pool, tmp_path / "a")
    with h5py.File(tmp_path / "a", "a") as file:
        for name in ("thumbnails", "sources", "details"):
            del file[name]
    old = load(tmp_path / "a", Pool)
    assert old.thumbnails is old.sources is old.detail_captions is None


def test_codes_carry_the_images_they_use(codes: Codes, pool: Pool) -> None:
    used = codes.concepts
    assert used.sources is not None
    assert used.thumbnails is not None
    assert pool.sources is not None
    assert pool.thumbnails is not None
    for place, index in enumerate(used.indices.tolist()):
        assert used.labels[place] == pool.concepts[index]
        assert used.sources[place] == pool.sources[index]
        assert used.thumbnails[place] == pool.thumbnails[index]


# ── what people and programs see ────────────────────────────────────────────────────────────


@pytest.fixture
def codes_file(codes: Codes, tmp_path: Path) -> Path:
    save(codes, tmp_path / "codes.h5")
    return tmp_path / "codes.h5"


def test_a_table_shows_captions_and_ids(codes: Codes, codes_file: Path, run: Run) -> None:
    table = run("explain", codes_file, "--head", 0, "--sv", 0)
    assert table.exit_code == 0, table.output
    (first, *_) = explain(codes, head=0, sv=0)
    flat = " ".join(table.stdout.split())
    assert str(first.concepts[0].image) in flat
    assert first.concepts[0].concept.split(" in the ")[0] in flat
    assert "colour" not in plain_text([first], "m")  # the caption names every factor


def test_ids_cannot_control_the_terminal() -> None:
    from test_views import explanation

    from sithctl.stages.explain import WeightedConcept

    bad = WeightedConcept("red", 0.5, 0, None, "\x1b[2J\u202e.png")
    text = plain_text([explanation("red", concepts=(bad,))], "m")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J" in text


def test_json_and_csv_name_the_images(codes_file: Path, run: Run) -> None:
    asked = ("explain", codes_file, "--head", 1, "--sv", 0, "--format")
    (one, _) = json.loads(run(*asked, "json").stdout)["explanations"]
    concept = one["concepts"][0]
    assert list(concept) == ["concept", "coefficient", "index", "image", "detail"]
    assert concept["image"] == f"scenes/7/{concept['index']}"
    rows = list(csv.DictReader(io.StringIO(run(*asked, "csv").stdout)))
    assert rows[0]["image"] == concept["image"]
    assert concept["image"] in run(*asked, "markdown").stdout


def test_unisiths_own_layout(codes_file: Path, run: Run) -> None:
    result = run("explain", codes_file, "--head", "0-1", "--format", "unisith-json")
    document = json.loads(result.stdout)
    assert set(document) == {"4"}
    assert set(document["4"]) == {"0", "1"}
    vectors = document["4"]["1"]["singular_vectors"]
    assert [vector["sv_index"] for vector in vectors] == list(range(16))
    asked = ("explain", codes_file, "--head", 1, "--sv", 2, "--format", "json")
    plus, minus = json.loads(run(*asked).stdout)["explanations"]
    vector = vectors[2]
    assert vector["singular_value"] == plus["singular_value"]
    for ours, theirs in ((plus, vector), (minus, vector["minus"])):
        assert theirs["fidelity"] == ours["fidelity"]["feature"]
        assert theirs["image_ids"] == [c["image"] for c in ours["concepts"]]
        assert theirs["concepts"] == [
            {
                "caption": c["concept"],
                "coefficient": c["coefficient"],
                "concept_idx": c["index"],
            }
            for c in ours["concepts"]
        ]


def test_unisiths_layout_of_one_pole_has_no_other(tiny_clip: Path, pool: Pool) -> None:
    from sithctl.views.unisith import as_unisith

    spectra = svd(fold(str(tiny_clip), "-1"), rank=1)
    codes = decompose(spectra, pool, options=Options(pole="-"))
    (vector,) = json.loads(as_unisith(explain(codes, head=0)))["4"]["0"]["singular_vectors"]
    assert vector["pole"] == "-"
    assert "minus" not in vector


def test_thumbnails_of_what_is_shown(
    codes: Codes, codes_file: Path, run: Run, tmp_path: Path
) -> None:
    asked = ("explain", codes_file, "--head", 0, "--sv", 1, "--thumbnails", tmp_path / "t" / "u")
    first = run(*asked)
    assert first.exit_code == 0, first.output
    assert "6 thumbnails" in first.stderr
    rows = explain(codes, head=0, sv=1)
    files = sorted(path.name for path in (tmp_path / "t" / "u").iterdir())
    assert len(files) == 6
    name = f"layer04-head00-sv001-right-plus-0-scenes_7_{rows[0].concepts[0].index}.jpg"
    assert name in files
    assert (tmp_path / "t" / "u" / name).read_bytes() == rows[0].concepts[0].thumbnail
    second = run(*asked)
    assert second.exit_code == 3
    assert second.stdout == ""
    assert "--force to overwrite" in " ".join(second.stderr.split())
    assert run(*asked, "--force").exit_code == 0


def test_thumbnails_never_leave_their_folder(codes: Codes, tmp_path: Path) -> None:
    rows = explain(codes, head=0, sv=0)
    write_thumbnails(rows, tmp_path / "t", force=False)
    victim = tmp_path / "victim"
    link = min((tmp_path / "t").iterdir())
    link.unlink()
    link.symlink_to(victim)
    with pytest.raises(InputError, match="exists"):
        write_thumbnails(rows, tmp_path / "t", force=False)
    write_thumbnails(rows, tmp_path / "t", force=True)
    assert not victim.exists()
    assert not link.is_symlink()


@given(st.text())
def test_safe_names_are_one_part_of_a_path(text: str) -> None:
    name = f"x-{safe_name(text)}.jpg"
    assert Path(name).name == name
    assert len(name.encode()) < 100
    assert name.isprintable()


def test_thumbnails_that_are_not_there(run: Run, tmp_path: Path, codes_file: Path) -> None:
    bare = run("explain", "--layer", 5, "--head", 0, "--thumbnails", tmp_path / "t")
    assert bare.exit_code == 3
    assert "no thumbnails" in bare.stderr
    assert not (tmp_path / "t").exists()
    (tmp_path / "file").touch()
    other = run("explain", codes_file, "--thumbnails", tmp_path / "file")
    assert other.exit_code == 3
    assert len(other.stderr.strip().splitlines()) == 1


# ── encode-pool on the command line ─────────────────────────────────────────────────────────


def test_from_a_folder_to_an_explanation(
    tiny_clip: Path, pictures: Path, run: Run, tmp_path: Path
) -> None:
    for i in range(12):
        (pictures / f"{i:02}.txt").write_text(f"number {i}")
    (pictures / "03.png").write_bytes(b"broken")
    model = ("--model", tiny_clip)
    made = run("encode-pool", pictures, *model, "-o", tmp_path / "pool.h5")
    assert made.exit_code == 0, made.output
    note = " ".join(made.stderr.split())
    assert "1 of 12 images could not be read and were skipped, the first: 03.png (cannot" in note
    pool = load(tmp_path / "pool.h5", Pool)
    assert len(pool.concepts) == 11
    assert str(pictures) not in json.dumps(pool.document())
    codes = tmp_path / "codes.h5"
    steps = (
        ("fold", tiny_clip, "-o", tmp_path / "heads"),
        ("svd", tmp_path / "heads", "-o", tmp_path / "spectra"),
        ("mean", tmp_path / "pool.h5", "-o", tmp_path / "mean.h5"),
        ("decompose", tmp_path / "spectra", "--pool", tmp_path / "pool.h5", "-o", codes),
    )
    for step in steps:
        result = run(*step)
        assert result.exit_code == 0, result.output
    shown = run("explain", codes, "--layer", 4, "--format", "jsonl")
    concept = json.loads(shown.stdout.splitlines()[0])["concepts"][0]
    assert concept["concept"] == f"number {int(Path(concept['image']).stem)}"
    direct = run("mean", pictures, *model, "-o", tmp_path / "direct.h5")
    assert direct.exit_code == 0, direct.output
    from sithctl.kinds import Mean

    theirs, ours = (load(tmp_path / f"{n}.h5", Mean) for n in ("direct", "mean"))
    np.testing.assert_allclose(ours.mean, theirs.mean, atol=1e-6)


def test_no_thumbnails_and_strict(tiny_clip: Path, pictures: Path, run: Run, tmp_path: Path):
    (pictures / "captions.tsv").write_text("".join(f"{i:02}.png\tn {i}\n" for i in range(12)))
    target = tmp_path / "pool.h5"
    asked = ("encode-pool", pictures, "--model", tiny_clip, "-o", target, "--no-thumbnails")
    assert run(*asked, "--limit", 4).exit_code == 0
    assert set(shapes(target)) == {"embeddings", "concepts", "sources"}
    (pictures / "01.png").write_bytes(b"broken")
    strict = run(*asked, "--strict", "--force")
    assert strict.exit_code == 3
    assert len(strict.stderr.strip().splitlines()) == 1
    assert "01.png" in strict.stderr


@pytest.mark.parametrize("command", ["encode-pool", "mean"])
def test_bad_sources_end_in_one_line(command: str, run: Run, tmp_path: Path) -> None:
    import datasets

    (tmp_path / "empty").mkdir()
    datasets.Dataset.from_dict({"picture": ["x"]}).save_to_disk(tmp_path / "set")
    (tmp_path / "bad.tar").write_bytes(b"\1" * 600)
    (tmp_path / "bad.parquet").write_bytes(b"\1" * 600)
    sources = ("empty", "set", "bad.tar", "bad.parquet", "s-{0..2}.tar", "hf:no/thing")
    for source in sources:
        name = source if source.startswith("hf:") else tmp_path / source
        result = run(command, name, "-o", tmp_path / "out")
        assert result.exit_code == 3, (source, result.output)
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert not (tmp_path / "out").exists()


def test_options_that_have_nothing_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("red\n")
    words = run("encode-pool", tmp_path / "words.txt", "--split", "train", "-o", tmp_path / "o")
    assert words.exit_code == 2
    assert "--split" in words.stderr
    factors = ("--factors", tmp_path / "words.txt", "-o", tmp_path / "o")
    assert run("encode-pool", "scenes:images", *factors).exit_code == 2


def test_options_that_a_source_has_no_use_for(
    tiny_clip: Path, pictures: Path, run: Run, tmp_path: Path
) -> None:
    import datasets
    from test_captioned import write_tar

    paths = sorted(pictures.glob("*.png"))
    write_tar(tmp_path / "s.tar", {"0.png": paths[0].read_bytes(), "0.txt": b"one"})
    table = {"image": [str(path) for path in paths], "caption": ["x"] * 12}
    rows = datasets.Dataset.from_dict(table).cast_column("image", datasets.Image())
    rows.save_to_disk(tmp_path / "set")
    for i in range(12):
        (pictures / f"{i:02}.txt").write_text(f"number {i}")
    all_of = {"split", "id-column", "image-column", "caption-column", "detail-column", "seed"}
    used = {
        pictures: set(),
        tmp_path / "s.tar": {"caption-column", "detail-column"},
        tmp_path / "set": {"id-column", "image-column", "caption-column", "detail-column"},
        "scenes:images": {"caption-column", "detail-column", "seed"},
    }
    for source, uses in used.items():
        for option in sorted(all_of - uses):
            result = run("encode-pool", source, f"--{option}", "7", "-o", tmp_path / "o")
            assert result.exit_code == 2, (source, option, result.output)
            assert len(result.stderr.strip().splitlines()) == 1
            assert f"leave out --{option}" in result.stderr
    assert run("encode-pool", pictures, "--streaming", "-o", tmp_path / "o").exit_code == 2
    assert run("mean", pictures, "--seed", 3, "-o", tmp_path / "o").exit_code == 2


def test_a_mean_of_a_pool_takes_no_options_of_images(pool: Pool, run: Run, tmp_path: Path) -> None:
    save(pool, tmp_path / "pool.h5")
    for option in (("--limit", 3), ("--model", "scenes"), ("--batch-size", 3)):
        result = run("mean", tmp_path / "pool.h5", *option, "-o", tmp_path / "o")
        assert result.exit_code == 2, result.output
        assert f"leave out {option[0]}" in result.stderr


def test_a_pool_comes_through_a_pipe(pool: Pool, shell: Shell, tmp_path: Path) -> None:
    save(pool, tmp_path / "pool.h5")
    piped = shell("cat pool.h5 | sithctl mean > piped.h5 && sithctl mean pool.h5 -o named.h5")
    assert piped.returncode == 0, piped.stderr
    assert (tmp_path / "piped.h5").read_bytes() == (tmp_path / "named.h5").read_bytes()
    assert shell("sithctl mean < /dev/null").returncode == 2


@pytest.mark.parametrize("command", ["encode-pool", "mean"])
def test_a_picture_is_no_source(command: str, pictures: Path, run: Run, tmp_path: Path) -> None:
    result = run(command, pictures / "00.png", "-o", tmp_path / "o")
    assert result.exit_code == 3
    assert "an image file" in result.stderr
    assert "give the folder it is in" in " ".join(result.stderr.split())


def test_tars_and_data_sets_give_the_folders_pool(
    tiny_clip: Path, pictures: Path, run: Run, tmp_path: Path
) -> None:
    import datasets
    from test_captioned import write_tar

    members: dict[str, bytes] = {}
    for i in range(12):
        (pictures / f"{i:02}.txt").write_text(f"number {i}")
        members[f"{i:02}.png"] = (pictures / f"{i:02}.png").read_bytes()
        members[f"{i:02}.txt"] = f"number {i}".encode()
    write_tar(tmp_path / "s-0.tar", members)
    paths = [str(path) for path in sorted(pictures.glob("*.png"))]
    table = {"img": paths, "said": [f"number {i}" for i in range(12)]}
    rows = datasets.Dataset.from_dict(table).cast_column("img", datasets.Image())
    rows.save_to_disk(tmp_path / "set")
    columns = ("--image-column", "img", "--caption-column", "said")
    pools = []
    for name, *more in ((pictures,), (tmp_path / "s-{0..0}.tar",), (tmp_path / "set", *columns)):
        target = tmp_path / f"{len(pools)}.h5"
        result = run("encode-pool", name, "--model", tiny_clip, "-o", target, *more)
        assert result.exit_code == 0, result.output
        pools.append(load(target, Pool))
    for other in pools[1:]:
        np.testing.assert_array_equal(other.embeddings, pools[0].embeddings)
        assert other.concepts == pools[0].concepts
        assert other.thumbnails == pools[0].thumbnails


# ── is it right? ────────────────────────────────────────────────────────────────────────────


def test_scenes_explain_the_bundled_model_above_chance() -> None:
    """Nearest scenes share a factor value far more often than scenes drawn at random do."""
    pool = encode_pool(open_images("scenes:images", Wanted(captions=True, limit=1200)), "scenes")
    options = Options(method="nearest", rank=3)
    codes = decompose(svd(fold("scenes", "4-5")), pool, options=options)
    found = [_agreement([c.factors or {} for c in e.concepts]) for e in explain(codes)]
    generator = torch.Generator().manual_seed(0)
    assert pool.factors is not None
    drawn = [
        _agreement([pool.factors[i] for i in torch.randperm(1200, generator=generator)[:5]])
        for _ in range(len(found))
    ]
    assert np.mean(found) > np.mean(drawn) + 3 * np.std(drawn) / len(drawn) ** 0.5
    assert np.mean([value == 1 for value in found]) > 0.5


def _agreement(factors: list[dict[str, str]]) -> float:
    """The largest share of one value of a factor with more than three, over those factors."""
    return max(
        max(np.unique([f[name] for f in factors], return_counts=True)[1]) / len(factors)
        for name in ("colour", "shape", "scene", "pattern", "position")
    )
