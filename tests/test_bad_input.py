"""Bad input, each with exit 3 and one line that names the thing and says what to do, and nothing
half-written left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from safetensors.torch import load_file, save_file

from sithctl.artifacts import save
from sithctl.kinds import Mean, Pool
from sithctl.models import load_encoder, open_model
from sithctl.models.locate import locate
from sithctl.stages.fold import fold
from sithctl.stages.mean import ready_mean
from sithctl.stages.pool import encode_pool
from sithctl.stages.svd import svd

FEATURES = open_model("scenes").readout.features
WORDS = ["red", "ring", "ocean", "box", "striped", "snow"]


@pytest.fixture(scope="module")
def files(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files of the bundled model and of another."""
    folder = tmp_path_factory.mktemp("files")
    save(fold("scenes", "5"), folder / "heads")
    save(svd(fold("scenes", "5")), folder / "spectra")
    save(svd(fold(str(tiny_clip), "4")), folder / "other-spectra")
    save(encode_pool(WORDS, "scenes"), folder / "pool")
    other: Pool = encode_pool(WORDS, str(tiny_clip))
    save(other, folder / "other-pool")
    save(Mean(other.model, (), np.ones(24) / 9, 3), folder / "other-mean")
    save(ready_mean(np.ones(7) / 9), folder / "short-mean")
    return folder


@pytest.fixture
def refuse(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command that must be refused: exit 3, one line with all of ``words``, no new file."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments: object, words: tuple[str, ...]) -> None:
        before = sorted(tmp_path.rglob("*"))
        result = run(*arguments)
        lines = result.stderr.strip().splitlines()
        assert result.exit_code == 3, (result.output, result.exception)
        assert len(lines) == 1, lines
        assert lines[0].startswith(f"sithctl {arguments[0]}: ")
        for word in words:
            assert word in lines[0], lines[0]
        assert result.stdout == ""
        assert sorted(tmp_path.rglob("*")) == before

    return check


def test_layer_out_of_range(refuse, files: Path) -> None:
    words = ("no layer 23", "scenes", "it has layers 0–5")
    refuse("explain", "--layer", 23, words=words)
    refuse("fold", "scenes", "--layers", "20-23", words=("no layer 20", "layers 0–5"))
    refuse("explain", "--layers", 23, words=words)
    refuse("fold", "scenes", "--layer", 20, words=("no layer 20",))
    refuse(
        "decompose", files / "spectra", "--layers", 2, "--pool", files / "pool", words=("layer 2",)
    )


def test_head_out_of_range(refuse) -> None:
    refuse("explain", "--layer", 5, "--head", 12, words=("no head 12", "scenes", "heads 0–"))
    refuse("explain", "--layer", 5, "--sv", 99, words=("no singular vector 99", "0–"))


def test_pool_of_another_model(refuse, files: Path) -> None:
    words = (
        "another model",
        "pool of tiny-clip",
        "spectra of scenes",
        "encode-pool --model`",
    )
    refuse("decompose", files / "spectra", "--pool", files / "other-pool", words=words)


def test_a_text_pool_without_a_mean(refuse, files: Path) -> None:
    words = ("needs the mean", "tiny-clip", "--mean FILE", "--mean none", 'in Python mean="none"')
    refuse("decompose", files / "other-spectra", "--pool", files / "other-pool", words=words)


def test_means_that_do_not_fit(refuse, files: Path, tmp_path: Path) -> None:
    common = ("decompose", files / "spectra", "--pool", files / "pool", "--mean")
    refuse(*common, files / "short-mean", words=("7 features", f"the model {FEATURES}"))
    refuse(*common, files / "other-mean", words=("mean of tiny-clip", "sithctl mean"))
    save(ready_mean(np.full(FEATURES, 3.0), model="scenes"), tmp_path / "raw")
    refuse(*common, "raw", words=("norm", "at most 1", "normalise the features"))


def test_files_of_another_kind(refuse, files: Path) -> None:
    words = ("expected spectra (from `sithctl svd`), found heads",)
    refuse("decompose", files / "heads", "--pool", files / "pool", words=words)
    refuse("svd", files / "pool", "-o", "out", words=("expected heads", "found pool"))
    refuse("explain", files / "pool", words=("expected codes", "found pool"))
    refuse("info", __file__, words=("neither a whole safetensors nor a whole HDF5",))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize(("name", "stage"), [("heads", "svd"), ("pool", "info")])
def test_truncated_files(refuse, files: Path, tmp_path: Path, name, stage, share) -> None:
    content = (files / name).read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content[: int(len(content) * share)])
    refuse(stage, cut, words=("cut", "truncated"))


