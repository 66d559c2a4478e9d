"""Pairs of pictures and words: readers, splits, decoding, tokens, caches."""

from udsph_tf.data.catalogue import CATALOGUE, Dataset, read_pairs
from udsph_tf.data.pairs import Pairs, Problem, multi_hot
from udsph_tf.data.splits import Split, apply_split, make_split, read_split, write_split

__all__ = [
    "CATALOGUE",
    "Dataset",
    "Pairs",
    "Problem",
    "Split",
    "apply_split",
    "make_split",
    "multi_hot",
    "read_pairs",
    "read_split",
    "write_split",
]
