"""Sparse coding against golden codes, a float64 brute force, SciPy, and its own promises."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sithctl.errors import InputError
from sithctl.pursuit import METHODS, sparse_code
from sithctl.pursuit import certify as certify_module
from sithctl.pursuit import dictionary as dictionary_module
from sithctl.pursuit import screen as screen_module
from sithctl.pursuit import search as search_module
from sithctl.pursuit.dictionary import Held, ready
from sithctl.pursuit.nnls import nnls


def centred(rows: Tensor) -> Tensor:
    unit = F.normalize(rows.double(), dim=-1)
    return F.normalize(unit - unit.mean(0), dim=-1).float()


def unit(n: int, d: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, d, generator=generator), dim=-1)


class Read:
    """Rows that are not in memory: no tensor of them can be had."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self.shape: tuple[int, ...] = tuple(rows.shape)
        self.device = rows.device

    def block(self, rows: slice) -> Tensor:
        assert 0 <= rows.start < rows.stop <= len(self._rows)
        return self._rows[rows].clone()

    def take(self, indices: Tensor) -> Tensor:
        return self._rows[indices]


def dense(indices: Tensor, coefficients: Tensor, size: int) -> Tensor:
    out = torch.zeros(len(indices), size + 1)
    return out.scatter_(1, torch.where(indices < 0, size, indices), coefficients)[:, :size]


GOLDEN_METHODS = ["mp", "nnomp", "top-k", "comp-0.1", "comp-0.3", "comp-0.4"]


