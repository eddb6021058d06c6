"""Scale singular values in a checkpoint's own tensors (SITH, Sec. 3.4; method: editing).

Only the writer changes: the reader, the norm and the architecture stay as they are, so the result
has the same tensor names, shapes and types, and loads in the library that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Change, Identity, Plan
from sithctl.kinds.shown import Brief, Columns, Shown, number_of, numbered
from sithctl.models.locate import Named
from sithctl.models.model import LayerWeights, Model
from sithctl.models.opening import open_model
from sithctl.stages.fold import Factors, fold_layer, layer_digest
from sithctl.stages.svd import svd_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sithctl.kinds import Delta

NEGLIGIBLE = 1e-12  # of a weight, in float64


@dataclass(frozen=True, repr=False)
class LayerEdit(Brief):
    """What happened to one layer.

    Attributes:
        before: (heads, head_dim), singular values found.
        wanted: (heads, head_dim), of the edited value-output matrices, descending: |α σ|.
        reader: (heads, width, head_dim), A, which stays.
        writer: (heads, head_dim, width), B' in exact arithmetic, folded as B is.
        touched: share of the layer's value-output energy Σσ² that its changed vectors had.
        moved: energy of what the edit takes or adds, Σ(1 − α)²σ², as a share of the same.
    """

    before: Tensor
    wanted: Tensor
    reader: Tensor
    writer: Tensor
    touched: float
    moved: float


@dataclass(frozen=True, repr=False)
class Edit(Shown):
    """A state dict's changed tensors.

    Attributes:
        model: whose tensors these are, with a digest for every layer touched.
        plan: what was asked for.
        changed: new values by tensor name, in the checkpoint's own types.
        replaced: what they stand in place of.
        layers: by number.
    """

    model: Identity
    plan: Plan
    changed: dict[str, Tensor]
    replaced: dict[str, Tensor]
    layers: dict[int, LayerEdit]

    @property
    def delta(self) -> Delta:
        """Its tensors as an artefact, to save, to put on a copy of the model and to take off."""
        from sithctl.stages.delta import delta_of

        return delta_of(self)

    def __repr__(self) -> str:
        changes = number_of(len(self.plan.changes), "change")
        tensors = number_of(len(self.changed), "tensor")
        where = numbered("layer", self.layers)
        return f"Edit({self.model.name}: {changes} in {where}, {tensors})"

    def _view(self, width: int) -> RenderableType:
        from sithctl.views.edit import preview

        return preview(self, self.model.name or "the model", None)

    def _columns(self) -> Columns:
        from sithctl.views.edit import as_records
        from sithctl.views.frames import of_records

        return of_records(as_records(self, None)["changes"])


def edit(model: Named | Model, plan: Plan, *, tower: str = "vision") -> Edit:
    """Scale singular values: a model's tensors in, its changed tensors out (SITH, Sec. 3.4).

    Args:
        model: as on the command line, a path, or opened.
        plan: which vectors, by which factors; applied at once.
        tower: ``vision``, or ``text`` of a model that has one; of an opened model its own.

    Returns:
        The changed tensors by name, in the checkpoint's own shapes and types, and those that they
        replace; ``load_state_dict(edit.changed, strict=False)`` puts them on a loaded model.

    Raises:
        InputError: the plan is of another model or of vectors that are not there; LayerScale is 0
            where a change is asked; there is no place for a head's constant; the type cannot
            hold the new weights.

    >>> found = edit("scenes", Plan.of([Change(5, 2, 0, scale=0.0)]))
    >>> found
    Edit(scenes: 1 change in layer 5, 2 tensors)
    >>> [tuple(tensor.shape) for tensor in found.changed.values()]
    [(128, 128), (128,)]
    """
    if not isinstance(plan, Plan):
        what = f"not {type(plan).__name__}"
        raise InputError("edit takes a plan", what, "make one with Plan.of, or load its file")
    opened = open_model(model, tower=tower)
    check_plan(opened, plan)
    changed: dict[str, Tensor] = {}
    layers: dict[int, LayerEdit] = {}
    for layer in plan.layers:
        weights = opened.layer(layer)
        spectrum = Spectrum.of(opened, weights)
        alpha = _alpha(plan.of_layer(layer), spectrum.sigma)
        new = alpha.unsqueeze(-1) * spectrum.right
        layers[layer] = layer_edit(spectrum, new)
        changed |= rewrite(opened, layer, weights, spectrum, new)
    return finished(opened, plan, changed, layers)


def finished(
    model: Model, plan: Plan, changed: dict[str, Tensor], layers: dict[int, LayerEdit]
) -> Edit:
    """An edit with what it replaces and whose it is."""
    replaced = {name: model.checkpoint.stored(name) for name in changed}
    return Edit(identity(model, sorted(layers)), plan, changed, replaced, layers)


def layer_edit(spectrum: Spectrum, new: Tensor) -> LayerEdit:
    """What a layer becomes when its right singular vectors become ``new``."""
    writer, right = spectrum.factors.writer, spectrum.right
    after = writer + (writer @ right.mT) @ (new - right)
    moved = (new != right).any(-1)
    squares = spectrum.sigma.square()
    whole = float(squares.sum())
    touched = float(squares[moved].sum()) / whole if whole else 0.0
    difference = squares * (new - right).square().sum(-1)
    share = float(difference.sum()) / whole if whole else 0.0
    wanted = svd_of(spectrum.factors.reader, after)[1]
    return LayerEdit(spectrum.sigma, wanted, spectrum.factors.reader, after, touched, share)


@dataclass(frozen=True)
class Spectrum:
    """One layer's heads and their spectrum in float64.

    Attributes:
        factors: folded.
        sigma: (heads, head_dim), descending.
        right: (heads, head_dim, width), rows v.
    """

    factors: Factors
    sigma: Tensor
    right: Tensor

    @classmethod
    def of(cls, model: Model, weights: LayerWeights) -> Spectrum:
        factors = fold_layer(weights, model.heads, centre=model.centred)
        _, sigma, right = svd_of(factors.reader, factors.writer)
        return cls(factors, sigma, right)


def rewrite(
    model: Model, layer: int, weights: LayerWeights, spectrum: Spectrum, new: Tensor
) -> dict[str, Tensor]:
    """The tensors of a layer in which each right singular vector has become another.

    B' = B + (B Vᵀ)(V' − V) on row vectors; for V' = α V that is B (I − Vᵀ diag(1 − α) V). B is
    centred here: every v is orthogonal to the ones, but for those of σ 0, which nothing may move.
    Heads whose vectors stay as they are keep their bytes.

    Args:
        new: (heads, head_dim, width), V'.
    """
    width = spectrum.right.shape[-1]
    change = (spectrum.factors.writer @ spectrum.right.mT) @ (new - spectrum.right)
    moved = ((new != spectrum.right).any(-1)).any(-1)
    change[~moved] = 0.0
    if weights.layer_scale is not None:
        change = _unscaled(model, layer, weights.layer_scale, change)
    names, stored = model.output_names(layer), model.checkpoint.stored
    result = {names.weight: _cast(model, names.weight, change.reshape(-1, width).T)}
    # Of the weights as they are rounded; LayerScale comes after the bias as it does after them.
    rounded = result[names.weight].double() - stored(names.weight).double()
    constant = -rounded @ spectrum.factors.constant.reshape(-1)
    if names.bias is not None:
        result[names.bias] = _cast(model, names.bias, constant)
    elif float(constant.abs().max()) > NEGLIGIBLE:
        raise InputError(
            f"layer {layer} has a value bias and no output bias to hold what heads always write",
            model.name,
            "leave this layer out",
        )
    return {name: t for name, t in result.items() if not torch.equal(t, stored(name))}


def check_plan(model: Model, plan: Plan) -> None:
    """Refuse a plan of another model, or of vectors that are not there."""
    if not plan.changes:
        raise InputError("nothing to change", model.name, "name vectors, e.g. --set 5.2.0=0")
    for change in plan.changes:
        _check_change(model, change)
    if plan.model is not None:
        check_origin(model, plan.model, plan.layers, "the plan was")


def check_origin(model: Model, made_for: Identity, layers: Sequence[int], what: str) -> None:
    """Refuse what was made for other weights: by each layer's digest, or where it has none, as for
    a row added by hand, by the feature space.

    Args:
        what: named in the error: ``the plan was``.
    """
    for layer in layers:
        known = made_for.layers.get(layer)
        if known is None:
            fits = made_for.space in (None, model.space)
        else:
            here = layer < model.layers
            fits = here and known == layer_digest(model.layer(layer), model.heads)
        if not fits:
            raise InputError(
                f"{what} made for other weights (layer {layer} of {made_for.name})",
                model.name,
                "apply it to the model it was made for, or make it again",
            )


def _check_change(model: Model, change: Change) -> None:
    sizes = (("layer", change.layer, model.layers), ("head", change.head, model.heads))
    for noun, number, count in (*sizes, ("singular vector", change.sv, model.head_dim)):
        if not 0 <= number < count:
            raise InputError(f"no {noun} {number}", model.name, f"it has {noun}s 0–{count - 1}")
    if not abs(change.scale) < float("inf"):  # NaN too
        where = ".".join(map(str, change.place))
        raise InputError(f"the factor {change.scale}", where, "give a finite number")


def identity(model: Model, layers: list[int]) -> Identity:
    """The model's name and space, and a digest for each of these layers."""
    digests = {layer: layer_digest(model.layer(layer), model.heads) for layer in layers}
    return Identity(model.name, model.space, digests)


def _alpha(changes: list[Change], sigma: Tensor) -> Tensor:
    alpha = torch.ones_like(sigma)
    for change in changes:
        alpha[change.head, change.sv] = change.scale
    return alpha


def _unscaled(model: Model, layer: int, scale: Tensor, change: Tensor) -> Tensor:
    """What must change before LayerScale, for this to change after it."""
    lost = change[..., scale == 0].abs()
    if lost.numel() and float(lost.max()) > NEGLIGIBLE:
        raise InputError(
            f"LayerScale is 0 in layer {layer} where a change is asked",
            model.name,
            "leave this layer out: what it writes there cannot be changed",
        )
    return torch.where(scale == 0, 0.0, change / torch.where(scale == 0, 1.0, scale))


def _cast(model: Model, name: str, change: Tensor) -> Tensor:
    stored = model.checkpoint.stored(name)
    result = torch.where(change == 0, stored, (stored.double() + change).to(stored.dtype))
    if not bool(result.isfinite().all()):
        kind = str(stored.dtype).removeprefix("torch.")
        raise InputError(
            f"the new weights are more than {kind} can hold ({name})", model.name, "smaller factors"
        )
    return result
