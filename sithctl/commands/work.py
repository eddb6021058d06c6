"""How a long stage's blocks are done: kept as they come, taken up again, shared out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from sithctl.artifacts.cache import key
from sithctl.artifacts.finished import Finished, beside
from sithctl.commands import ranks
from sithctl.commands.chain import model_digest
from sithctl.commands.image_options import note_skipped
from sithctl.commands.options import named_model
from sithctl.commands.writing import write
from sithctl.errors import InputError
from sithctl.kinds import Artefact
from sithctl.kinds.shard import Block, Shard
from sithctl.stages.batches import skipped_of
from sithctl.stages.blocks import Job, Share, made, rows_of
from sithctl.views.console import output as console

if TYPE_CHECKING:
    from sithctl.sources.images import Images

T = TypeVar("T", bound=Artefact)


class Work:
    """One job's blocks: those of this share, of this rank, and not finished already.

    Attributes:
        count: how many blocks have come by.
        run: what the inputs of all of them say.
    """

    def __init__(self, share: Share, finished: Finished | None) -> None:
        self.share, self.finished = share, finished
        self.team, self.ranks = ranks.team(), ranks.world()
        numbers = list(finished) if finished is not None else []
        self.done = frozenset(self.team.meet(numbers)[0] if self.team else numbers)
        self.count, self.run = 0, hashlib.sha256()

    def wanted(self, number: int) -> bool:
        """Whether this process is to do a block."""
        if number not in self.share or number in self.done:
            return False
        return self.team is None or number // self.share.of % self.ranks == ranks.rank()

    def through(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The share's blocks, done now or before; on other ranks than 0 none."""
        waiting: list[Block] = []
        for block in blocks:
            self.count += 1
            self.run.update(f"{block.said}\n".encode())
            if block.number in self.share:
                waiting.append(block)
            if len(waiting) == self.ranks:
                yield from self._settled(waiting)
                waiting = []
        yield from self._settled(waiting)
        self._agree()

    def _settled(self, round_: list[Block]) -> Iterator[Block]:
        """A block of every rank: collected on rank 0, and kept."""
        new = [block for block in round_ if block.columns is not None]
        if self.team and any(block.number not in self.done for block in round_):
            self.team.meet()  # so that a rank's failure is told before others wait for its block
            new = [block for some in self.team.hand_over(new) for block in some]
        if ranks.rank() > 0:
            return
        fresh = {block.number: block for block in new}
        for block in round_:
            yield self._kept(block, fresh)

    def _kept(self, block: Block, fresh: Mapping[int, Block]) -> Block:
        if block.number in fresh:
            if self.finished is not None:
                self.finished.add(fresh[block.number])
            return fresh[block.number]
        assert self.finished is not None
        stored = self.finished.block(block.number)
        if stored.said != block.said:
            raise InputError(
                "the source has changed since a run was left unfinished",
                self.finished.path,
                "bring back what it was, or delete this file to start over",
            )
        return stored

    def _agree(self) -> None:
        if self.team and len(set(self.team.meet((self.count, self.run.hexdigest())))) > 1:
            what = "the ranks do not read the same source"
            raise InputError(what, None, "give every machine the same files")


def encode(job: Job[T], stage: str, context: typer.Context, images: Images | None = None) -> None:
    """Do a job that runs a model, and say what it left out.

    Args:
        job: the stage.
        stage: its name.
        context: of the command, with its options.
        images: the source, where it is of images.
    """
    beside_it: dict[str, Any] = {"weights": model_digest(named_model(context.params["model"]))}
    if images is not None:
        beside_it["images"] = [images.name, asdict(images.wanted)]
    stamp = None if images is None else images.stamp()
    blocks = carry_out(job, stage, context, beside_it, stamp)
    if images is not None and blocks:
        done = made(blocks)
        note_skipped(skipped_of(done), int(rows_of(done, "read").sum()))


def carry_out(
    job: Job[T],
    stage: str,
    context: typer.Context,
    beside_it: Mapping[str, Any],
    stamp: Any = None,
) -> list[Block]:
    """Do a job's blocks, all or a shard's, and write the result; going on where a run was killed.

    Args:
        job: the stage.
        stage: its name.
        context: of the command: ``output``, ``force``, ``shard``, ``history``.
        beside_it: what changes the result beside the job's recipe, such as a model's weights.
        stamp: changes when the source does.

    Returns:
        The blocks; none on other ranks than 0.
    """
    given = context.params
    target, history = given["output"], given["history"]
    share = Share() if given["shard"] is None else Share.parse(given["shard"])
    common = {"stage": stage, **job.recipe, **beside_it}
    own = {"shard": f"{share.number}/{share.of}", "source": stamp, "version": key("version", {})}
    with _finished(target, common | own, given["force"]) as finished:
        work = Work(share, finished)
        blocks = list(work.through(job.blocks(work.wanted)))
        if ranks.rank() > 0:
            return []
        result = _whole(job, blocks, finished, part=given["shard"] is not None)
        if given["shard"] is None:
            write(result, target, history)
            return blocks
        said = {"said": work.run.hexdigest(), **common}
        shard = Shard(share.number, share.of, key("run", said), work.count)
        write(result, target, history, shard=shard, seams=job.seams(blocks))
        return blocks


def _whole(job: Job[T], blocks: list[Block], finished: Finished | None, *, part: bool) -> T:
    """The result; where there is none, as of images that cannot be read, nothing is kept."""
    try:
        return job.whole(blocks, part=part)
    except InputError:
        if finished is not None:
            finished.forget()
        raise


def _how_far(finished: Finished) -> str:
    return f"{len(finished)} blocks are finished: run the same command again to go on"


@contextmanager
def _finished(
    target: str | None, recipe: Mapping[str, Any], force: bool
) -> Iterator[Finished | None]:
    """The blocks that a target has already; Ctrl-C says how to go on."""
    path = beside(target)
    if path is None or ranks.rank() > 0:
        yield None
        return
    finished = Finished(path, recipe, force=force)
    if len(finished):
        console.note(f"note: going on after {len(finished)} finished blocks")
    done = False
    try:
        yield finished
        done = True
    except KeyboardInterrupt:
        if not len(finished):
            raise
        raise KeyboardInterrupt(f"interrupted: {_how_far(finished)}") from None
    except SystemExit:  # SIGTERM, of which batch systems are fond
        if len(finished):
            console.note(f"note: terminated: {_how_far(finished)}")
        raise
    finally:
        finished.close(done=done)
