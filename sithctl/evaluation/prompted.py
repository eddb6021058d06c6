"""A zero-shot classifier: each class's prompts as one unit vector (Radford et al., 2021, 3.1.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.stages.text_pool import PLACE

EncodeText = Callable[[list[str]], Tensor]

TEMPLATE = "a photo of a {}"
CHUNK = 8192  # prompts that are tokenised at a time


def prompts_of(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every name in every template.

    >>> prompts_of(["star", "asterisk"], ["{}", "a {}"])
    ['star', 'a star', 'asterisk', 'a asterisk']
    """
    return [template.replace(PLACE, name) for name in names for template in templates]


def class_weights(encode_text: EncodeText, prompts: Sequence[Sequence[str]]) -> Tensor:
    """The classifier's rows.

    Args:
        encode_text: of a model's text tower.
        prompts: of each class.

    Returns:
        (classes, features): the mean of each class's unit-norm prompts, of norm 1 again.
    """
    texts = [prompt for some in prompts for prompt in some]
    parts = [encode_text(texts[i : i + CHUNK]) for i in range(0, len(texts), CHUNK)]
    rows = F.normalize(torch.cat(parts), dim=-1)
    ends = pairwise([0, *accumulate(map(len, prompts))])
    return F.normalize(torch.stack([rows[i:j].mean(0) for i, j in ends]), dim=-1)
