"""Captioned images from every kind of source: the same items, in order, bad ones found by name."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sithctl.errors import InputError
from sithctl.sources import open as opening
from sithctl.sources import pixels
from sithctl.sources.images import Wanted, one_line
from sithctl.sources.open import is_images, open_images
from sithctl.sources.pixels import as_rgb, decode
from sithctl.sources.recipes import RECIPES
from sithctl.sources.webdataset import expand

CAPTIONED = Wanted(captions=True)
WORDS = [f"picture of {i} things" for i in range(12)]


def said(source: object, wanted: Wanted = CAPTIONED) -> list[tuple[str, str]]:
    return [(item.id, item.caption) for item in open_images(str(source), wanted)]


def refused(source: object, wanted: Wanted = CAPTIONED) -> str:
    """The one line with which a source is refused, on opening or on reading."""
    with pytest.raises(InputError) as caught:
        list(open_images(str(source), wanted))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def write_metadata(pictures: Path) -> Callable[[str, list[dict[str, object]]], None]:
    def write(name: str, rows: list[dict[str, object]]) -> None:
        with (pictures / name).open("w", newline="", encoding="utf-8") as file:
            if name.endswith("jsonl"):
                file.writelines(json.dumps(row) + "\n" for row in rows)
                return
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)

    return write


ROWS: list[dict[str, object]] = [
    {"file_name": f"{i:02}.png", "text": f"  {w} ", "recaption": f"{w},\nin full"}
    for i, w in enumerate(WORDS)
]
EXPECTED = [(f"{i:02}.png", word) for i, word in enumerate(WORDS)]


# ── folders ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_the_imagefolder_layout(write_metadata, pictures: Path, name: str) -> None:
    write_metadata(name, ROWS)
    assert said(pictures) == EXPECTED
    items = list(open_images(str(pictures), Wanted(captions=True, detail_column="recaption")))
    assert items[3].detail == "picture of 3 things, in full"
    assert items[3].image.mode == "RGB"


def test_a_metadata_file_in_a_subfolder_names_what_lies_beside_it(pictures: Path) -> None:
    (pictures / "train").mkdir()
    (pictures / "00.png").rename(pictures / "train" / "00.png")
    for path in pictures.glob("*.png"):
        path.unlink()
    (pictures / "train" / "metadata.csv").write_text('file_name,caption\n00.png,"red, ""x"""\n')
    assert said(pictures) == [("train/00.png", 'red, "x"')]


@pytest.mark.parametrize("name", ["captions.txt", "captions.tsv"])
def test_a_captions_file(pictures: Path, name: str) -> None:
    lines = [f"{i:02}.png\t{w}\n" for i, w in enumerate(WORDS)]
    (pictures / name).write_text("".join(lines))
    assert said(pictures) == EXPECTED
    (pictures / name).write_text("".join([*lines, "04.png\tanother\n"]))
    assert "the file 04.png is named twice" in refused(pictures)


def test_side_car_files(pictures: Path) -> None:
    for i, word in enumerate(WORDS):
        (pictures / f"{i:02}.txt").write_text(word.replace(" of ", " of\n") + "\n")
    assert said(pictures) == EXPECTED
    assert said(pictures, Wanted(captions=True, limit=3)) == EXPECTED[:3]


def test_folders_without_their_captions(write_metadata, pictures: Path) -> None:
    assert "images without captions" in refused(pictures)
    assert len(said(pictures, Wanted())) == 12  # a mean needs none
    (pictures / "07.txt").write_text("one")
    assert "no caption for the image 00.png" in refused(pictures)
    write_metadata("metadata.csv", [row for row in ROWS if row["file_name"] != "05.png"])
    assert "no caption for the image 05.png" in refused(pictures)
    write_metadata("metadata.csv", [*ROWS[:4], {**ROWS[4], "text": " "}, *ROWS[5:]])
    assert "no caption for the image 04.png" in refused(pictures)


