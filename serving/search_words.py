"""Search an index with words, in one process and without training code.

python serving/search_words.py --artefacts artefacts/fashion --index index/fashion "red shoes"
"""

from absl import app, flags

from udsph_tf.search import format_hits, open_index
from udsph_tf.serving import TextEncoder

_ARTEFACTS = flags.DEFINE_string(
    "artefacts", None, "folder that `udsph export` made", required=True
)
_INDEX = flags.DEFINE_string("index", None, "folder that `udsph index` made", required=True)
_K = flags.DEFINE_integer("k", 10, "number of hits", lower_bound=1)


def main(argv):
    encoder = TextEncoder(_ARTEFACTS.value)
    index = open_index(_INDEX.value, model_checksum=encoder.model_checksum)
    for query in argv[1:]:
        encoder.check_query(query)
        (hits,) = index.search(encoder.encode([query]), "image", _K.value)
        print(format_hits(query, hits))


if __name__ == "__main__":
    app.run(main)