def test_word_lists(refuse, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n  \n")
    refuse("encode-pool", "empty.txt", "-o", "pool", words=("empty.txt", "no concepts"))
    (tmp_path / "latin.txt").write_bytes("gr\xfcn\n".encode("latin-1"))
    refuse("encode-pool", "latin.txt", "-o", "pool", words=("latin.txt", "not UTF-8", "iconv"))
    refuse("encode-pool", "missing.txt", "-o", "pool", words=("missing.txt", "no such file"))


def test_tables_of_factors(refuse, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("red\nring\n")
    common = ("encode-pool", "words.txt", "--factors", "table.tsv", "-o", "pool")
    (tmp_path / "table.tsv").write_text("concept\tcolour\nred\tred\n")
    refuse(*common, words=("no row for the concept 'ring'",))
    (tmp_path / "table.tsv").write_text("concept\tcolour\nred\n")
    refuse(*common, words=("line 2 has 1 columns",))


def test_checkpoints(refuse, tmp_path: Path, small_clip: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_clip, folder)
    weights = folder / "open_clip_model.safetensors"
    tensors = load_file(weights)
    name = "visual.transformer.resblocks.0.ln_1.weight"
    save_file({n: t for n, t in tensors.items() if n != name}, weights)
    refuse("fold", folder, "-o", "heads", words=(f"no tensor {name}", "nearest: visual."))
    tensors[name][3] = float("nan")
    save_file(tensors, weights)
    refuse("fold", folder, "-o", "heads", words=("NaN or infinite weights", name))
    (folder / "open_clip_config.json").write_text("{")
    refuse("fold", folder, "-o", "heads", words=("not JSON", "open_clip_config.json"))
    refuse("fold", tmp_path, "-o", "heads", words=("not a model directory",))
    refuse("fold", "nonsense", "-o", "heads", words=("no such model", "nonsense"))


def test_weights_under_a_name_of_ones_own(refuse, tmp_path: Path, tiny_open_clip: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_open_clip, folder)
    lone = folder / "epoch_9.safetensors"
    (folder / "open_clip_model.safetensors").rename(lone)
    rename = "rename epoch_9.safetensors to open_clip_model.safetensors"
    refuse("fold", folder, "-o", "heads", words=("no weights", rename))
    bare = tmp_path / "epoch_9.safetensors"
    lone.rename(bare)
    wanted = "beside its open_clip_config.json as open_clip_model.safetensors, or its config.json"
    refuse("encode-pool", "scenes", "--model", bare, words=("no library to run it", wanted))
    refuse("fold", "open_clip:/no/dir", words=("not a model directory", "/no/dir"))


def test_a_folder_as_open_clip_spells_it(small_clip: Path) -> None:
    for prefix in ("open_clip:", "local-dir:", "open_clip:local-dir:"):
        found = locate(f"{prefix}{small_clip}")
        assert (found.name, found.library) == (small_clip.name, "open_clip")
        assert found.weights.parent == small_clip


def test_pools_with_nan_or_too_few_concepts(refuse, files: Path, tmp_path: Path) -> None:
    pool = encode_pool(WORDS, load_encoder("scenes"))
    broken = pool.embeddings.copy()
    broken[2, 3] = np.nan
    save(Pool(pool.model, pool.history, broken, pool.concepts), tmp_path / "broken")
    common = ("decompose", files / "spectra", "--pool")
    refuse(*common, "broken", words=("NaN", "pool of scenes"))
    refuse(*common, files / "pool", "--sparsity", 9, words=("6 concepts", "--sparsity"))
    refuse(*common, files / "pool", "--rank", 99, words=("no rank 99",))


def test_images(refuse, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuse("mean", "empty", "-o", "mean", words=("no images", "empty"))
    refuse("mean", "nowhere", "-o", "mean", words=("no such folder", "nowhere"))
    (tmp_path / "empty" / "a.png").write_bytes(b"no picture")
    refuse("mean", "empty", "-o", "mean", words=("no image could be read",))


def test_ready_arrays(refuse, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("red\nring\n")
    common = ("encode-pool", "--concepts", "words.txt", "-o", "pool", "--embeddings")
    np.save(tmp_path / "three.npy", np.ones((3, 4), dtype=np.float32))
    refuse(*common, "three.npy", words=("2 labels for 3 embeddings",))
    np.save(tmp_path / "flat.npy", np.ones(4, dtype=np.float32))
    refuse(*common, "flat.npy", words=("shape (4,)", "flat.npy"))
    np.save(tmp_path / "objects.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    refuse(*common, "objects.npy", words=("not a whole array file",))
    refuse(*common, "words.txt", words=("not supported: .txt",))


def test_word_lists_with_nul_and_files_that_may_not_be_read(refuse, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes(b"red\0ring\0")
    refuse("encode-pool", "words.txt", "-o", "pool", words=("NUL", "words.txt"))
    refuse("svd", "words.txt", "--device", "gpu", words=("neither a whole safetensors",))


def test_devices_that_are_not_there(refuse, files: Path) -> None:
    refuse("svd", files / "heads", "--device", "gpu", words=("no such device", "--device cpu"))
    refuse("encode-pool", "scenes", "--device", "nope", words=("no such device",))


def test_a_file_that_the_library_would_not_load(refuse, tmp_path: Path, tiny_clip: Path) -> None:
    """Encoding with the folder's weights what is then called the file's would be a silent lie."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_clip, folder)
    shutil.copyfile(folder / "model.safetensors", folder / "epoch_9.safetensors")
    (tmp_path / "words.txt").write_text("red\n")
    model = folder / "epoch_9.safetensors"
    refuse("encode-pool", "words.txt", "--model", model, words=("other weights", "epoch_9"))


def test_outputs(refuse, files: Path, tmp_path: Path) -> None:
    refuse("svd", files / "heads", "-o", tmp_path, words=("output is a folder",))
    refuse("svd", files / "heads", "-o", "no/where", words=("folder does not exist", "no"))


def test_what_is_for_another_stage_is_told_what_it_is_for(
    refuse, files: Path, tmp_path: Path, pictures: Path, tiny_clip: Path
) -> None:
    (tmp_path / "words.txt").write_text("rouge\nœuvre\n")
    make = "`sithctl mean {} --model {} -o mean.h5`, then give --mean mean.h5"
    for images in (pictures, "scenes:images"):
        refuse("explain", "--mean", images, words=(make.format(images, "scenes"),))
        spectra = ("decompose", files / "spectra", "--mean", images)
        refuse(*spectra, words=(make.format(images, "MODEL"),))
    refuse("explain", "--mean", "none.h5", words=("no such mean", "none.h5"))
    encode = "`sithctl encode-pool words.txt -o pool.h5`"
    refuse("decompose", files / "spectra", "--pool", "words.txt", words=("a text", encode))
    refuse("svd", "words.txt", words=("a text", "heads", encode))
    for words in (("explain",), ("find", "red")):
        for model in ("scenes", tiny_clip):
            refuse(*words, model, words=("a model, where codes", f"give it as --model {model}"))
    refuse("mean", "words.txt", "--model", "scenes", words=("a text, not images: words.txt",))
