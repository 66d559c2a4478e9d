"""Hamming search: indexes of packed codes, their folder on disk, and results for people."""

from udsph_tf.search.approximate_index import KINDS, ApproximateIndex
from udsph_tf.search.catalogue import Catalogue
from udsph_tf.search.changes import add_items, compact_index, delete_items
from udsph_tf.search.contact_sheet import Query, draw_contact_sheet
from udsph_tf.search.faiss_index import FaissIndex
from udsph_tf.search.hit import Hit, Item
from udsph_tf.search.index import HammingIndex
from udsph_tf.search.item_index import ItemIndex
from udsph_tf.search.milvus_index import MilvusIndex
from udsph_tf.search.milvus_server import MilvusError
from udsph_tf.search.reranking import asymmetric_distance
from udsph_tf.search.sharded_index import ShardedIndex
from udsph_tf.search.store import open_index, write_index
from udsph_tf.search.stored_index import StoredIndex
from udsph_tf.search.table import format_hits, hits_as_json

__all__ = [
    "ApproximateIndex",
    "Catalogue",
    "FaissIndex",
    "HammingIndex",
    "Hit",
    "Item",
    "ItemIndex",
    "KINDS",
    "MilvusError",
    "MilvusIndex",
    "Query",
    "ShardedIndex",
    "StoredIndex",
    "add_items",
    "asymmetric_distance",
    "compact_index",
    "delete_items",
    "draw_contact_sheet",
    "format_hits",
    "hits_as_json",
    "open_index",
    "write_index",
]
