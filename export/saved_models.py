"""Write the two SavedModels of a run, and nothing else.

python export/saved_models.py --run runs/fashion --out artefacts/fashion
"""

from pathlib import Path

from absl import app, flags

from udsph_tf.export.saved_model import write_image_saved_model, write_text_saved_model
from udsph_tf.files import new_folder
from udsph_tf.networks import code_writer
from udsph_tf.training import RunFolder
from udsph_tf.training.run_folder import text_tokenizer

_RUN = flags.DEFINE_string("run", None, "a finished run folder", required=True)
_OUT = flags.DEFINE_string("out", None, "the folder to make", required=True)
_VERSION = flags.DEFINE_integer(
    "version", 1, "version folder for TensorFlow Serving", lower_bound=1
)


def main(_):
    run = RunFolder(Path(_RUN.value))
    run.require_finished()
    image = code_writer(run.load("image_encoder"), "image_codes")
    text = code_writer(run.load("text_encoder"), "text_codes")
    tokenizer = text_tokenizer(run.config(), run.vocabulary)
    with new_folder(_OUT.value) as folder:
        write_image_saved_model(folder / "image" / str(_VERSION.value), image)
        write_text_saved_model(folder / "text" / str(_VERSION.value), text, tokenizer)
    print(f"SavedModels in {_OUT.value}")


if __name__ == "__main__":
    app.run(main)
