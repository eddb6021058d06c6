"""The command line as people use it: pipes, files, formats, streams, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Run, Shell


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every stage's file for the bundled model's last layer and a small pool."""
    from typer.testing import CliRunner

    from sithctl.commands.app import app

    folder = tmp_path_factory.mktemp("chain")
    (folder / "words.txt").write_text("crimson\nazure thing\nhoop\nstriped thing\nocean\nsnow\n")
    for words in (
        f"fold scenes --layers 4-5 -o {folder}/heads.safetensors",
        f"svd {folder}/heads.safetensors -o {folder}/spectra.safetensors",
        f"encode-pool {folder}/words.txt -o {folder}/pool.h5",
        f"decompose {folder}/spectra.safetensors --pool {folder}/pool.h5 -o {folder}/codes.h5",
    ):
        result = CliRunner().invoke(app, words.split())
        assert result.exit_code == 0, result.output
    return folder


def test_pipes_give_the_bytes_of_files(shell: Shell, chain: Path) -> None:
    piped = shell(
        "sithctl fold scenes --layers 4-5 | sithctl svd | "
        f"sithctl decompose --pool {chain}/pool.h5 > codes.h5 && "
        "sithctl explain --layer 5 --head 2 --format json < codes.h5 > piped.json && "
        f"sithctl explain {chain}/codes.h5 --layer 5 --head 2 --format json > filed.json && "
        f"cmp codes.h5 {chain}/codes.h5 && cmp piped.json filed.json"
    )
    assert piped.returncode == 0, piped.stderr
    assert piped.stderr == b""


def test_dash_is_a_pipe_for_both_kinds_of_file(shell: Shell, chain: Path) -> None:
    result = shell(
        f"cat {chain}/heads.safetensors | sithctl svd - -o - "
        f"| cmp - {chain}/spectra.safetensors && "
        f"cat {chain}/words.txt | sithctl encode-pool - | cmp - {chain}/pool.h5 && "
        f"cat {chain}/codes.h5 | sithctl explain - --layer 5 --head 0 --sv 0"
    )
    assert result.returncode == 0, result.stderr
    assert b"layer 5" in result.stdout


def test_a_reader_that_closes_early(shell: Shell, chain: Path) -> None:
    explain = f"sithctl explain {chain}/codes.h5 --format jsonl"
    result = shell(f"{explain} | head -1; {explain} | true; echo ${{PIPESTATUS[0]}}")
    first, code = result.stdout.splitlines()
    assert json.loads(first)["layer"] == 4
    assert code == b"141"
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (
            "sithctl svd {}/heads.safetensors >/dev/full",
            3,
            b"cannot write: standard output: No space",
        ),
        ("sithctl decompose - --pool - <{}/spectra.safetensors", 2, b"two inputs from one pipe"),
    ],
)
def test_pipes_that_cannot_be(
    line: str, code: int, words: bytes, shell: Shell, chain: Path
) -> None:
    result = shell(line.format(chain))
    assert result.returncode == code
    assert words in result.stderr
    assert result.stderr.count(b"\n") == 1


def test_chain_of_a_bare_explain_is_that_of_the_stages(run: Run, shell: Shell) -> None:
    staged = shell(
        "sithctl fold scenes --layers 5 | sithctl svd | sithctl decompose | "
        "sithctl explain --layer 5 --head 2 --format jsonl"
    )
    assert staged.returncode == 0, staged.stderr
    bare = run("explain", "--layer", 5, "--head", 2, "--format", "jsonl")
    assert bare.exit_code == 0, bare.output
    assert bare.stdout == staged.stdout.decode()


def test_a_cached_explain_imports_no_torch(run: Run, shell: Shell) -> None:
    assert run("explain", "--layer", 5, "--head", 2).exit_code == 0
    code = (
        "import sys; sys.argv = ['sithctl', 'explain', '--layer', '5', '--head', '2']\n"
        "from sithctl.commands.app import app\n"
        "try: app()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'transformers', 'datasets', 'scipy'} & set(sys.modules)"
    )
    result = shell(f'"{sys.executable}" -c "{code}"')
    assert result.returncode == 0, result.stderr
    assert "layer 5 · head 2" in result.stdout.decode()


