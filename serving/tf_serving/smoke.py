"""Does a deployment serve the encoders of an export? Asks for both by gRPC and by REST.

python serving/tf_serving/smoke.py --artefacts artefacts/fashion

Ends with 0 if every answer has the codes of the export's golden items, with 1 if not.
"""

import logging
import sys

from absl import app, flags

from udsph_tf.serving.tf_serving import ServedImageEncoder, ServedModel, ServedTextEncoder

_ARTEFACTS = flags.DEFINE_string("artefacts", None, "the export that is served", required=True)
_GRPC = flags.DEFINE_string("grpc", "grpc://127.0.0.1:8500", "address; empty: not asked")
_REST = flags.DEFINE_string("rest", "http://127.0.0.1:8501", "address; empty: not asked")
_WAIT = flags.DEFINE_float("wait", 60.0, "seconds to wait for a server that is starting")


def main(argv):
    del argv
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line a request
    failed = False
    for address in filter(None, (_GRPC.value, _REST.value)):
        for encoder in (ServedImageEncoder, ServedTextEncoder):
            try:
                with ServedModel(address, encoder.modality) as model:
                    model.wait_until_ready(_WAIT.value)
                    states = ", ".join(f"version {s.version} {s.state}" for s in model.status())
                with encoder(address, _ARTEFACTS.value) as opened:  # this compares the codes
                    number = len(opened.golden.items)
                print(f"ok      {address} {encoder.modality}: {number} golden items; {states}")
            except (ConnectionError, ValueError) as error:
                failed = True
                print(f"failed  {address} {encoder.modality}: {error}")
    sys.exit(int(failed))


if __name__ == "__main__":
    app.run(main)
