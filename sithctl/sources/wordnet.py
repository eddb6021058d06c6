"""Lemmas of WordNet: its database folder, one index file of it, or the archive it comes in."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sithctl.artifacts.streams import readable
from sithctl.errors import InputError
from sithctl.sources.concepts import tidy

INDEX = ("index.noun", "index.verb", "index.adj", "index.adv")
ARCHIVES = (".tar.gz", ".tgz")
FIRST = 64  # members of an archive among which its index files are looked for
# Lemma, part of speech, number of senses, …
LINE = re.compile(r"(\S+) [nvasr] \d+ ")


def is_wordnet(path: Path) -> bool:
    """Whether a path is WordNet's: its folder, that folder's parent, an index file, an archive."""
    if path.is_dir():
        return _folder(path) is not None
    return path.name in INDEX or path.name.endswith(ARCHIVES)


def holds_wordnet(archive: Path) -> bool:
    """Whether a file is an archive with WordNet's index files, rather than with images."""
    if not archive.name.endswith(ARCHIVES) or not archive.is_file():
        return False
    try:
        with tarfile.open(archive, "r|*") as tar:
            return any(_index_name(member.name) == INDEX[0] for member in islice(tar, FIRST))
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        return False


def read_wordnet(path: Path) -> list[str]:
    """Lemmas with spaces for underscores, duplicates folded: nouns, verbs, adjectives, adverbs.

    Args:
        path: the folder with ``index.noun`` (and ``index.verb``, ``index.adj``, ``index.adv`` where
            they are there), one of these files for one part of speech, or ``wn3.1.dict.tar.gz``.

    Raises:
        InputError: something is missing, truncated or of another form.
    """
    lemmas = [lemma for name, text in _texts(path) for lemma in _lemmas(name, text)]
    concepts = tidy(lemmas)
    if not concepts:
        raise InputError("no lemmas", path, "give WordNet's database folder")
    return concepts


def _lemmas(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("  "):  # the licence stands above, so indented
            continue
        match = LINE.match(line)
        if not match:
            raise InputError(
                f"line {number} is none of WordNet's", name, "expected a lemma and its senses"
            )
        yield match[1].replace("_", " ")


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """The index files there are, by name, in their order."""
    if path.name.endswith(ARCHIVES):
        found = _members(path)
    else:
        folder = _folder(path) if path.is_dir() else path.parent
        names = INDEX if path.is_dir() else (path.name,)
        if folder is None:
            raise InputError("no index.noun in the folder", path, "give WordNet's database folder")
        present = (folder / name for name in names if (folder / name).exists() or len(names) == 1)
        found = ((str(file), _bytes(file)) for file in present)
    for name, content in found:
        try:
            yield name, content.decode()
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8 text", name, "install or download it again") from error


def _folder(path: Path) -> Path | None:
    return next((p for p in (path, path / "dict") if (p / INDEX[0]).is_file()), None)


def _bytes(file: Path) -> bytes:
    with readable(file) as path:
        return path.read_bytes()


def _index_name(member: str) -> str:
    return member.removeprefix("./").removeprefix("dict/")


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The index files of an archive, read within it: nothing is unpacked, so nothing can land in a
    place of the archive's choosing."""
    contents: dict[str, bytes] = {}
    try:
        with readable(archive) as path, tarfile.open(path) as tar:
            for member in tar:
                name = _index_name(member.name)
                if name in INDEX and member.isfile() and (file := tar.extractfile(member)):
                    contents[name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError("not a whole archive", archive, "download it again") from error
    if INDEX[0] not in contents:
        raise InputError("no dict/index.noun in the archive", archive, "give WordNet's")
    return iter([(f"{archive}: {name}", contents[name]) for name in INDEX if name in contents])
