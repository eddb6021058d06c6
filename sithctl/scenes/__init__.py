"""The rendered world: captioned pictures whose factors are known, and the CLIP trained on them."""
