"""Published pools of captioned images by name, their columns filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sithctl.sources.images import Wanted


@dataclass(frozen=True)
class Recipe:
    """Where a published pool lies and what its columns are.

    Attributes:
        source: a data set of the hub, or a folder that holds it.
        image: images, or their web addresses.
        detail: the longer of its two captions.
    """

    source: str
    split: str
    image: str
    caption: str
    detail: str | None
    id: str

    def wanted(self, given: Wanted) -> Wanted:
        """The recipe's columns where the user named none."""
        own_image = given.image_column == Wanted.image_column
        return replace(
            given,
            split=given.split or self.split,
            image_column=self.image if own_image else given.image_column,
            caption_column=given.caption_column or self.caption,
            detail_column=given.detail_column or self.detail,
            id_column=given.id_column or self.id,
        )


RECIPES: dict[str, Recipe] = {
    "recap-coco": Recipe(
        "UCSC-VLAA/Recap-COCO-30K", "train", "image", "caption", "recaption", "image_id"
    ),
    # Holds no pictures: the column has COCO's web addresses.
    "lvis-gpt4v": Recipe(
        "laion/220k-GPT4Vision-captions-from-LIVIS",
        "train",
        "url",
        "short_caption",
        "caption",
        "url",
    ),
}