def test_metadata_without_the_column(write_metadata, pictures: Path) -> None:
    wanted = Wanted(captions=True, caption_column="title")
    write_metadata("metadata.csv", ROWS)
    message = refused(pictures, wanted)
    assert "no column title" in message
    assert "--caption-column: file_name, text, recaption" in message
    assert "no column long" in refused(pictures, Wanted(captions=True, detail_column="long"))
    write_metadata("metadata.csv", [{"name": "00.png", "caption": "x"}])
    assert "no column file_name" in refused(pictures)


def test_damaged_lists(pictures: Path) -> None:
    (pictures / "captions.txt").write_text("00.png red\n")
    assert "line 1 has no tab" in refused(pictures)
    (pictures / "captions.txt").write_bytes("00.png\tgr\xfcn\n".encode("latin-1"))
    assert "not UTF-8" in refused(pictures)
    (pictures / "metadata.jsonl").write_text('{"file_name": "00.png"')
    assert "metadata.jsonl: write it again" in refused(pictures)
    (pictures / "metadata.jsonl").write_text("[1]\n")
    assert "no JSON object" in refused(pictures)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a/../../b.png", ""])
def test_a_list_cannot_name_what_lies_outside(write_metadata, pictures: Path, name: str) -> None:
    write_metadata("metadata.csv", [{"file_name": name, "text": "x"}])
    assert "not below the folder" in refused(pictures)


def test_a_listed_image_that_is_missing_counts_as_unreadable(
    write_metadata, pictures: Path
) -> None:
    write_metadata("metadata.csv", ROWS)
    (pictures / "02.png").unlink()
    (pictures / "03.png").write_bytes((pictures / "03.png").read_bytes()[:300])
    images = open_images(str(pictures), CAPTIONED)
    assert [item.id for item in images] == [f"{i:02}.png" for i in range(12) if i not in (2, 3)]
    assert images.skipped == ["02.png", "03.png"]
    message = refused(pictures, Wanted(captions=True, strict=True))
    assert "the image 02.png cannot be read" in message


def test_metadata_names_a_file_once(write_metadata, pictures: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        write_metadata(name, [*ROWS, ROWS[3]])
        assert "the file 03.png is named twice" in refused(pictures)


def test_a_caption_is_never_cut(pictures: Path) -> None:
    for path in pictures.glob("0[1-9].png"):
        path.unlink()
    for path in pictures.glob("1*.png"):
        path.unlink()
    table = pictures / "metadata.csv"
    table.write_text("file_name,caption\n00.png,a cat, on a mat\n")
    assert "line 2 has 3 columns where the header has 2" in refused(pictures)
    long = "word " * 40_000
    table.write_text(f"file_name,caption\n00.png,{long}\n")
    assert said(pictures) == [("00.png", long.strip())]


def test_gaps_and_nests_in_metadata(pictures: Path) -> None:
    lines = [f'{{"file_name": "{i:02}.png", "caption": NaN}}\n' for i in range(12)]
    (pictures / "metadata.jsonl").write_text("".join(lines))
    assert "no caption for the image 00.png" in refused(pictures)
    (pictures / "metadata.jsonl").write_text('{"a": ' + "[" * 100_000)
    assert "metadata.jsonl: write it again" in refused(pictures)


def test_what_is_hidden_does_not_count(pictures: Path) -> None:
    (pictures / "captions.txt").write_text("".join(f"{n}\t{w}\n" for n, w in EXPECTED))
    for name in (".cache", "__MACOSX"):
        (pictures / name).mkdir()
        (pictures / name / "00.png").write_bytes(b"none")
        (pictures / name / "metadata.csv").write_text("file_name,caption\n00.png,no\n")
    (pictures / "._00.png").write_bytes(b"none")
    assert said(pictures) == EXPECTED
    assert len(said(pictures, Wanted())) == 12


def test_a_single_picture_is_no_source(pictures: Path) -> None:
    assert is_images(str(pictures / "00.png"))
    assert "an image file" in refused(pictures / "00.png")
    assert "give the folder it is in" in refused(pictures / "00.png")


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no images in the folder" in refused(tmp_path / "empty")
    assert "no such folder" in refused(tmp_path / "nowhere")


def test_pictures_stand_as_their_orientation_says() -> None:
    image = Image.new("RGB", (30, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue()).size == (20, 30)


def test_deep_greys_are_scaled() -> None:
    ramp = np.linspace(0, 65535, 256).reshape(16, 16)
    buffer = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint16)).save(buffer, "PNG")
    grey = np.arange(256).reshape(16, 16)
    for image in (
        decode(buffer.getvalue()),
        Image.fromarray(ramp.astype(np.int32)),
        Image.fromarray((ramp / 65535).astype(np.float32)),
        Image.fromarray((ramp - 9).astype(np.float32)),
    ):
        rgb = np.asarray(as_rgb(image))
        assert rgb.shape == (16, 16, 3)
        np.testing.assert_allclose(rgb[..., 1], grey, atol=1)
    with pytest.raises(ValueError, match="NaN"):
        as_rgb(Image.fromarray(np.full((2, 2), np.nan, np.float32)))


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (2, 2), (200, 0, 0, 0))
    palette = Image.new("P", (2, 2), 0)
    palette.info["transparency"] = 0
    for image in (clear, clear.convert("LA"), palette):
        assert as_rgb(image).getpixel((1, 1)) == (255, 255, 255)
    assert as_rgb(Image.new("RGBA", (2, 2), (200, 0, 0, 255))).getpixel((0, 0)) == (200, 0, 0)