def test_help_imports_no_torch(shell: Shell) -> None:
    code = (
        "import sys; sys.argv = ['sithctl', 'explain', '--help']\n"
        "from sithctl.commands.app import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'h5py', 'scipy', 'numpy'}\n"
        "assert not heavy & set(sys.modules)"
    )
    result = shell(f'"{sys.executable}" -c "{code}"')
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("stdin", ["< /dev/null", "<&-", "< /dev/null | cat", ""])
def test_explain_without_codes_runs_the_chain(shell: Shell, run: Run, stdin: str) -> None:
    run("explain", "--layer", 5, "--head", 0)
    result = shell(f"sithctl explain --layer 5 --head 0 --sv 0 --format jsonl {stdin}")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_explain_with_an_empty_pipe_runs_the_chain(shell: Shell) -> None:
    result = shell("true | sithctl explain --layer 5 --head 0 --sv 0 --format jsonl")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert b"standard input is empty" in result.stderr


def test_json_has_the_shape_of_the_contract(run: Run, chain: Path) -> None:
    result = run("explain", chain / "codes.h5", "--layer", 5, "--head", 1, "--format", "json")
    document = json.loads(result.stdout)
    assert set(document) == {"model", "architecture", "parameters", "explanations"}
    assert document["model"] == "scenes"
    assert document["parameters"]["method"] == "comp"
    first = document["explanations"][0]
    assert list(first) == [
        "layer",
        "head",
        "sv",
        "side",
        "pole",
        "singular_value",
        "energy",
        "degenerate",
        "fidelity",
        "concepts",
    ]
    assert set(first["fidelity"]) == {"feature", "residual", "residual_ceiling"}
    assert list(first["concepts"][0]) == ["concept", "coefficient", "index"]
    assert [e["pole"] for e in document["explanations"][:4]] == ["+", "-", "+", "-"]


