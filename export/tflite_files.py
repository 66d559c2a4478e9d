"""Write the TFLite files of a run, and nothing else.

python export/tflite_files.py --run runs/fashion --out artefacts/fashion-tflite

The int8 file needs training pictures to calibrate on: `udsph export` writes it.
"""

from pathlib import Path

from absl import app, flags

from udsph_tf.export.tflite import image_tflite, text_tflite
from udsph_tf.files import new_folder
from udsph_tf.networks import code_writer
from udsph_tf.training import RunFolder
from udsph_tf.training.run_folder import text_tokenizer

_RUN = flags.DEFINE_string("run", None, "a finished run folder", required=True)
_OUT = flags.DEFINE_string("out", None, "the folder to make", required=True)


def main(_):
    run = RunFolder(Path(_RUN.value))
    run.require_finished()
    image = code_writer(run.load("image_encoder"), "image_codes")
    text = code_writer(run.load("text_encoder"), "text_codes")
    config = run.config()
    tokenizer = text_tokenizer(config, run.vocabulary)
    shared = {
        "num_bits": config.network.num_bits,
        "bit_order": "big",
        "size": config.image.size,
    }

    def facts(modality):
        return lambda variant: {**shared, "modality": modality, "variant": variant}

    files = {
        "image": image_tflite(image, facts("image")),
        "text": text_tflite(text, tokenizer, facts("text")),
    }
    with new_folder(_OUT.value) as folder:
        for modality, variants in files.items():
            for variant, content in variants.items():
                (folder / f"{modality}.{variant}.tflite").write_bytes(content)
    for path in sorted(Path(_OUT.value).iterdir()):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    app.run(main)
