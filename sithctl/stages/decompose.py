"""Explain singular vectors by concepts: read-out, sparse coding, fidelity (SITH, Sec. 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Codes, Mean, Pool, Spectra
from sithctl.kinds.base import numbers
from sithctl.kinds.shard import Block, Columns
from sithctl.models.device import Memory, check_device
from sithctl.pursuit import SparseCodes, sparse_code
from sithctl.pursuit.coding import BATCH, Report
from sithctl.pursuit.dictionary import Dictionary, Held, Rows, ready
from sithctl.pursuit.search import Tally, products_in
from sithctl.stages.answer import answer
from sithctl.stages.blocks import Wanted, counts, done_at_once, made, rows_of
from sithctl.stages.budget import holds, working_set
from sithctl.stages.options import Options
from sithctl.stages.takes import check_taken
from sithctl.stages.task import Task, pose

ROWS = 1024  # vectors a block: all the work on them is lost when a run is killed


def decompose(
    spectra: Spectra,
    pool: Pool,
    mean: Mean | Literal["none"] | None = None,
    *,
    layers: str | int | Sequence[int] | None = None,
    options: Options | None = None,
    batch_size: int = BATCH,
    device: str = "cpu",
    screen: bool | None = None,
    max_memory: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Report | None = None,
) -> Codes:
    """Explain singular vectors as sparse, non-negative combinations of concepts (SITH, Sec. 3).

    Args:
        spectra: from ``svd``.
        pool: of the same model.
        mean: of the same model's image features; ``"none"`` for no centring of the read-outs; None
            takes the pool's own for an image pool and the bundled one for the bundled model.
        layers: ``20-23``, ``-4-`` or numbers; the last four that the spectra hold when None.
        options: method, sparsity, coherence, rank, side, pole.
        batch_size: vectors in one product; the result does not depend on it.
        device: where the pursuit runs.
        screen: as in ``sparse_code``; the result does not depend on it.
        max_memory: bytes that the process may take in all; the dictionary is held in memory where
            they suffice, and read in every pass where they do not. None for about as much as the
            pool takes. The result does not depend on it.
        progress: called with (steps done, steps in all).
        report: called at the end with what was scored how often.

    Returns:
        Codes with indices and coefficients (heads, rank, poles, K) a layer.

    Raises:
        InputError: a pool or a mean of another model, no mean where one is needed, NaN values,
            or numbers out of range.

    >>> from sithctl import encode_pool, fold, svd
    >>> spectra, pool = svd(fold("scenes", 5)), encode_pool(["crimson", "ocean", "ring"])
    >>> codes = decompose(spectra, pool, options=Options(sparsity=2))
    >>> codes
    Codes(scenes: layer 5, 256 explanations of right vectors, comp with 2 of 3 concepts at most)
    >>> codes.layers[5].indices.shape
    (8, 16, 2, 2)
    """
    check_taken("decompose", Spectra, spectra)
    check_taken("decompose", Pool, pool)
    if mean not in (None, "none"):
        check_taken("decompose", Mean, mean)
    task = pose(spectra, pool, mean, layers, options or Options())
    pursuit = Pursuit(task, batch_size, device, progress, ROWS, screen, max_memory, report)
    return done_at_once(pursuit)


def code(
    targets: Tensor,
    dictionary: Tensor | Dictionary,
    options: Options,
    *,
    batch_size: int = BATCH,
    device: str = "cpu",
    screen: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Report | None = None,
) -> SparseCodes:
    """Sparse codes of (n, features) targets by (M, features) unit rows, as ``options`` say.

    The dictionary is a tensor, or made ready on the device.
    """
    result = sparse_code(
        targets.float().to(device),
        dictionary.to(device) if isinstance(dictionary, Tensor) else dictionary,
        method=options.method,
        sparsity=options.sparsity,
        coherence=options.coherence,
        batch_size=batch_size,
        screen=screen,
        progress=progress,
        report=report,
    )
    return SparseCodes(*(t.cpu() for t in vars(result).values()))


@dataclass(frozen=True)
class Pursuit:
    """A task's explanations, so many vectors at a time.

    Attributes:
        task: what to explain, and by what.
        batch_size: vectors in one product; the result does not depend on it.
        device: where the pursuit runs.
        progress: called with (steps done, steps in all).
        rows: vectors a block; the result does not depend on it, either.
        screen: as in ``sparse_code``; nor on this.
        max_memory: as in ``decompose``; nor on this.
        report: called after the last block with what was scored how often, here and now.
    """

    task: Task
    batch_size: int = BATCH
    device: str = "cpu"
    progress: Callable[[int, int], None] | None = None
    rows: int = ROWS
    screen: bool | None = None
    max_memory: int | None = None
    report: Report | None = None

    def __post_init__(self) -> None:
        check_device(self.device, double=True)
        sparsity, concepts = self.task.options.sparsity, self.task.dictionary.shape[0]
        if sparsity > concepts:
            raise InputError(
                f"the pool has {concepts} concepts, fewer than the sparsity {sparsity}",
                self.task.pool.model.name,
                "lower --sparsity or give a larger pool",
            )

    @property
    def recipe(self) -> dict[str, Any]:
        mean = self.task.mean
        return {
            "spectra": self.task.spectra.digest,
            "pool": self.task.pool.digest,
            "mean": mean.digest if mean else None,
            "layers": self.task.layers,
            "rows": self.rows,
            **self.task.options.document(),
        }

    def blocks(self, wanted: Wanted) -> Iterator[Block]:
        """Which concepts with which coefficients, of so many vectors a block."""
        targets, memory = self.task.targets, Memory()
        dictionary: Dictionary | None = None
        tallies: list[Tally] = []
        for number, start in enumerate(range(0, len(targets), self.rows)):
            columns: Columns | None = None
            if wanted(number):
                if dictionary is None:  # all of it, once, and only where there is work left
                    dictionary = self._dictionary()
                some = targets[start : start + self.rows]
                pursue = partial(self._codes, some, dictionary, start, tallies.append)
                codes = memory.within(pursue, min(self.batch_size, len(some)))
                columns = {name: t.numpy() for name, t in vars(codes).items()}
                columns["start"] = np.array([start])
            yield Block(number, "", columns)
        if self.report is not None:
            self.report(sum(tallies, Tally()))

    def _dictionary(self) -> Dictionary:
        """The pool made ready: held in memory, or to be read in every pass."""
        rows: Rows = self.task.dictionary
        if self.device != "cpu":
            rows = Held(rows.block(slice(None)).to(self.device))
        size, width = rows.shape
        some = min(self.rows, len(self.task.targets))
        dtype = products_in(rows, some, self.screen)
        working = working_set(some, width, self.task.options.sparsity)
        stored = self.task.pool.embeddings.nbytes
        hold = holds(size * width, dtype.itemsize, stored, working, self.max_memory)
        return ready(rows, dtype, hold=hold)

    def _codes(
        self, targets: Tensor, dictionary: Dictionary, before: int, report: Report, batch_size: int
    ) -> SparseCodes:
        def tell(done: int, total: int) -> None:
            if self.progress is not None:
                n = len(self.task.targets)
                self.progress(total * before + done * len(targets), total * n)

        tell(0, self.task.options.sparsity)
        return code(
            targets,
            dictionary,
            self.task.options,
            batch_size=batch_size,
            device=self.device,
            progress=tell,
            report=report,
        )

    def whole(self, blocks: Sequence[Block], *, part: bool = False) -> Codes:
        """Codes with indices and coefficients (heads, rank, poles, K) a layer; in a ``part``
        other parts' vectors have no concepts."""
        n, k = len(self.task.targets), self.task.options.sparsity
        indices = torch.full((n, k), -1)
        coefficients, residual = torch.zeros(n, k), torch.zeros(n)
        for columns in made(blocks):
            start = int(numbers(columns["start"])[0])
            rows = slice(start, start + len(columns["indices"]))
            indices[rows] = torch.from_numpy(columns["indices"])
            coefficients[rows] = torch.from_numpy(columns["coefficients"])
            residual[rows] = torch.from_numpy(columns["residual_norm"])
        # Fidelity of all at once, parts too: so that its products are of the same shapes.
        result = SparseCodes(indices, coefficients, residual)
        return answer(self.task, result, self.task.options.document())

    def seams(self, blocks: Sequence[Block]) -> Columns:
        """Which vectors: the first and the number of each block."""
        done = made(blocks)
        return {"rows": counts(done, "indices"), "starts": rows_of(done, "start")}


def rows_a_block(vectors: int, shards: int) -> int:
    """How many vectors a block has: fewer where there would not be one for every shard."""
    return min(ROWS, max(1, -(-vectors // shards)))
