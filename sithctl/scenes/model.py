"""The bundled model's parts before training: a small transformers CLIP, its tokenizer, its
image processor."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from sithctl.scenes.captions import SENTENCES, concept_pool
from sithctl.scenes.render import SIDE

DIRECTORY = Path(__file__).parent / "clip"
CONTEXT = 24
VOCABULARY = 1400
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def build_tokenizer() -> CLIPTokenizer:
    """A byte-level BPE of CLIP's kind in which every word of the world is one token."""
    words = Counter(w for phrase in concept_pool() for w in phrase.split())
    words.update(w for sentence in SENTENCES for w in sentence.split() if w != "{}")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        show_progress=False,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
    )
    # Sorted and counted once each: the merges must not depend on a dictionary's order.
    raw.train_from_iterator(sorted(words) * 3, trainer)
    merges = [tuple(pair) for pair in json.loads(raw.to_str())["model"]["merges"]]
    tokens = [*alphabet, *(c + "</w>" for c in alphabet), *("".join(m) for m in merges)]
    unique = dict.fromkeys([*tokens, "<|startoftext|>", "<|endoftext|>"])
    vocab = {token: i for i, token in enumerate(unique)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CONTEXT)


def build_processor() -> CLIPImageProcessor:
    return CLIPImageProcessor(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=list(MEAN),
        image_std=list(STD),
    )


def build_model(tokenizer: CLIPTokenizer, seed: int) -> CLIPModel:
    """A CLIP of 6 + 3 layers, width 128, 8 heads, 48 features, freshly initialised."""
    torch.manual_seed(seed)
    width = {"hidden_size": 128, "intermediate_size": 512}
    config = CLIPConfig(
        text_config={
            **width,
            "num_attention_heads": 4,
            "num_hidden_layers": 3,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": CONTEXT,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "hidden_act": "gelu",
            "projection_dim": 48,
        },
        vision_config={
            **width,
            "num_attention_heads": 8,
            "num_hidden_layers": 6,
            "image_size": SIDE,
            "patch_size": 8,
            "hidden_act": "gelu",
            "projection_dim": 48,
        },
        projection_dim=48,
    )
    model = CLIPModel(config)
    with torch.no_grad():  # what a head writes should be what it learnt, not where it started
        for layer in model.vision_model.encoder.layers:
            layer.self_attn.out_proj.weight.mul_(0.2)
    return model


def pixels(pictures: Tensor) -> Tensor:
    """uint8 pictures as the model's image processor would hand them over: (n, 3, 48, 48)."""
    mean, std = (torch.tensor(s).view(1, 3, 1, 1) for s in (MEAN, STD))
    return (pictures.float() / 255 - mean) / std