@pytest.mark.parametrize(("format_", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_tables_for_spreadsheets(run: Run, chain: Path, format_: str, delimiter: str) -> None:
    data = run("explain", chain / "codes.h5", "--format", "jsonl").stdout.splitlines()
    text = run("explain", chain / "codes.h5", "--format", format_).stdout
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    expected = sum(max(1, len(json.loads(line)["concepts"])) for line in data)
    assert len(rows) == expected
    first = json.loads(data[0])
    assert rows[0]["concept"] == first["concepts"][0]["concept"]
    assert float(rows[0]["singular_value"]) == first["singular_value"]


def test_markdown(run: Run, chain: Path) -> None:
    text = run("explain", chain / "codes.h5", "--layer", 5, "--head", 0, "--format", "markdown")
    assert text.stdout.startswith("### Layer 5, head 0\n")
    assert "| sv | pole | σ | energy | fidelity | concepts |" in text.stdout


def test_selections(run: Run, chain: Path) -> None:
    def rows(*words: object) -> list[dict]:
        result = run("explain", chain / "codes.h5", "--format", "jsonl", *words)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    assert {e["layer"] for e in rows()} == {4, 5}
    assert {e["layer"] for e in rows("--layer", "-1")} == {5}
    assert {e["head"] for e in rows("--head", "1-2")} == {1, 2}
    assert {e["sv"] for e in rows("--sv", "0,3")} == {0, 3}
    assert {e["sv"] for e in rows("--top", "2")} == {0, 1}


def test_poles_and_sides(run: Run, chain: Path, tmp_path: Path) -> None:
    for words, pole, side in (
        (("--pole", "-"), "-", "right"),
        (("--pole", "+", "--side", "left"), "+", "left"),
    ):
        out = tmp_path / f"{side}.h5"
        spectra, pool = chain / "spectra.safetensors", chain / "pool.h5"
        result = run("decompose", spectra, "--pool", pool, *words, "-o", out)
        assert result.exit_code == 0, result.output
        shown = run("explain", out, "--format", "jsonl", "--layer", 5, "--head", 0, "--sv", 0)
        (line,) = map(json.loads, shown.stdout.splitlines())
        assert (line["pole"], line["side"]) == (pole, side)
    both = run("explain", chain / "codes.h5", "--format", "jsonl", "--layer", 5, "--head", 0)
    minus = run("decompose", chain / "spectra.safetensors", "--pool", chain / "pool.h5")
    assert both.exit_code == minus.exit_code == 0


@pytest.mark.parametrize("method", ["comp", "nnomp", "omp", "mp", "top-k", "nearest"])
def test_methods(run: Run, chain: Path, tmp_path: Path, method: str) -> None:
    spectra, pool, out = chain / "spectra.safetensors", chain / "pool.h5", tmp_path / "codes.h5"
    words = ("--pool", pool, "--method", method, "--sparsity", 3, "--rank", 2, "-o", out)
    result = run("decompose", spectra, *words)
    assert result.exit_code == 0, result.output
    document = json.loads(run("explain", out, "--format", "json").stdout)
    assert document["parameters"]["method"] == ("nnomp" if method == "omp" else method)
    assert all(len(e["concepts"]) <= 3 for e in document["explanations"])


def test_info(run: Run, chain: Path) -> None:
    text = run("info", chain / "codes.h5").stdout
    for words in ("codes", "scenes", "layers/5/indices", "decompose 0.1.0", "coherence 0.3"):
        assert words in text
    document = json.loads(run("info", chain / "codes.h5", "--format", "json").stdout)
    assert [s["stage"] for s in document["history"]][-1] == "decompose"
    assert document["arrays"]["concepts/labels"].startswith("text")
    assert run("info", chain / "codes.h5", "--check").exit_code == 0


def test_info_check_finds_a_change(run: Run, chain: Path, tmp_path: Path) -> None:
    import h5py

    copy = tmp_path / "codes.h5"
    copy.write_bytes((chain / "codes.h5").read_bytes())
    with h5py.File(copy, "a") as file:
        file["layers/5/coefficients"][0, 0, 0, 0] += 1
    assert run("info", copy, "--check").exit_code == 4


def test_full_history_on_request(run: Run, chain: Path, tmp_path: Path) -> None:
    out = tmp_path / "spectra.safetensors"
    run("svd", chain / "heads.safetensors", "--history", "full", "-o", out)
    last = json.loads(run("info", out, "--format", "json").stdout)["history"][-1]
    assert {"time", "arguments", "folder"} <= set(last)


def test_outputs_are_not_overwritten_unless_told(run: Run, chain: Path, tmp_path: Path) -> None:
    out = tmp_path / "spectra.safetensors"
    out.write_text("mine")
    refused = run("svd", chain / "heads.safetensors", "-o", out)
    assert refused.exit_code == 3
    assert "--force" in refused.stderr
    assert out.read_text() == "mine"
    assert run("svd", chain / "heads.safetensors", "-o", out, "--force").exit_code == 0
    assert out.read_bytes() == (chain / "spectra.safetensors").read_bytes()


def test_usage_errors(run: Run, shell: Shell, chain: Path) -> None:
    assert run("svd", "--rank", "many").exit_code == 2
    assert run("explain", chain / "codes.h5", "--model", "scenes").exit_code == 2
    late = run("explain", chain / "codes.h5", "--sparsity", 3, "--side", "left")
    assert late.exit_code == 2
    assert "leave out --sparsity, --side" in late.stderr
    assert shell(f"sithctl explain --pole - < {chain}/codes.h5").returncode == 2
    wrong = shell("sithctl svd --rank many")
    assert wrong.returncode == 2
    assert wrong.stderr.decode().startswith("sithctl svd: ")
    assert len(wrong.stderr.splitlines()) == 1
    assert shell("sithctl nonsense").returncode == 2
    assert b"Did you mean 'explain'?" in shell("sithctl explian").stderr
    assert run("explain", chain / "codes.h5", "--layer", "five").exit_code == 2
    assert run("mean").exit_code == 2
    assert run("encode-pool", "--concepts", "x").exit_code == 2
    result = shell("sithctl svd")
    assert result.returncode == 2
    assert b"Usage: sithctl svd" in result.stderr
    assert shell("sithctl").returncode == 0


def test_named_pipes_links_and_devices(shell: Shell, chain: Path) -> None:
    result = shell(
        f"sithctl svd {chain}/heads.safetensors --minus <(sithctl fold scenes --layers 4-5) "
        f"-o zero.safetensors && sithctl svd <(cat {chain}/heads.safetensors) -o /dev/null && "
        "touch real && ln -s real link && "
        f"sithctl svd {chain}/heads.safetensors -o link --force && "
        f"test -L link && cmp real {chain}/spectra.safetensors && test -c /dev/null"
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(shell("sithctl info zero.safetensors --format json").stdout)
    assert document["model"]["name"] == "scenes minus scenes"
    assert [s["stage"] for s in document["history"]] == ["fold", "fold", "svd"]


def test_outputs_have_the_usual_permissions(shell: Shell) -> None:
    result = shell("umask 022 && sithctl fold scenes --layers 5 -o h && stat -c %a h")
    assert result.stdout.split() == [b"644"], result.stderr


def test_precisions_and_plain_heads(run: Run, chain: Path, tmp_path: Path) -> None:
    def arrays(name: str) -> dict[str, str]:
        return json.loads(run("info", tmp_path / name, "--format", "json").stdout)["arrays"]

    words = chain / "words.txt"
    assert run("fold", "--dtype", "float64", "--plain", "-o", tmp_path / "h").exit_code == 0
    assert arrays("h")["layers.0.value"].startswith("F64")
    assert run("encode-pool", words, "--store", "float16", "-o", tmp_path / "p").exit_code == 0
    assert arrays("p")["embeddings"].startswith("float16")
    half = ("--dtype", "bfloat16", "--device", "cpu", "--batch-size", 2)
    assert run("encode-pool", words, *half, "-o", tmp_path / "b").exit_code == 0
    document = json.loads(run("info", tmp_path / "b", "--format", "json").stdout)
    assert document["history"][0]["parameters"]["arithmetic"] == "bfloat16"
    assert run("svd", tmp_path / "h", "--device", "cpu", "-o", tmp_path / "s").exit_code == 0
    codes = ("decompose", tmp_path / "s", "--pool", tmp_path / "p", "--device", "cpu")
    assert run(*codes, "-o", tmp_path / "c").exit_code == 0
    parameters = json.loads(run("info", tmp_path / "c", "--format", "json").stdout)["parameters"]
    assert parameters["plain"] is True


def test_batch_size_changes_no_byte(run: Run, chain: Path, tmp_path: Path) -> None:
    for size in (1, 7, 64):
        words = ("--pool", chain / "pool.h5", "--batch-size", size, "-o", tmp_path / f"{size}.h5")
        assert run("decompose", chain / "spectra.safetensors", *words).exit_code == 0
        assert (tmp_path / f"{size}.h5").read_bytes() == (chain / "codes.h5").read_bytes()


def test_terminated_leaves_at_most_its_finished_blocks(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("".join(f"red thing {i}\n" for i in range(400_000)))
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "sithctl", "encode-pool", "-", "-o", "pool.h5"],
        cwd=tmp_path,
        stdin=(tmp_path / "words.txt").open("rb"),
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    time.sleep(8)
    process.terminate()
    assert process.wait(timeout=60) == 143
    left = {p.name for p in tmp_path.rglob("*")}
    assert left - {".pool.h5.part"} == {"tmp", "words.txt"}  # that file is for the next run


def test_info_shows_a_strangers_file_safely(run: Run, tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "evil.h5", "w") as file:
        model = {"name": "\x1b]0;x\x07", "space": "\x1b[2J"}
        document = {"kind": "\x1b[31mpool", "model": model, "history": [], "\x1b[1m[b]": "\x9b"}
        file.attrs["sithctl"] = json.dumps(document)
        file["a\x1b[2Jb"] = [1]
    result = run("info", tmp_path / "evil.h5")
    assert result.exit_code == 0, result.output
    assert not set(result.stdout) & {"\x1b", "\x07", "\x9b"}


def test_quiet_says_nothing(shell: Shell, chain: Path) -> None:
    loud = shell(f"sithctl explain {chain}/codes.h5 --layer 5 --head 0")
    quiet = shell(f"sithctl explain {chain}/codes.h5 --layer 5 --head 0 --quiet")
    assert b"not shown" in loud.stderr
    assert quiet.stderr == b""
    assert quiet.stdout == loud.stdout


def test_debug_shows_the_traceback(shell: Shell) -> None:
    assert b"Traceback" in shell("sithctl info nothing --debug").stderr
    assert b"Traceback" not in shell("sithctl info nothing").stderr


def test_binary_data_stays_off_terminals() -> None:
    import pty

    master, slave = pty.openpty()
    program = Path(sys.executable).parent / "sithctl"
    result = subprocess.run(
        [program, "fold", "scenes"], stdout=slave, stderr=subprocess.PIPE, stdin=slave, check=False
    )
    os.close(slave)
    os.close(master)
    assert result.returncode == 2
    assert b"name a file with -o" in result.stderr


def test_interrupted_leaves_no_half_file(chain: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle of the work: exit 130, one line, and at most what is finished."""
    (tmp_path / "words.txt").write_text("".join(f"red thing {i}\n" for i in range(400_000)))
    program = Path(sys.executable).parent / "sithctl"
    process = subprocess.Popen(
        [program, "encode-pool", "words.txt", "-o", "pool.h5"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    last = errors.decode().strip().splitlines()[-1]
    going_on = last.endswith("run the same command again to go on")
    assert last == "sithctl encode-pool: interrupted" or going_on
    kept = [".pool.h5.part"] if going_on else []
    assert sorted(p.name for p in tmp_path.iterdir()) == [*kept, "words.txt"]


def test_mean_of_every_source(run: Run, pictures: Path, tmp_path: Path) -> None:
    import numpy as np

    assert run("mean", pictures, "-o", tmp_path / "folder.h5").exit_code == 0
    assert run("mean", "scenes", "--limit", 20, "-o", tmp_path / "world.h5").exit_code == 0
    np.save(tmp_path / "vector.npy", np.full(48, 0.1, dtype=np.float32))
    words = ("--embedding", tmp_path / "vector.npy", "-o", tmp_path / "ready.h5")
    assert run("mean", *words).exit_code == 0
    assert run("mean", pictures, *words).exit_code == 2


def test_labels_of_ready_embeddings_may_repeat(run: Run, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "e.npy", np.eye(4, 48, dtype=np.float32))
    (tmp_path / "labels.txt").write_text("a dog\n\na dog\na\x0ccat\n")
    ready = ("--embeddings", tmp_path / "e.npy", "--concepts", tmp_path / "labels.txt")
    assert run("encode-pool", *ready, "-o", tmp_path / "pool.h5").exit_code == 0
    import h5py

    with h5py.File(tmp_path / "pool.h5") as file:
        assert file["concepts"].asstr()[()].tolist() == ["a dog", "", "a dog", "a\x0ccat"]


def test_ready_embeddings(run: Run, chain: Path, tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    np.save(tmp_path / "e.npy", rng.normal(size=(6, 48)).astype(np.float32))
    ready = ("--embeddings", tmp_path / "e.npy", "--concepts", chain / "words.txt")
    assert run("encode-pool", *ready, "-o", tmp_path / "unknown.h5").exit_code == 0
    result = run("decompose", chain / "spectra.safetensors", "--pool", tmp_path / "unknown.h5")
    assert result.exit_code == 0, result.output
    assert "not checked" in result.stderr
    named = ("--model", "scenes", "-o", tmp_path / "named.h5")
    assert run("encode-pool", *ready, *named).exit_code == 0
    result = run("decompose", chain / "spectra.safetensors", "--pool", tmp_path / "named.h5")
    assert result.exit_code == 0
    assert "not checked" not in result.stderr


def test_model_from_the_environment(
    run: Run, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITHCTL_MODEL", str(tiny_clip))
    assert run("fold", "-o", tmp_path / "heads.safetensors").exit_code == 0
    document = json.loads(run("info", tmp_path / "heads.safetensors", "--format", "json").stdout)
    assert document["model"]["name"] == "tiny-clip"


def test_chain_for_another_model(run: Run, tiny_clip: Path, tmp_path: Path) -> None:
    """Any model, a word list as the pool, a mean of its own: one command."""
    (tmp_path / "words.txt").write_text("red\nring\nocean\nbox\nstriped\nsnow\n")
    mean = tmp_path / "mean.h5"
    made = run("mean", "scenes", "--limit", 16, "--model", tiny_clip, "-o", mean)
    assert made.exit_code == 0, made.output
    words = ("--model", tiny_clip, "--pool", tmp_path / "words.txt", "--format", "jsonl")
    result = run("explain", *words, "--mean", mean)
    assert result.exit_code == 0, result.output
    layers = {json.loads(line)["layer"] for line in result.stdout.splitlines()}
    assert layers == {1, 2, 3, 4}
    assert run("explain", *words, "--mean", "none").exit_code == 0
    refused = run("explain", *words)
    assert refused.exit_code == 3
    assert "--mean" in refused.stderr


def test_layers_cached_one_by_one_are_one_set_of_codes() -> None:
    """Codes of layers that were made apart, joined: what is made at once."""
    import numpy as np

    from sithctl.commands.chain import Chain
    from sithctl.stages.explain import explain
    from sithctl.stages.joining import joined
    from sithctl.stages.options import Options

    options = Options(rank=2, method="nnomp")
    apart = [Chain("scenes", None, None, options).codes(str(n))[0] for n in (4, 5)]
    together = joined(apart)
    at_once = joined(Chain("scenes", None, None, Options(rank=2, method="nnomp")).codes("4-5"))
    assert explain(together) == explain(at_once)
    assert (np.diff(together.concepts.indices) > 0).all()
    assert set(together.model.layers) == {4, 5}