def test_a_picture_too_large_is_skipped_with_the_reason(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "LARGEST", 3_000_000)
    Image.new("1", (2000, 1501)).save(pictures / "03.png")
    images = open_images(str(pictures))
    assert len(list(images)) == 11
    assert images.skipped == ["03.png"]
    assert images.reasons == ["2000 by 1501 pixels, more than 3 megapixels: scale it"]


def test_captions_are_one_line() -> None:
    assert one_line(" a\n b\t") == "a b"
    assert one_line(["first", "second"]) == "first"
    assert [one_line(text) for text in ("", " ", [], None)] == [None] * 4
    assert one_line("a\0b \ud800") == "a b \\ud800"
    assert one_line(float("nan")) is one_line([float("nan")]) is None
    with pytest.raises(InputError, match="dict, not texts: there"):
        one_line({"raw": "a"}, "there")


def test_file_names_that_are_no_utf_8(pictures: Path) -> None:
    import os

    name = os.fsdecode(b"gr\xfcn.png")
    (pictures / "00.png").rename(pictures / name)
    (pictures / name).with_suffix(".txt").write_text("green")
    wanted = Wanted(captions=True, limit=1)
    for path in pictures.glob("[01]*.png"):
        path.unlink()
    assert said(pictures, wanted) == [("gr\\udcfcn.png", "green")]


# ── data sets ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def rows(pictures: Path):
    """A data set of twelve pictures with ids, a list of captions, and longer ones."""
    import datasets

    table = {
        "image": [str(path) for path in sorted(pictures.iterdir())],
        "caption": [[word, "another"] for word in WORDS],
        "recaption": [f"{word}, in full" for word in WORDS],
        "image_id": list(range(100, 112)),
        "key": [f"k{i}" for i in range(12)],
    }
    return datasets.Dataset.from_dict(table).cast_column("image", datasets.Image())


def embedded(rows):
    """With the files' bytes in it, as published data sets are."""
    import datasets
    from datasets.table import embed_table_storage

    table = rows.with_format("arrow").map(embed_table_storage, batched=True, batch_size=4)
    return table.with_format(None).cast_column("image", datasets.Image())


def test_a_data_set_on_disk(rows, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "set")
    expected = [(str(100 + i), word) for i, word in enumerate(WORDS)]
    assert said(tmp_path / "set") == expected
    wanted = Wanted(captions=True, limit=4, detail_column="recaption", id_column="key")
    images = open_images(str(tmp_path / "set"), wanted)
    assert images.count == 4
    assert [(i.id, i.detail) for i in images][3] == ("k3", "picture of 3 things, in full")


def test_rows_are_numbered_where_nothing_names_them(rows, tmp_path: Path) -> None:
    rows.remove_columns(["image_id"]).save_to_disk(tmp_path / "set")
    assert said(tmp_path / "set")[:2] == [("0", WORDS[0]), ("1", WORDS[1])]


