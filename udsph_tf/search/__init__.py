"""Hamming search: indexes of packed codes, their folder on disk, and results for people."""

from udsph_tf.search.contact_sheet import Query, draw_contact_sheet
from udsph_tf.search.faiss_index import FaissIndex
from udsph_tf.search.hit import Hit, Item
from udsph_tf.search.index import HammingIndex
from udsph_tf.search.store import open_index, write_index
from udsph_tf.search.stored_index import StoredIndex
from udsph_tf.search.table import format_hits, hits_as_json

__all__ = [
    "FaissIndex",
    "HammingIndex",
    "Hit",
    "Item",
    "Query",
    "StoredIndex",
    "draw_contact_sheet",
    "format_hits",
    "hits_as_json",
    "open_index",
    "write_index",
]
