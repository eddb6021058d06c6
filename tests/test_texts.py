"""Sources of texts: lists, ConceptNet, WordNet, merged; templates; what is left out."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import unicodedata
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

from sithctl.errors import InputError, UsageError
from sithctl.models import load_encoder
from sithctl.sources import conceptnet
from sithctl.sources.conceptnet import read_conceptnet
from sithctl.sources.concepts import read_concepts, tidy
from sithctl.sources.open import is_images
from sithctl.sources.selection import Selection
from sithctl.sources.texts import Kind, kind_of, read_texts
from sithctl.sources.wordnet import INDEX, read_wordnet
from sithctl.stages.pool import encode_pool

DEBIAN = Path("/usr/share/wordnet")


def assertion(start: str, end: str, note: str = "") -> str:
    details = json.dumps({"surfaceText": f"[[{note}]] \t /c/en/trap", "weight": 1.0})
    return f"/a/[/r/IsA/,{start}/,{end}/]\t/r/IsA\t{start}\t{end}\t{details}\n"


ASSERTIONS = (
    assertion("/c/en/dog/n/wn/animal", "/c/en/domestic_animal")
    + assertion("/c/fr/chien", "/c/en/dog")
    + assertion("/c/en/café/n", "/c/de/hund/n")
    + assertion("/c/eng/no", "/c/en/guide_dog/v")
)
NODES = ["dog", "domestic animal", "café", "guide dog"]

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"
NOUNS = LICENCE + "\ndog n 7 5 @ ~ #m #p %p 7 1 02086723  \nguide_dog n 1 1 @ 1 0 02112497  \n"
VERBS = LICENCE + "dog v 1 2 @ ~ 1 1 02005890  \nwalk_the_dog v 1 1 @ 1 0 00000001  \n"


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    folder = tmp_path / "wordnet"
    folder.mkdir()
    (folder / "index.noun").write_text(NOUNS)
    (folder / "index.verb").write_text(VERBS)
    return folder


# --- plain lists ---------------------------------------------------------------------------------


def test_a_list_as_lines_and_as_json(tmp_path: Path) -> None:
    texts = [" red ring", "ocean", "", "red ring", "caf\u00e9", "cafe\u0301"]
    (tmp_path / "list.txt").write_text("\n".join(texts))
    (tmp_path / "list.json").write_text(json.dumps(texts))
    expected = ["red ring", "ocean", "caf\u00e9"]
    assert read_concepts(tmp_path / "list.txt") == expected
    assert read_concepts(tmp_path / "list.json") == expected


def test_white_space_within_a_concept_is_one_space() -> None:
    assert tidy(["hot dog", "hot  dog", " hot\t\u00a0dog"]) == ["hot dog"]
    assert Selection(exclude=["Red  Ring"]).of(["red ring", "red"]) == ["red"]


@given(st.lists(st.text()))
def test_tidy_concepts_are_tidy(texts: list[str]) -> None:
    concepts = tidy(texts)
    assert tidy(concepts) == concepts
    assert len(set(concepts)) == len(concepts)
    assert all(unicodedata.is_normalized("NFC", c) and c == c.strip() != "" for c in concepts)
    firsts = [texts.index(next(t for t in texts if tidy([t]) == [c])) for c in concepts]
    assert firsts == sorted(firsts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ('{"a": 1}', "no list of texts"),
        ('["a", 1]', "no list of texts"),
        (r'["a\u0000"]', "NUL"),
        (r'["\ud800"]', "half a character"),
        ("[]", "no concepts"),
    ],
)
def test_json_that_is_no_list(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(InputError, match=words):
        read_concepts(tmp_path / "list.json")


# --- ConceptNet ----------------------------------------------------------------------------------


def test_underscores_in_a_row_are_one_space(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(assertion("/c/en/hot_dog", "/c/en/hot__dog"))
    assert read_conceptnet(tmp_path / "a.csv") == ["hot dog"]


def test_conceptnet_plain_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ASSERTIONS)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(ASSERTIONS.encode()))
    for name in ("a.csv", "a.csv.gz"):
        assert kind_of(str(tmp_path / name)) is Kind.conceptnet
        assert read_conceptnet(tmp_path / name) == NODES


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_conceptnet_does_not_depend_on_the_block(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conceptnet, "BLOCK", block)
    (tmp_path / "a.csv").write_text(ASSERTIONS.rstrip("\n"))
    told: list[tuple[int, int]] = []
    assert read_conceptnet(tmp_path / "a.csv", lambda *now: told.append(now)) == NODES
    assert told


def test_a_csv_of_another_form_is_a_plain_list(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("red\nring\n")
    assert kind_of(str(tmp_path / "words.csv")) is Kind.plain
    assert read_texts([str(tmp_path / "words.csv")]).concepts == ["red", "ring"]


def test_damaged_conceptnet(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress(ASSERTIONS.encode() * 500)
    for content, words in (
        (whole[:-20], "truncated"),
        (b"", "no English concepts"),
        (b"plain text", "truncated, or not gzip"),
        (whole[:40] + b"\0" * 40 + whole[80:], "truncated"),
        (gzip.compress(ASSERTIONS.encode() + b"id,name\n"), "line 5 is no assertion"),
        (gzip.compress(assertion("/c/fr/a", "/c/fr/b").encode()), "no English concepts"),
        (gzip.compress(ASSERTIONS.encode("latin-1")), "not UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_conceptnet(path)
    with pytest.raises(InputError, match="no such file"):
        read_conceptnet(tmp_path / "none.csv.gz")


# --- WordNet -------------------------------------------------------------------------------------


def archive(path: Path, **files: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_wordnet_as_folder_file_and_archive(wordnet: Path, tmp_path: Path) -> None:
    expected = ["dog", "guide dog", "walk the dog"]
    packed = archive(tmp_path / "wn.tar.gz", dict__index_verb=VERBS, dict__index_noun=NOUNS)
    above = tmp_path / "above"
    above.mkdir()
    (above / "dict").symlink_to(wordnet)
    for source in (wordnet, packed, above):
        assert kind_of(str(source)) is Kind.wordnet
        assert read_wordnet(source) == expected
    assert read_texts([str(wordnet / "index.verb")]).concepts == ["dog", "walk the dog"]


@pytest.mark.skipif(not (DEBIAN / "index.noun").exists(), reason="no wordnet-base on this machine")
def test_the_real_wordnet() -> None:
    concepts = read_wordnet(DEBIAN)
    assert 140_000 < len(concepts) == len(set(concepts)) < 160_000
    assert {"dog", "guide dog", "zigzag", "quickly", "'hood"} <= set(concepts)
    assert not any("_" in c or c.startswith(" ") or "copyright" in c.lower() for c in concepts[:50])
    nouns = read_wordnet(DEBIAN / "index.noun")
    assert concepts[: len(nouns)] == nouns
    assert "quickly" not in nouns


def test_damaged_wordnet(wordnet: Path, tmp_path: Path) -> None:
    (wordnet / "index.verb").write_text("no index at all\n")
    with pytest.raises(InputError, match=r"line 1 .*index\.verb"):
        read_wordnet(wordnet)
    (wordnet / "index.verb").write_bytes(b"\xff n 1 ")
    with pytest.raises(InputError, match="not UTF-8"):
        read_wordnet(wordnet)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"without index\.noun"):
        kind_of(str(tmp_path / "empty"))
    (tmp_path / "bad.tar.gz").write_bytes(b"none")
    with pytest.raises(InputError, match="not a whole archive"):
        read_wordnet(tmp_path / "bad.tar.gz")
    packed = archive(tmp_path / "other.tgz", readme="hello")
    with pytest.raises(InputError, match=r"no dict/index\.noun"):
        read_wordnet(packed)
    packed.write_bytes(archive(tmp_path / "big.tgz", index_noun=NOUNS * 300).read_bytes()[:-30])
    with pytest.raises(InputError, match="not a whole archive"):
        read_wordnet(packed)


def test_wordnets_archive_is_no_tar_of_images(tmp_path: Path) -> None:
    for name in ("wn3.1.dict.tar.gz", "other.tgz"):
        packed = archive(tmp_path / name, dict__data_noun="", dict__index_noun=NOUNS)
        assert not is_images(str(packed))
        assert read_texts([str(packed)]).concepts == ["dog", "guide dog"]
    assert is_images(str(archive(tmp_path / "shard.tar.gz", a__txt="one")))


def test_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    """What lies outside its folder, or is a link, is no index file of ours."""
    path = tmp_path / "wn.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("dict/index.noun")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        outside = tarfile.TarInfo("../../index.noun")
        outside.size = len(NOUNS)
        tar.addfile(outside, io.BytesIO(NOUNS.encode()))
    with pytest.raises(InputError, match=r"no dict/index\.noun"):
        read_wordnet(path)
    assert list(tmp_path.iterdir()) == [path]


# --- several sources, and what stays of them -----------------------------------------------------


def test_sources_merge_in_their_order(wordnet: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ocean\ndog\n")
    (tmp_path / "b.csv").write_text(ASSERTIONS)
    sources = [str(tmp_path / "a.txt"), str(tmp_path / "b.csv"), str(wordnet)]
    merged = ["ocean", "dog", "domestic animal", "café", "guide dog", "walk the dog"]
    assert read_texts(sources).concepts == merged
    assert read_texts(sources[::-1]).concepts[:3] == ["dog", "guide dog", "walk the dog"]


def test_selection() -> None:
    concepts = ["Café", "ocean", "red ring", "a thin red ring", "STRASSE"]
    assert Selection(exclude=["cafe\u0301", "straße"]).of(concepts) == concepts[1:4]
    assert Selection(min_words=2).of(concepts) == concepts[2:4]
    assert Selection(max_words=1).of(concepts) == ["Café", "ocean", "STRASSE"]
    assert Selection().of(concepts) == concepts
    assert Selection().document() == {}
    one, other = Selection(["B", "a", "b"]), Selection(["a", "b"])
    assert one.document() == other.document() != {}
    with pytest.raises(InputError, match="no concept is left of 5"):
        Selection(min_words=9).of(concepts)


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_what_is_excluded_is_gone_whatever_its_case(texts: list[str], data: st.DataObject) -> None:
    concepts = tidy([*texts, "one that stays"])
    unwanted = data.draw(st.lists(st.sampled_from(concepts)))
    unwanted = [c for c in unwanted if c != "one that stays"]
    kept = Selection([c.casefold() for c in unwanted]).of(concepts)
    assert not set(kept) & set(unwanted)
    assert kept == [c for c in concepts if c in set(kept)]


def pool_of(path: Path) -> tuple[list[str], np.ndarray, dict]:
    with h5py.File(path) as file:
        document = json.loads(file.attrs["sithctl"])
        return file["concepts"].asstr()[()].tolist(), file["embeddings"][()], document


def test_templates_are_averaged(tiny_clip: Path) -> None:
    encoder, concepts = load_encoder(str(tiny_clip)), ["red", "ring {}"]
    templates = ["a photo of {}", "two {} and {x}"]
    pool = encode_pool(concepts, encoder, templates=templates)
    expected = torch.zeros(2, 24)
    for template in templates:
        sentences = [template.replace("{}", concept) for concept in concepts]
        expected += F.normalize(encoder.encode_text(sentences), dim=-1) / 2
    np.testing.assert_allclose(pool.embeddings, expected, atol=1e-5)
    assert pool.concepts == concepts
    assert pool.history[0]["parameters"]["templates"] == templates
    assert "templates" not in encode_pool(concepts, encoder).history[0]["parameters"]
    with pytest.raises(UsageError, match="without a place"):
        encode_pool(concepts, encoder, templates=["a photo"])


def test_long_sentences_are_counted(tiny_clip: Path) -> None:
    with pytest.warns(UserWarning, match="2 of 4 texts"):
        encode_pool(["red", "ring"], str(tiny_clip), templates=["{}", "{} " * 40])


def test_command_with_everything(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Red Ring\nocean\nsnow\n")
    (tmp_path / "b.json").write_text('["a very long phrase", "ocean", "crimson"]')
    (tmp_path / "no.txt").write_text("red ring\n")
    words = ("--template", "a photo of {}", "--template", "{}", "--exclude", tmp_path / "no.txt")
    sources = (tmp_path / "a.txt", tmp_path / "b.json")
    out = tmp_path / "pool.h5"
    made = run("encode-pool", *sources, *words, "--max-words", 2, "--min-words", 1, "-o", out)
    assert made.exit_code == 0, made.output
    concepts, embeddings, document = pool_of(out)
    assert concepts == ["ocean", "snow", "crimson"]
    assert (np.linalg.norm(embeddings, axis=1) <= 1.0001).all()
    parameters = document["history"][0]["parameters"]
    assert parameters["templates"] == ["a photo of {}", "{}"]
    assert (parameters["min_words"], parameters["max_words"]) == (1, 2)
    assert len(parameters["exclude"]) == 32


def test_factors_follow_the_labels_that_stay(run: Run, tmp_path: Path) -> None:
    def factors(path: Path) -> list[dict]:
        with h5py.File(path) as file:
            return [json.loads(text) for text in file["factors"].asstr()[()]]

    (tmp_path / "a.txt").write_text("ring\nred\nblue thing\n")
    (tmp_path / "table.tsv").write_text("concept\tcolour\nring\t\nred\tred\n")
    out = tmp_path / "pool.h5"
    words = ("--factors", tmp_path / "table.tsv", "--max-words", 1, "-o", out)
    assert run("encode-pool", tmp_path / "a.txt", *words).exit_code == 0
    assert factors(out) == [{}, {"colour": "red"}]
    (tmp_path / "b.txt").write_text("unheard of\ncrimson\n")
    merged = run("encode-pool", tmp_path / "b.txt", "scenes", "--max-words", 2, "-o", out, "-f")
    assert merged.exit_code == 0, merged.output
    concepts, _, _ = pool_of(out)
    known = dict(zip(concepts, factors(out), strict=True))
    assert concepts[:2] == ["unheard of", "crimson"]
    assert known["unheard of"] == {}
    assert known["crimson"] == {"colour": "red"}
    assert all(len(c.split()) <= 2 for c in concepts)


def test_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("red\n")
    words = ("encode-pool", tmp_path / "a.txt", "-o", tmp_path / "pool.h5")
    for more, told in (
        (("--template", "a photo"), "without a place for the concept: a photo"),
        (("--min-words", 3, "--max-words", 2), "--min-words 3 --max-words 2"),
        (("--embeddings", "e.npy", "--concepts", "c"), "either SOURCE or --embeddings"),
        (("--min-words", 0), "--min-words"),
    ):
        result = run(*words, *more)
        assert result.exit_code == 2, result.output
        assert told in " ".join(result.stderr.split())


def test_bad_sources_are_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("red\n")
    (tmp_path / "latin.txt").write_bytes("gr\xfcn\n".encode("latin-1"))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(ASSERTIONS.encode())[:-9])
    for more, told in (
        ((tmp_path / "latin.txt",), "not UTF-8"),
        ((tmp_path / "cut.csv.gz",), "truncated"),
        ((tmp_path / "none.txt",), "no such file"),
        (("--exclude", tmp_path / "a.txt"), "no concept is left of 1"),
        (("--exclude", tmp_path / "none.txt"), "no such file"),
    ):
        result = run("encode-pool", tmp_path / "a.txt", *more, "-o", tmp_path / "pool.h5")
        assert result.exit_code == 3, result.output
        assert len(result.stderr.splitlines()) == 1
        assert told in result.stderr
        assert not (tmp_path / "pool.h5").exists()


def test_an_empty_list_excludes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("red\n")
    (tmp_path / "none.txt").touch()
    words = ("--exclude", tmp_path / "none.txt", "-o", tmp_path / "pool.h5")
    made = run("encode-pool", tmp_path / "a.txt", *words)
    assert made.exit_code == 0, made.output
    assert pool_of(tmp_path / "pool.h5")[0] == ["red"]


def test_images_among_lists_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("red\n")
    result = run("encode-pool", tmp_path / "a.txt", tmp_path, "-o", tmp_path / "pool.h5")
    assert result.exit_code == 2
    assert "images among them" in result.stderr


def test_every_index_file_has_its_place() -> None:
    assert INDEX == ("index.noun", "index.verb", "index.adj", "index.adv")
