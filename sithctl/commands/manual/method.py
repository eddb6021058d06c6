"""``sithctl-method(7)``: the mathematics, and where it goes wrong; defaults are the code's own."""

from __future__ import annotations

from sithctl.commands.manual.roff import header, name, rendered, see_also
from sithctl.pursuit.methods import METHODS
from sithctl.stages.options import Options

USUAL = Options()
SOURCE = f"""
# NOTATION

Tokens are rows: a token x of shape (width,) becomes x W. norm(·) divides by the length. A head's
value-output matrix W = A B has its reader A of shape (width, head_dim) and its writer B of shape
(head_dim, width); u, σ and v are its singular triplets.

# FOLD

With the scale γ and the bias β of the norm before attention, the value map Wv, bv and the head's
part of the output map Wo, both as a linear layer stores them:

    A = (Wv · γ)ᵀ        each column less its mean over the width
    B = Woᵀ · λ          each row less its mean over the width
    c = bv + Wv β        the head writes c B whatever it reads

λ is the layer's scale where the architecture has one (LayerScale). W is never formed: A and B are
what is kept.

* Centring is exact: a LayerNorm removes the mean of what it reads, so nothing is read along the
  ones, and nothing that is written along them is ever read. An RMSNorm removes no mean: there
  neither side is centred.
* What breaks the algebra is refused: a norm between value and output or after the residual sum,
  attention and MLP in parallel, hierarchies of windows. It is found by structure, not by name.
* --plain leaves out folding and centring; such spectra can be explained, and not edited by.

To check: over a single token attention is 1, so for two inputs the difference of what the block's
attention writes is the difference of their normalised inputs times the sum of all A B.

# SVD

Both factors are decomposed by QR, and the small core of head_dim × head_dim by SVD: exact, and
some hundred times as fast as the whole product of a large model. The largest entry of every left
vector is positive.

* Vectors whose σ are within {USUAL.degenerate_gap:.0%} of a neighbour's are interchangeable:
  any rotation of them is as good, and an explanation of one cannot be told from the other's. They
  are marked ≈.
* The difference of two models is of low rank too: A₁ B₁ − A₀ B₀ = [A₁ A₀] [B₁; −B₀]. `sithctl svd
  --minus` decomposes that.

# READ-OUT

A vector of the residual stream is sent through the model's own final norm and projection, and then
set against the mean μ of unit-norm image features:

    p = norm(final_norm(v) P)        q = norm(p − μ)

* The norm's epsilon is the model's own: v has length 1, so it is not negligible.
* The minus pole is the read-out of −v from the start. It is not −q: μ and the biases of norm and
  projection do not change sign.
* A left vector lives in the layer's input space. That it is read out by the final norm and
  projection is a convention and an approximation.
* A head that pools by attention is taken as its value and output maps: exact for one token, an
  approximation for many.
* All read-outs share a part along −μ, so they look alike. What chance explains is therefore
  measured with random residual directions sent through the same read-out, never with random
  features.

# POOL

A concept's embedding is normalised, loses the mean of all rows in use, and is normalised again: g.
Text and image features lie apart, so each side loses the mean of its own kind. The mean belongs to
the rows in use: a pool cut down has another mean. Texts are encoded in batches that are cut to
their longest where the tower attends causally: exact there, and wrong in a tower that attends both
ways, which keeps its padding.

# SELECTION

q is explained by at most K = {USUAL.sparsity} concepts with coefficients c ≥ 0. r is q less what is
explained so far. --method is one of {", ".join(METHODS)}:

- top-k: the K largest ⟨q, g⟩, and one non-negative least squares (NNLS) on them.
- mp: at each step the largest ⟨r, g⟩, which is its coefficient, at least 0.
- nnomp: at each step the largest ⟨r, g⟩, then NNLS on all that are selected. omp means this.
- comp: as nnomp, by ⟨r, g⟩ + λ · the mean of ⟨g, s⟩ over the selected s. That is one inner product
  with r + λ · mean(s). λ is --coherence, {USUAL.coherence} unless told; 0 is nnomp.
- nearest: the K largest ⟨q, g⟩ as they are, in order: grounding in images.

* A concept whose coefficient falls to 0 stays selected, counts in comp's mean, and is left out of
  the explanation at the end.
* NNLS ends for each vector by itself; were it to end for a batch at once, an explanation would
  depend on its neighbours.
* A concept is ruled out in bfloat16 only where a bound on the rounding says that it cannot be the
  best; the others are scored in float32, or float64 where that cannot tell.

# FIDELITY

With x = Σ c g, two cosines that are never to be confused:

    feature  = cos(q, x)
    residual = cos(v, (norm(norm(x) + μ)) P⁺)

The second is the published one. It has a ceiling below 1 even for a perfect reconstruction, since
norm and projection lose what they lose: it is shown beside that ceiling. It is not known where the
read-out is more than a norm and a linear map. Either says little without what chance gives:
`sithctl eval fidelity`.

# EDIT

σᵢ becomes αᵢ σᵢ, written into the output map alone:

    B′ = B (I − V diag(1 − α) Vᵀ)

with the right singular vectors as the columns of V. Reader and norm stay as they are, B's own mean
survives, and λ is divided out again.

* What the head always writes must not change: c (B − B′) is added to the output bias. A model
  that has a value bias and no output bias has no place for it, and is refused.
* α scales both poles: what suppresses + suppresses − too.
* The numbers of a plan are those of the unedited model; all its rows are applied at once. After
  an edit the vectors stand in the order of |α σ|, and a negative α flips one.

# SOURCES

SITH: Gentile et al., CVPR 2026, arXiv 2603.24653. UniSITH: the same for vision models without a
text tower, by concepts that are captioned images.
"""


def page() -> str:
    """The page."""
    title = "sithctl-method"
    lines = [
        *header(title, 7),
        *name(title, "how heads are read and edited, and where it goes wrong"),
    ]
    lines += rendered(SOURCE)
    beside = ("sithctl(1)", "sithctl-files(5)", "sithctl-performance(7)")
    return "\n".join([*lines, *see_also(*beside)]) + "\n"
