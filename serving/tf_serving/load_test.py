"""Load a model server on this machine for some seconds, and check every answer.

python serving/tf_serving/load_test.py --artefacts artefacts/fashion --clients 16 --seconds 30

Each client sends the export's golden items, `--batch` at a time, again and again. Ends with 1 if a
request failed or an answer had other codes.
"""

import itertools
import logging
import re
import sys
import threading
import time

import numpy as np
from absl import app, flags

from udsph_tf.serving.tf_serving import ServedImageEncoder, ServedTextEncoder

_ARTEFACTS = flags.DEFINE_string("artefacts", None, "the export that is served", required=True)
_ADDRESS = flags.DEFINE_string("address", "grpc://127.0.0.1:8500", "grpc:// or http://, loopback")
_MODALITY = flags.DEFINE_enum("modality", "text", ["image", "text"], "what is encoded")
_CLIENTS = flags.DEFINE_integer("clients", 16, "requests under way at once", 1, 256)
_BATCH = flags.DEFINE_integer("batch", 1, "items of a request", 1, 64)
_SECONDS = flags.DEFINE_float("seconds", 10.0, "how long", 0.1, 300.0)


def main(argv):
    del argv
    if not re.match(r"\w+://(127\.0\.0\.1|localhost|\[::1\]):", _ADDRESS.value):
        sys.exit("load_test.py loads this machine alone: --address must be on loopback")
    kind = {"image": ServedImageEncoder, "text": ServedTextEncoder}[_MODALITY.value]
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line a request
    try:
        with kind(_ADDRESS.value, _ARTEFACTS.value) as encoder:
            _load(encoder)
    except (ConnectionError, ValueError, FileNotFoundError) as error:
        sys.exit(str(error))


def _load(encoder):
    golden, number = encoder.golden, itertools.count(step=_BATCH.value)
    seconds, wrong, start = [], [], time.monotonic()

    def client():
        while not wrong:
            first = next(number)
            rows = [row % len(golden.items) for row in range(first, first + _BATCH.value)]
            items = [golden.items[row] for row in rows]
            sent = time.monotonic()
            try:
                outputs, _ = encoder.model.predict(encoder.signature, encoder.input_name, items)
            except ConnectionError as error:
                wrong.append(str(error))
                return
            answered = time.monotonic()
            seconds.append(answered - sent)
            bits = golden.take(rows).wrong_bits(outputs["packed"].astype(np.uint8))
            if bits:
                wrong.append(f"{bits} wrong bits for the golden items {rows}")
            if answered - start > _SECONDS.value:
                return

    threads = [threading.Thread(target=client) for _ in range(_CLIENTS.value)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(seconds) * _BATCH.value / (time.monotonic() - start)
    p50, p99 = 1000 * np.quantile(seconds or [0], [0.5, 0.99])
    print(f"{len(seconds)} requests, {rate:.0f} items/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    app.run(main)
