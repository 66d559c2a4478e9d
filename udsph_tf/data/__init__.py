"""Pairs of pictures and words: readers, splits, decoding, tokens, caches."""

from udsph_tf.data.catalogue import CATALOGUE, Dataset, check_dataset, read_pairs
from udsph_tf.data.pairs import Pairs, Problem, multi_hot
from udsph_tf.data.splits import Split, apply_split, make_split, read_split, write_split
from udsph_tf.data.unseen_kinds import hold_out_kinds, train_without_kinds

__all__ = [
    "CATALOGUE",
    "Dataset",
    "Pairs",
    "Problem",
    "Split",
    "apply_split",
    "check_dataset",
    "hold_out_kinds",
    "make_split",
    "multi_hot",
    "read_pairs",
    "read_split",
    "train_without_kinds",
    "write_split",
]
