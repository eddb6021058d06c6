"""A file's bytes to eight bits of red, green and blue."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sithctl.kinds import Array

LARGEST = 100_000_000  # pixels of a picture that is read: 300 MB of RGB
DEEP = 65535  # the largest value of sixteen bits
_ALPHA = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})


def decode(data: bytes) -> Image.Image:
    """The image in a file's bytes, upright as its EXIF orientation says.

    Raises:
        ValueError: it has more than ``LARGEST`` pixels; Pillow's own errors for a damaged one.
    """
    try:
        image = Image.open(BytesIO(data))
    except UnidentifiedImageError as error:  # Pillow's words hold an address in memory
        raise ValueError("cannot identify the image file") from error
    with image:
        check_size(image)
        return ImageOps.exif_transpose(image)


def check_size(image: Image.Image) -> None:
    """Refuse a picture too large, of which only the header has been read so far."""
    width, height = image.size
    if width * height > LARGEST:
        raise ValueError(
            f"{width} by {height} pixels, more than {LARGEST // 1_000_000} megapixels: scale it"
        )


def as_rgb(image: Image.Image) -> Image.Image:
    """RGB of any mode: deep greys scaled to eight bits, what is transparent laid on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _scaled(image)
    if image.mode in _ALPHA or "transparency" in image.info:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Grey of sixteen or more bits, which Pillow would cut at 255, so that most of it is white."""
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("NaN or infinite pixels")
    low, high = _range(values, image.mode)
    scaled = (values - low) * (255 / (high - low or 1))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _range(values: Array, mode: str) -> tuple[float, float]:
    """Black and white: of the format where it has them, else the darkest and lightest there are."""
    least, most = float(values.min()), float(values.max())
    white = 1 if mode == "F" and most <= 1 else 255 if mode == "F" else DEEP
    return (0, white) if least >= 0 and most <= white else (least, most)