@pytest.mark.parametrize("name", GOLDEN_METHODS)
@pytest.mark.parametrize("sparsity", [1, 5, 10])
def test_golden_codes(golden: dict[str, Tensor], name: str, sparsity: int) -> None:
    method, _, weight = name.partition("-") if name.startswith("comp") else (name, "", "0.3")
    dictionary = centred(golden["coding.pool_embeddings"])
    codes = sparse_code(
        golden["coding.targets"],
        dictionary,
        method=method,
        sparsity=sparsity,
        coherence=float(weight),
    )
    expected = golden[f"coding.{name}.k{sparsity}"]
    ours = dense(codes.indices, codes.coefficients, len(dictionary))
    assert torch.equal(ours > 0, expected > 0)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def brute_force(target: np.ndarray, dictionary: np.ndarray, k: int, weight: float) -> dict:
    """COMP as written down, in float64: every score computed, SciPy's NNLS at every step."""
    chosen: list[int] = []
    coefficients = np.zeros(0)
    for _ in range(k):
        residual = target - coefficients @ dictionary[chosen] if chosen else target
        scores = dictionary @ residual
        if chosen:
            scores = scores + weight * (dictionary @ dictionary[chosen].T).mean(1)
        scores[chosen] = -np.inf
        chosen.append(int(scores.argmax()))
        coefficients, _ = scipy.optimize.nnls(dictionary[chosen].T, target)
    return dict(zip(chosen, coefficients, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    d=st.integers(8, 16),  # more than k: else the residual is 0 and any coefficients will do
    m=st.integers(6, 60),
    k=st.integers(1, 6),
    weight=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
)
def test_comp_equals_a_float64_brute_force(
    seed: int, d: int, m: int, k: int, weight: float
) -> None:
    targets, dictionary = unit(5, d, seed), unit(m, d, seed + 1)
    codes = sparse_code(targets, dictionary, sparsity=k, coherence=weight)
    for row in range(5):
        expected = brute_force(
            targets[row].double().numpy(), dictionary.double().numpy(), k, weight
        )
        found = {
            i: c
            for i, c in zip(
                codes.indices[row].tolist(), codes.coefficients[row].tolist(), strict=True
            )
            if i >= 0
        }
        # Where a coefficient is a rounding away from 0, it may be there or not.
        for index in found.keys() | expected.keys():
            assert found.get(index, 0.0) == pytest.approx(expected.get(index, 0.0), abs=1e-4)


def test_comp_without_coherence_is_nnomp() -> None:
    targets, dictionary = unit(30, 16, 1), unit(400, 16, 2)
    comp = sparse_code(targets, dictionary, method="comp", coherence=0.0)
    nnomp = sparse_code(targets, dictionary, method="nnomp")
    alias = sparse_code(targets, dictionary, method="omp")
    for other in (nnomp, alias):
        assert torch.equal(comp.indices, other.indices)
        assert torch.equal(comp.coefficients, other.coefficients)


def test_nnomp_coefficients_are_those_of_scipy() -> None:
    targets, dictionary = unit(20, 12, 3), unit(200, 12, 4)
    codes = sparse_code(targets, dictionary, method="nnomp", sparsity=8)
    for row in range(20):
        used = codes.indices[row] >= 0
        concepts = dictionary[codes.indices[row][used]].double().numpy()
        expected, norm = scipy.optimize.nnls(concepts.T, targets[row].double().numpy())
        np.testing.assert_allclose(codes.coefficients[row][used], expected, atol=1e-6)
        assert float(codes.residual_norm[row]) == pytest.approx(norm, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_bits_for_every_batch_size(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, dictionary = unit(70, 24, 5), unit(3000, 24, 6)
    results = []
    for batch, block in itertools.product((1, 7, 64), (97, 4096)):
        monkeypatch.setitem(search_module.SCORES, "cpu", block * batch)
        results.append(sparse_code(targets, dictionary, method=method, batch_size=batch))
    for other in results[1:]:
        assert torch.equal(results[0].indices, other.indices)
        assert torch.equal(results[0].coefficients, other.coefficients)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_bits_screened_or_not(method: str) -> None:
    targets, dictionary = unit(70, 48, 30), centred(unit(2500, 48, 31) + unit(1, 48, 32))
    plain = sparse_code(targets, dictionary, method=method, screen=False)
    screened = sparse_code(targets, dictionary, method=method, screen=True, batch_size=33)
    for name, value in vars(plain).items():
        assert torch.equal(value, getattr(screened, name))


def hard_rows(n: int, d: int, kind: str, seed: int) -> Tensor:
    """Dictionaries on which rounding loses its way."""
    rows = unit(n, d, seed)
    generator = torch.Generator().manual_seed(seed)
    if kind == "duplicates":
        return rows[torch.randint(0, n // 4 + 1, (n,), generator=generator)]
    if kind == "near ties":
        return F.normalize(rows[:1] + 1e-7 * rows, dim=1)
    if kind == "cones":
        return F.normalize(
            rows[torch.randint(0, min(2, n), (n,), generator=generator)] + 0.02 * rows
        )
    if kind == "norms":
        return rows * 10.0 ** torch.randint(-30, 19, (n, 1), generator=generator)
    if kind == "tiny":
        return rows * 1e-36
    if kind == "huge":
        return rows * 1e36
    if kind == "opposite":  # every score is negative
        return -rows.abs()
    return rows


KINDS = ["plain", "duplicates", "near ties", "cones", "norms", "tiny", "huge", "opposite"]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 20),
    m=st.integers(1, 300),
    d=st.integers(1, 40),
    k=st.integers(1, 4),
    power=st.integers(-40, 40),
    screen=st.booleans(),
    batch=st.integers(1, 20),
    block=st.sampled_from([50, 4000]),
    held=st.sampled_from([1, 10_000]),
    read=st.booleans(),
)
def test_the_best_are_those_of_float64(
    seed: int, kind: str, n: int, m: int, d: int, k: int, power: int, screen: bool, batch: int,
    block: int, held: int, read: bool,
) -> None:  # fmt: skip
    """The k best that are not taken, by exact score and then by index, each time."""
    dictionary = hard_rows(m, d, kind, seed)
    queries = unit(n, d, seed + 1).double()
    if kind == "opposite":
        queries = queries.abs()
    queries[::3] = F.normalize(dictionary[:1].double(), dim=1)
    queries[1::5] = 0
    queries *= 10.0**power
    taken = torch.randint(-1, m, (n, 2), generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(search_module.SCORES, "cpu", block)
        patch.setattr(search_module, "PAIRS", held)
        patch.setattr(dictionary_module, "READ", block)
        rows = Read(dictionary) if read else Held(dictionary)
        made = search_module.prepare(rows, n, screen, hold=not read)
        best, _ = search_module.best_concepts(queries, made, k, taken, batch_size=batch)
    rows, columns = torch.meshgrid(torch.arange(n), torch.arange(m), indexing="ij")
    flat = certify_module.exact_scores(queries, Held(dictionary), rows.flatten(), columns.flatten())
    scores = flat.view(n, m)
    for row in range(n):
        left = [i for i in range(m) if i not in taken[row].tolist()]
        order = sorted(left, key=lambda i: (-float(scores[row, i]), i))[:k]
        order += [-1] * (k - len(order))
        assert best.indices[row].tolist() == order


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 40),
    d=st.integers(1, 800),
)
def test_no_score_is_wrong_by_more_than_its_bound(seed: int, kind: str, n: int, d: int) -> None:
    dictionary, queries = hard_rows(200, d, kind, seed), unit(n, d, seed + 1).double()
    for dtype in (torch.bfloat16, torch.float32):
        made = ready(Held(dictionary), dtype)
        scan = screen_module.Scan(queries, made, 1, torch.zeros(n, 0, dtype=torch.long))
        scores = torch.mm(made.block(slice(None)), scan.low.T).double()
        exact = dictionary.double() @ queries.T
        slack = scan._slack(slice(None), slice(None)).double()
        assert bool(((scores - exact).abs() <= scan.rounding * scores.abs() + slack).all())


def test_what_was_scored_again_is_told_and_little() -> None:
    targets, dictionary = unit(64, 256, 40), unit(4000, 256, 41)
    tallies: list = []
    sparse_code(targets, dictionary, screen=True, sparsity=3, report=tallies.append)
    sparse_code(targets, dictionary, screen=False, sparsity=3, report=tallies.append)
    screened, plain = tallies
    assert screened.screened == plain.plain == 64 * 4000 * 3
    assert plain.screened == screened.plain == 0
    assert 64 * 3 <= screened.certified <= screened.rescored + 64 * 3 < 64 * 3 * 60


def test_a_target_does_not_depend_on_its_neighbours() -> None:
    targets, dictionary = unit(40, 24, 7), unit(900, 24, 8)
    whole = sparse_code(targets, dictionary)
    alone = sparse_code(targets[17:18], dictionary)
    assert torch.equal(whole.indices[17:18], alone.indices)
    assert torch.equal(whole.coefficients[17:18], alone.coefficients)


@pytest.mark.parametrize("method", METHODS)
def test_equal_concepts_go_to_the_lowest_index(method: str) -> None:
    dictionary = unit(50, 8, 9).repeat(3, 1)
    codes = sparse_code(unit(10, 8, 10), dictionary, method=method, sparsity=1)
    assert int(codes.indices.max()) < 50


def test_near_ties_are_settled_exactly() -> None:
    """Two concepts closer than float32 products can tell: the better one in exact arithmetic."""
    target = unit(1, 512, 11)
    base = unit(1, 512, 12)
    dictionary = base.repeat(64, 1)
    dictionary[np.arange(64), np.arange(64)] += torch.linspace(-3e-8, 3e-8, 64)
    exact = dictionary.double() @ target[0].double()
    codes = sparse_code(target, dictionary, method="nearest", sparsity=3)
    best = torch.argsort(exact, descending=True, stable=True)[:3]
    assert codes.indices[0].tolist() == best.tolist()


def test_matching_pursuit_picks_no_concept_twice() -> None:
    codes = sparse_code(unit(20, 4, 13), unit(12, 4, 14), method="mp", sparsity=6)
    for row in codes.indices.tolist():
        used = [i for i in row if i >= 0]
        assert len(used) == len(set(used))


def test_nearest_keeps_similarities_in_rank_order() -> None:
    targets, dictionary = unit(6, 5, 15), unit(40, 5, 16)
    codes = sparse_code(targets, dictionary, method="nearest", sparsity=40)
    expected = (targets.double() @ dictionary.double().T).sort(1, descending=True).values
    torch.testing.assert_close(codes.coefficients, expected.float(), atol=1e-6, rtol=0)
    assert bool((codes.coefficients < 0).any())


def test_a_concept_of_no_weight_leaves_only_at_the_end() -> None:
    """Where a later pick pushes an earlier one to 0, it is gone from the explanation, was not
    picked again, and counted in COMP's mean until the end."""
    seen = 0
    for seed in range(60):
        targets, dictionary = unit(1, 12, seed), unit(60, 12, seed + 1000)
        steps = brute_force(targets[0].double().numpy(), dictionary.double().numpy(), 8, 0.3)
        dropped = [index for index, weight in steps.items() if weight == 0]
        if not dropped:
            continue
        seen += 1
        codes = sparse_code(targets, dictionary, sparsity=8)
        used = codes.indices[0][codes.indices[0] >= 0].tolist()
        assert sorted(used) == sorted(set(steps) - set(dropped))
        assert codes.coefficients[0, len(used) :].tolist() == [0.0] * (8 - len(used))
    assert seen >= 3


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), k=st.integers(1, 12), d=st.integers(2, 14))
def test_nnls_equals_scipy(seed: int, k: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    matrices, targets = rng.normal(size=(4, d, k)), rng.normal(size=(4, d))
    gram = torch.from_numpy(np.einsum("ndk,ndj->nkj", matrices, matrices))
    moments = torch.from_numpy(np.einsum("ndk,nd->nk", matrices, targets))
    ours = nnls(gram, moments).numpy()
    for i in range(4):
        expected, norm = scipy.optimize.nnls(matrices[i], targets[i])
        assert np.linalg.norm(matrices[i] @ ours[i] - targets[i]) == pytest.approx(norm, abs=1e-7)
        if k <= d:
            np.testing.assert_allclose(ours[i], expected, atol=1e-6)


def test_nnls_judges_convergence_by_row() -> None:
    rng = np.random.default_rng(0)
    matrices, targets = rng.normal(size=(50, 20, 10)), rng.normal(size=(50, 20))
    gram = torch.from_numpy(np.einsum("ndk,ndj->nkj", matrices, matrices))
    moments = torch.from_numpy(np.einsum("ndk,nd->nk", matrices, targets))
    together = nnls(gram, moments)
    alone = torch.cat([nnls(gram[i : i + 1], moments[i : i + 1]) for i in range(50)])
    assert torch.equal(together, alone)


MEMORY = """
import resource, torch
import torch.nn.functional as F
from sithctl.pursuit import sparse_code
small, large = (F.normalize(torch.randn(m, 8), dim=-1) for m in (1000, 40_000))
targets = torch.cat([F.normalize(torch.randn(1500, 8), dim=-1), large[:500]])
for method in ("comp", "nnomp"):
    sparse_code(targets, small, method=method, sparsity=3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for method in ("comp", "nnomp"):
    sparse_code(targets, large, method=method, sparsity=3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_flat_as_the_pool_grows() -> None:
    """No targets × concepts matrix: 2,000 × 40,000 scores would be 320 MB. Some targets are
    concepts themselves, and leave a residual of 0 on which all concepts tie."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, check=True)
    assert int(done.stdout) < 120 * 1024


def test_a_target_that_is_a_concept() -> None:
    dictionary = unit(300, 6, 20)
    for method in ("comp", "nnomp", "mp"):
        codes = sparse_code(dictionary[:40], dictionary, method=method, sparsity=3)
        assert codes.indices[:, 0].tolist() == list(range(40))
        torch.testing.assert_close(codes.coefficients[:, 0], torch.ones(40), atol=1e-3, rtol=0)
        assert float(codes.residual_norm.max()) < 1e-3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "magic"}, "no method magic"),
        ({"sparsity": 0}, "sparsity 0"),
        ({"sparsity": 99}, "99 with 40 concepts"),
        ({"coherence": -1.0}, "coherence"),
    ],
)
def test_refuses_what_makes_no_sense(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sparse_code(unit(3, 5, 1), unit(40, 5, 2), **change)


def test_refuses_nan_and_shapes_that_do_not_fit() -> None:
    broken = unit(40, 5, 2)
    broken[3, 1] = float("nan")
    with pytest.raises(InputError, match="dictionary"):
        sparse_code(unit(3, 5, 1), broken)
    with pytest.raises(InputError, match="do not fit"):
        sparse_code(unit(3, 5, 1), unit(40, 6, 2))


@pytest.mark.parametrize("method", ["comp", "nnomp", "top-k"])
@pytest.mark.parametrize("size", [3, 5, 8])
def test_all_of_a_small_centred_pool(method: str, size: int) -> None:
    """The rows of a centred pool add up to 0 when weighted: with all of them selected the Gram
    matrix is singular, and the coefficients must not be rounding's."""
    from scipy.optimize import nnls as scipy_nnls

    from sithctl.stages.centring import centre_pool

    rng = np.random.default_rng(size)
    raw = rng.normal(size=(size, 48)).astype(np.float32)
    dictionary, _ = centre_pool(raw)
    unit = torch.nn.functional.normalize(torch.from_numpy(raw).double(), dim=-1)
    exact = torch.nn.functional.normalize(unit - unit.mean(0), dim=-1).numpy()
    targets = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(64, 48))), dim=-1)
    codes = sparse_code(targets.float(), dictionary, method=method, sparsity=size)
    assert codes.coefficients.max() < 10
    for target, indices, weights in zip(
        targets.numpy(), codes.indices, codes.coefficients.double(), strict=True
    ):
        used = indices >= 0
        ours = np.linalg.norm(target - weights[used].numpy() @ exact[indices[used].numpy()])
        _, best = scipy_nnls(exact.T, target)
        assert ours == pytest.approx(best, abs=1e-5)