def test_data_files_are_read_as_the_data_set_is(rows, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "set")
    (tmp_path / "files").mkdir()
    embedded(rows).to_parquet(tmp_path / "files" / "train-00000-of-00001.parquet")
    wanted = Wanted(captions=True, detail_column="recaption", limit=7)
    items = {}
    for name in ("set", "files", "files/train-00000-of-00001.parquet"):
        images = open_images(str(tmp_path / name), wanted)
        items[name] = [(i.id, i.caption, i.detail, i.image.tobytes()) for i in images]
        assert len(items[name]) == 7
    assert len({str(value) for value in items.values()}) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_by_name(
    rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    """The library takes a folder for a name: all of the way but the network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "set").mkdir(parents=True)
    embedded(rows).to_parquet("owner/set/train.parquet")
    embedded(rows).select(range(2)).to_parquet("owner/set/test.parquet")
    wanted = Wanted(captions=True, split="train", streaming=streaming, limit=5)
    assert said("hf:owner/set", wanted)[4] == ("104", WORDS[4])
    assert "several splits" in refused("hf:owner/set")
    assert "--split: " in refused("hf:owner/set")
    assert "split" in refused("hf:owner/set", Wanted(split="valid", streaming=streaming))


def test_data_sets_that_cannot_be_reached() -> None:
    for name in ("hf:somebody/something", "somebody/something", "recap-coco", "lvis-gpt4v"):
        message = refused(name)
        assert "cannot be loaded" in message
        assert "save_to_disk(FOLDER)" in message
    assert "UCSC-VLAA/Recap-COCO-30K" in refused("recap-coco")
    assert "no such folder" in refused("somebody/something")
    assert "no such folder" not in refused("hf:somebody/something")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(image_column="picture"), "no column picture"),
        (Wanted(captions=True, caption_column="title"), "no column title"),
        (Wanted(captions=True, detail_column="long"), "no column long"),
        (Wanted(id_column="name"), "no column name"),
    ],
)
def test_a_data_set_without_the_column_says_which_it_has(
    rows, tmp_path: Path, wanted: Wanted, words: str
) -> None:
    rows.save_to_disk(tmp_path / "set")
    message = refused(tmp_path / "set", wanted)
    assert words in message
    assert "image, caption, recaption, image_id, key" in message


def test_a_missing_caption_is_found_before_anything_is_read(rows, tmp_path: Path) -> None:
    captions = [word if i != 8 else "" for i, word in enumerate(WORDS)]
    table = rows.remove_columns(["caption"]).add_column("caption", captions)
    table.save_to_disk(tmp_path / "set")
    with pytest.raises(InputError, match="no caption for the image 108"):
        open_images(str(tmp_path / "set"), CAPTIONED)
    (tmp_path / "files").mkdir()
    embedded(table).to_parquet(tmp_path / "files" / "train.parquet")
    assert "no caption for the image 108" in refused(tmp_path / "files")


def test_a_missing_caption_in_data_files_is_found_on_opening(rows, tmp_path: Path) -> None:
    captions = [word if i != 8 else None for i, word in enumerate(WORDS)]
    table = rows.remove_columns(["caption"]).add_column("caption", captions)
    (tmp_path / "files").mkdir()
    embedded(table).to_parquet(tmp_path / "files" / "train.parquet")
    for path in (tmp_path / "files", tmp_path / "files" / "train.parquet"):
        with pytest.raises(InputError, match="no caption for the image 108"):
            open_images(str(path), CAPTIONED)
        assert len(said(path, Wanted(captions=True, limit=8))) == 8


def test_an_empty_data_set(rows, tmp_path: Path) -> None:
    rows.select([]).save_to_disk(tmp_path / "set")
    rows.select([]).to_parquet(tmp_path / "set.parquet")
    for name in ("set", "set.parquet"):
        assert "the data set is empty" in refused(tmp_path / name)


def test_captions_that_are_no_texts_name_their_source(rows, tmp_path: Path) -> None:
    embedded(rows).save_to_disk(tmp_path / "set")
    message = refused(tmp_path / "set", Wanted(captions=True, caption_column="image"))
    assert "captions are dict, not texts: set" in message


def test_a_stray_picture_makes_no_folder_of_images(rows, pictures: Path, tmp_path: Path) -> None:
    for at, name in (("data", "logo.png"), ("", "a/logo.png")):
        folder = tmp_path / f"with-{at}"
        (folder / at).mkdir(parents=True)
        embedded(rows).to_parquet(folder / at / "train-00000-of-00001.parquet")
        embedded(rows.select([3])).to_parquet(folder / at / "test-00000-of-00001.parquet")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((pictures / "00.png").read_bytes())
        wanted = Wanted(captions=True, split="train")
        assert said(folder, wanted)[4] == ("104", WORDS[4])
        assert len(said(folder, Wanted(split="test"))) == 1
        (folder / name).with_suffix(".txt").write_text("a logo")
        assert said(folder) == [(name, "a logo")]


def test_rows_that_name_files_stay_in_their_folder(pictures: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(path: Path, name: str) -> Path:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        image = pa.array([{"bytes": None, "path": name}], type=kind)
        pq.write_table(pa.table({"image": image, "caption": ["one"]}), path)
        return path

    inside = write(pictures / "set.parquet", "00.png")
    assert said(inside) == [("0", "one")]
    (pictures / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "secret.png").write_bytes((pictures / "00.png").read_bytes())
    outside = (tmp_path / "secret.png", "../secret.png", "link.png", "http://127.0.0.1:9/a.png")
    for name in (*outside, "hf://datasets/a/b/c.png"):
        write(inside, str(name))
        assert f"outside the data set, {name}" in refused(inside)


def test_corrupt_rows_fail_alone(rows, pictures: Path, tmp_path: Path) -> None:
    (pictures / "03.png").write_bytes(b"not a picture")
    (pictures / "05.png").write_bytes((pictures / "05.png").read_bytes()[:200])
    rows.save_to_disk(tmp_path / "set")
    images = open_images(str(tmp_path / "set"), CAPTIONED)
    assert len(list(images)) == 10
    assert images.skipped == ["103", "105"]
    assert "the image 103 cannot be read" in refused(tmp_path / "set", Wanted(strict=True))


def test_a_column_that_holds_no_images(rows, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "set")
    message = refused(tmp_path / "set", Wanted(image_column="image_id"))
    assert "column image_id holds int, not images" in message


def test_a_recipe_fills_its_columns_in(
    rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    datasets.DatasetDict({"train": rows, "other": rows.select([0])}).save_to_disk(tmp_path / "set")
    recap = RECIPES["recap-coco"]
    moved = replace(recap, source=str(tmp_path / "set"))
    monkeypatch.setitem(opening.RECIPES, "recap-coco", moved)
    assert is_images("recap-coco")
    items = list(open_images("recap-coco", CAPTIONED))
    assert (items[2].caption, items[2].detail) == (WORDS[2], f"{WORDS[2]}, in full")
    assert len(list(open_images("recap-coco", Wanted(split="other")))) == 1


# ── web addresses ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def server(pictures: Path) -> Iterator[str]:
    """The pictures on loopback; anything else is not found."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = pictures / self.path.lstrip("/")
            self.send_response(200 if path.is_file() else 404)
            self.end_headers()
            if path.is_file():
                self.wfile.write(path.read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    serving = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_images_named_by_web_address(
    server: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    names = [f"{i:02}.png" for i in range(11)] + ["none.png"]
    table = {"url": [f"{server}/{name}" for name in names], "short_caption": WORDS}
    datasets.Dataset.from_dict({**table, "caption": WORDS}).save_to_disk(tmp_path / "set")
    lvis = RECIPES["lvis-gpt4v"]
    moved = replace(lvis, source=str(tmp_path / "set"))
    monkeypatch.setitem(opening.RECIPES, "lvis-gpt4v", moved)
    assert "HF_HUB_OFFLINE" in refused("lvis-gpt4v")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    images = open_images("lvis-gpt4v", CAPTIONED)
    items = list(images)
    assert images.skipped == [f"{server}/none.png"]
    with Image.open(pictures / "04.png") as original:
        np.testing.assert_array_equal(np.asarray(items[4].image), np.asarray(original))


def test_no_network_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.delenv("HF_HUB_OFFLINE")
    table = {"image": [f"http://127.0.0.1:9/{i}.png" for i in range(100)]}
    datasets.Dataset.from_dict(table).save_to_disk(tmp_path / "set")
    assert "go where there is a network" in refused(tmp_path / "set", Wanted())


# ── tars ────────────────────────────────────────────────────────────────────────────────────


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def tars(pictures: Path, tmp_path: Path) -> Path:
    """Three shards of four samples, captions by turns in .txt and .json."""
    folder = tmp_path / "tars"
    folder.mkdir()
    for shard in range(3):
        members: dict[str, bytes] = {}
        for i in range(4 * shard, 4 * shard + 4):
            members[f"d/{i:04}.png"] = (pictures / f"{i:02}.png").read_bytes()
            facts = {"caption": WORDS[i], "long": f"{WORDS[i]}, in full", "alt": f"alt {i}"}
            members[f"d/{i:04}.json"] = json.dumps(facts).encode()
            if i % 2:
                members[f"d/{i:04}.txt"] = WORDS[i].encode()
            members[f"d/{i:04}.seg.npy"] = b"\0" * 64
        members[f"d/{shard:04}-readme.txt"] = b"no image here"
        write_tar(folder / f"s-{shard:03}.tar", members)
    return folder


def test_tars_by_folder_pattern_and_name(tars: Path) -> None:
    expected = [(f"d/{i:04}", word) for i, word in enumerate(WORDS)]
    assert said(tars) == expected
    assert said(tars / "s-{000..002}.tar") == expected
    assert said(tars / "s-*.tar") == expected
    assert said(tars / "s-001.tar") == expected[4:8]
    assert said(tars, Wanted(captions=True, limit=5)) == expected[:5]


def test_captions_from_keys_of_the_json(tars: Path) -> None:
    wanted = Wanted(captions=True, caption_column="alt", detail_column="long")
    items = list(open_images(str(tars), wanted))
    assert (items[1].caption, items[1].detail) == ("alt 1", "picture of 1 things, in full")
    missing = Wanted(captions=True, caption_column="title")
    assert "no caption for the image d/0000" in refused(tars, missing)


def test_a_sample_is_told_from_its_masks(pictures: Path, tmp_path: Path) -> None:
    """The first dot ends a name, and only a whole extension says what a member is."""
    first, mask = ((pictures / f"{i:02}.png").read_bytes() for i in (0, 1))
    for suffix in (".png", ".seg.png"):
        members = {"a.1/0001.png": first, "a.1/0001.seg.png": mask, "a.1/._0001.png": b""}
        texts = {"a.1/0001.txt": b"\xef\xbb\xbfright", "a.1/0001.wrong.txt": b"wrong"}
        ordered = sorted({**members, **texts}.items(), reverse=suffix == ".png")
        write_tar(tmp_path / "a.tar", dict(ordered))
        (item,) = open_images(str(tmp_path / "a.tar"), CAPTIONED)
        assert (item.id, item.caption) == ("a.1/0001", "right")
        assert item.image.tobytes() == decode(first).convert("RGB").tobytes()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(pictures / "00.png", "a.png")
        tar.add(pictures / "01.png", "a.png")
    assert "two members a.png" in refused(tmp_path / "a.tar")


def test_a_cut_tar_is_found_wherever_it_is_cut(pictures: Path, tmp_path: Path) -> None:
    data = (pictures / "00.png").read_bytes()
    members = {f"{i}.{e}": d for i in range(3) for e, d in (("png", data), ("txt", b"one"))}
    path = tmp_path / "a.tar"
    write_tar(path, members)
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        starts = [member.offset for member in tar][1:]
        end = tar.offset
    for size in (*starts, *(s + 100 for s in starts), *(s + 513 for s in starts), end - 512):
        path.write_bytes(whole[:size])
        assert "not a whole tar" in refused(path), size
    path.write_bytes(whole[: starts[2]] + b"junk" * 128 + whole[starts[2] :])
    assert "not a whole tar" in refused(path)


def test_a_tar_whose_samples_stand_apart(pictures: Path, tmp_path: Path) -> None:
    data = (pictures / "00.png").read_bytes()
    images = {f"{i}.png": data for i in range(3)}
    texts = {f"{i}.txt": b"one" for i in range(3)}
    for members in ({**images, **texts}, {**texts, **images}):
        write_tar(tmp_path / "a.tar", members)
        assert "are not adjacent" in refused(tmp_path / "a.tar")
        assert "tar --sort=name" in refused(tmp_path / "a.tar")
        assert len(said(tmp_path / "a.tar", Wanted())) == 3


def test_keys_that_the_json_has_not(tars: Path) -> None:
    for option in ("caption", "detail"):
        wanted = Wanted(captions=True, **{f"{option}_column": "title"})
        told = f"no key title, name one with --{option}-column: caption, long, alt"
        assert told in refused(tars, wanted)


def test_deep_json_in_a_tar(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"a.png": b"", "a.json": b"[" * 100_000})
    assert "the caption of a is damaged" in refused(tmp_path / "a.tar")


def test_compressed_shards(tars: Path, tmp_path: Path) -> None:
    import gzip

    for path in list(tars.glob("*.tar")):
        name = f"{path.name}.gz" if "1" in path.name else f"{path.stem}.tgz"
        path.with_name(name).write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert [caption for _, caption in said(tars)] == WORDS
    assert is_images(str(tars / "s-001.tar.gz"))
    assert said(tars / "s-001.tar.gz")[0] == ("d/0004", WORDS[4])


def test_a_corrupt_image_in_a_tar_fails_alone(tars: Path) -> None:
    write_tar(tars / "s-001.tar", {"d/x.jpg": b"\xff\xd8\xff", "d/x.txt": b"broken"})
    images = open_images(str(tars), CAPTIONED)
    assert len(list(images)) == 8
    assert images.skipped == ["d/x"]


def test_tars_that_are_no_tars(tars: Path, tmp_path: Path) -> None:
    assert "s-003.tar: check the path" in refused(tars / "s-{000..003}.tar")
    whole = (tars / "s-002.tar").read_bytes()
    (tars / "s-002.tar").write_bytes(whole[:3000])
    assert "not a whole tar" in refused(tars)
    (tars / "s-002.tar").write_bytes(b"not a tar at all" * 100)
    assert "not a whole tar" in refused(tars)
    write_tar(tars / "s-002.tar", {"a.png": b"", "a.json": b"{"})
    assert "the caption of a is damaged" in refused(tars)


def test_braces() -> None:
    assert expand("{0..1}/{08..10}.tar")[3:] == ["1/08.tar", "1/09.tar", "1/10.tar"]
    with pytest.raises(InputError, match="smaller number first"):
        expand("{3..1}.tar")


# ── the rendered world, and which sources are images at all ─────────────────────────────────


def test_scenes_name_every_factor_and_know_them() -> None:
    from sithctl.scenes.factors import FACTORS

    wanted = Wanted(captions=True, limit=20, seed=3, detail_column="short")
    items = list(open_images("scenes:images", wanted))
    assert [item.id for item in items[:2]] == ["scenes/3/0", "scenes/3/1"]
    for item in items:
        assert item.factors is not None
        for factor in FACTORS:
            assert factor.words[item.factors[factor.name]][0] in item.caption
        assert item.detail
    again = list(open_images("scenes:images", Wanted(captions=True, limit=9, seed=3)))
    assert [i.caption for i in again] == [i.caption for i in items[:9]]
    assert "no column long" in refused("scenes:images", Wanted(caption_column="long"))


def test_which_sources_are_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").mkdir()
    (tmp_path / "wordnet").mkdir()
    (tmp_path / "wordnet" / "index.noun").touch()
    for source in ("words", "a.tar", "s-{0..3}.tar", "hf:x", "owner/name", "f.parquet"):
        assert is_images(source), source
    for source in ("words.txt", "scenes", "-", "words/list", "wordnet", "lists/w.txt", "./x"):
        assert not is_images(source), source
