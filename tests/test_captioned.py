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
from sithctl.sources.images import Wanted, decode, one_line
from sithctl.sources.open import is_images, open_images
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
def test_a_captions_file_takes_the_first_of_several(pictures: Path, name: str) -> None:
    lines = [f"{i:02}.png\t{w}\n{i:02}.png\tanother\n" for i, w in enumerate(WORDS)]
    (pictures / name).write_text("".join(lines))
    assert said(pictures) == EXPECTED


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


def test_captions_are_one_line() -> None:
    assert one_line(" a\n b\t") == "a b"
    assert one_line(["first", "second"]) == "first"
    assert [one_line(text) for text in ("", " ", [], None)] == [None] * 4
    assert one_line("a\0b \ud800") == "a b \\ud800"
    with pytest.raises(InputError, match="dict, not texts"):
        one_line({"raw": "a"})


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
