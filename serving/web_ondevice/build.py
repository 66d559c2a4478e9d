"""Assemble the page, an image encoder and an index into one folder of static files.

npm ci --prefix serving/web_ondevice
python serving/web_ondevice/build.py --artefacts artefacts/mine --index index/mine --out site
"""

import io
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import flatbuffers
from absl import app, flags
from ai_edge_litert import schema_py_generated as schema

from udsph_tf.artefacts import read_manifest
from udsph_tf.data.images import ImageError, read_image
from udsph_tf.files import new_folder, write_bytes, write_text
from udsph_tf.search import open_index
from udsph_tf.search.picture import decode_upright, fit_picture

_ARTEFACTS = flags.DEFINE_string(
    "artefacts", None, "folder that `udsph export` made", required=True
)
_INDEX = flags.DEFINE_string("index", None, "folder that `udsph index` made", required=True)
_OUT = flags.DEFINE_string("out", None, "folder to make", required=True)
_VARIANT = flags.DEFINE_string("variant", "float32", "which image.<variant>.tflite")
_ITEMS = flags.DEFINE_integer("items", None, "only the first so many items", lower_bound=1)
_CREDIT = flags.DEFINE_string("credit", "", "whose pictures they are, shown under the results")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace the folder if it is there")

HERE = Path(__file__).resolve().parent
# The search service's page, whose looks and keys this one shares.
_SERVICE_PAGE = files("udsph_tf.serving.web") / "page"
_SHARED = {"base.css": "style.css", "icon.svg": "icon.svg", "cards.js": "cards.js"}
# What the browser loads of each package. (LiteRT's other two runtimes need threads or JSPI.)
_PACKAGES = {
    "@litertjs/core": ["dist/index.js", "wasm/litert_wasm_*internal.*"],
    "@litertjs/wasm-utils": ["dist/index.js"],
    "fast-png": ["lib/**/*.js", "LICENSE"],
    "fflate": ["esm/browser.js", "LICENSE"],
    "iobuffer": ["lib/*.js", "LICENSE"],
}
_LEFT_OUT = ("threaded", "jspi")
_PICTURE_SIZE = 240  # pixels of the longer side


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {argv[1:]}")
    number = build(
        _ARTEFACTS.value,
        _INDEX.value,
        _OUT.value,
        variant=_VARIANT.value,
        most=_ITEMS.value,
        credit=_CREDIT.value,
        overwrite=_OVERWRITE.value,
    )
    print(f"{number:,} items in {_OUT.value}; look at them with")
    print(f"python -m http.server --bind 127.0.0.1 --directory {_OUT.value} 8000")


def build(artefacts, index, out, *, variant, most=None, credit="", overwrite=False):
    """Write the site and return the number of its items.

    Raises:
        FileExistsError: `out` exists and `overwrite` is not given.
        FileNotFoundError: there is no export, or `npm ci` has not been run.
        ValueError: export and index do not belong together, or a file has been changed.
    """
    model = f"image.{variant}.tflite"
    manifest = read_manifest(artefacts, (model,))
    stored = open_index(index, model_checksum=manifest["model_checksum"])
    alive = stored.catalogue.alive
    positions = [row for row in range(len(stored.items)) if alive is None or alive[row]][:most]
    with new_folder(out, overwrite=overwrite) as site:
        shutil.copytree(HERE / "page", site, dirs_exist_ok=True)
        for name, source in _SHARED.items():
            write_bytes(site / name, (_SERVICE_PAGE / source).read_bytes())
        _copy_packages(site / "vendor")
        data = site / "data"
        data.mkdir()
        write_bytes(data / "image.tflite", of_one_picture((Path(artefacts) / model).read_bytes()))
        for modality in stored.modalities:
            codes = stored.codes_of(modality).codes(positions)
            write_bytes(data / f"{modality}.codes", codes.tobytes())
        items = [stored.items[position] for position in positions]
        pictures = _draw([item.image for item in items], data / "pictures")
        write_text(
            data / "items.json",
            json.dumps([[i.id, i.text, p] for i, p in zip(items, pictures, strict=True)]),
        )
        settings = {
            "num_bits": manifest["num_bits"],
            "image_size": manifest["image"]["size"],
            "model_bytes": (data / "image.tflite").stat().st_size,
            "model_checksum": manifest["model_checksum"],
            "variant": variant,
            "codes": list(stored.modalities),
            "items": len(items),
            "credit": credit,
        }
        write_text(data / "settings.json", json.dumps(settings, indent=1) + "\n")
    return len(items)


def of_one_picture(tflite):
    """The same model for a batch of one, since LiteRT in the browser takes no batch of any size.

    Of a batch dimension that is open, a file says 1 in `shape` and -1 in `shape_signature`, so
    leaving the latter away closes it; nothing else changes.
    """
    model = schema.ModelT.InitFromPackedBuf(tflite)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None
    packed = flatbuffers.Builder(len(tflite))
    packed.Finish(model.Pack(packed), b"TFL3")
    return bytes(packed.Output())


def _copy_packages(vendor):
    for package, patterns in _PACKAGES.items():
        installed = HERE / "node_modules" / package
        if not installed.is_dir():
            raise FileNotFoundError(
                f"{package} is not installed: run `npm ci --prefix {HERE}` (Node 20 or later)"
            )
        for pattern in (*patterns, "package.json"):
            for path in installed.glob(pattern):
                if not any(word in path.name for word in _LEFT_OUT):
                    target = vendor / package / path.relative_to(installed)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)


def _draw(sources, folder):
    """A small JPEG of every picture that can be read; whether it could, by position."""
    folder.mkdir()

    def draw(place):
        try:
            picture = decode_upright(read_image(sources[place]), 2 * _PICTURE_SIZE)
        except (ImageError, ValueError) as error:
            logging.warning("no picture of %s: %s", sources[place], error)
            return False
        small = io.BytesIO()
        fit_picture(picture, _PICTURE_SIZE, _PICTURE_SIZE).save(small, "JPEG", quality=82)
        (folder / f"{place}.jpg").write_bytes(small.getvalue())
        return True

    with ThreadPoolExecutor() as pool:
        return list(pool.map(draw, range(len(sources))))


if __name__ == "__main__":
    app.run(main)
