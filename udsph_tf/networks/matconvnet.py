"""CNN-F's published weights: the MatConvNet file `imagenet-vgg-f.mat`.

Both structures of these files are read. Older ones have `filters` and `biases` in each layer and
`normalization` at the top; newer ones a cell `weights` of the two, and `meta.normalization`. The
network may also lie in a variable `net`.
"""

import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

__all__ = ["load_cnn_f_weights", "read_matconvnet"]

# conv1 to conv5, full6 and full7; the classifier full8 is left off.
_LAYERS = 7
_REMEDY = (
    "imagenet-vgg-f.mat is one of MatConvNet's pretrained models "
    "(https://www.vlfeat.org/matconvnet/pretrained)"
)


def read_matconvnet(path: str | Path) -> tuple[list[dict], np.ndarray]:
    """The layers of a SimpleNN network with weights, in order, and its mean image.

    Args:
        path: a MATLAB 5 file.

    Returns:
        A dict for each layer of type `conv`: `name`, `kernel` (height, width, in, out), `bias`
        (out,), `stride` and `pad` as the file has them; and the mean image (height, width, 3), or
        the mean colour (3,).

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: SciPy is not installed.
        ValueError: it is no MATLAB 5 file, or holds no such network.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}. {_REMEDY}")
    content = _load(path)
    net = content.get("net", content)
    layers, mean = _field(net, "layers"), _field(_normalization(net), "averageImage")
    if layers is None or mean is None:
        raise ValueError(
            f"{path} holds no MatConvNet network: `layers` or `normalization.averageImage` is "
            f"missing. {_REMEDY}"
        )
    found = []
    for number, layer in enumerate(np.ravel(np.asarray(layers, dtype=object)), start=1):
        if str(_field(layer, "type")) != "conv":
            continue
        name = str(_field(layer, "name") or f"layer {number}")
        kernel, bias = _weights(layer, f"{path}, {name}")
        found.append(
            {
                "name": name,
                "kernel": kernel,
                "bias": bias,
                "stride": np.ravel(_field(layer, "stride", 1)),
                "pad": np.ravel(_field(layer, "pad", 0)),
            }
        )
    return found, _mean_image(np.asarray(mean, dtype="float32"), path)


def load_cnn_f_weights(model: keras.Model, path: str | Path) -> None:
    """Set the weights and the mean image of a `cnn_f` model from `imagenet-vgg-f.mat`.

    Args:
        model: result of `cnn_f`; changed in place, and only if the whole file fits.
        path: the file.

    Raises:
        FileNotFoundError, ImportError: as for `read_matconvnet`.
        ValueError: as for `read_matconvnet`, or the network is another one than CNN-F.
    """
    found, mean = read_matconvnet(path)
    if len(found) < _LAYERS:
        raise ValueError(
            f"{path} must hold the seven layers conv1 to full7 of CNN-F. "
            f"Received: {[each['name'] for each in found]}"
        )
    targets = [model.get_layer(f"block{number}_conv") for number in range(1, _LAYERS + 1)]
    for layer, each in zip(targets, found, strict=False):
        _check_fits(layer, each, path)
    mean_layer = model.get_layer("mean_image")
    if mean.ndim == 3 and mean.shape != tuple(mean_layer.mean.shape):
        raise ValueError(
            f"{path}: the mean image must be of shape {tuple(mean_layer.mean.shape)}. "
            f"Received: shape={mean.shape}"
        )
    for layer, each in zip(targets, found, strict=False):
        layer.kernel.assign(each["kernel"])
        layer.bias.assign(each["bias"])
    mean_layer.mean.assign(np.broadcast_to(mean, mean_layer.mean.shape))


def _load(path: Path) -> dict:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise ImportError("MATLAB files need SciPy: pip install 'udsph-tf[matlab]'") from error
    try:
        # Structures as objects with attributes, cells as arrays of objects; nothing is unpickled.
        return loadmat(path, struct_as_record=False, squeeze_me=True, chars_as_strings=True)
    except NotImplementedError as error:
        raise ValueError(
            f"{path} is a MATLAB 7.3 file. Save it in MATLAB with save(..., '-v7'), or take the "
            f"original. {_REMEDY}"
        ) from error
    except (
        EOFError,
        IndexError,
        KeyError,
        MatReadError,
        OSError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path} is not a MATLAB 5 file, or is cut off: {error}. {_REMEDY}"
        ) from error


def _field(struct, name: str, default=None):
    """A field of a MATLAB structure, or of the dict that a whole file is."""
    if isinstance(struct, dict):
        return struct.get(name, default)
    return getattr(struct, name, default)


def _normalization(net):
    meta = _field(net, "meta")
    inner = _field(meta, "normalization") if meta is not None else None
    return inner if inner is not None else _field(net, "normalization")


def _weights(layer, where: str) -> tuple[np.ndarray, np.ndarray]:
    cell = _field(layer, "weights")
    if cell is None:
        kernel, bias = _field(layer, "filters"), _field(layer, "biases")
    elif len(cell) >= 2:
        kernel, bias = cell[0], cell[1]
    else:
        kernel = bias = None
    if kernel is None or bias is None:
        raise ValueError(f"{where} has neither `weights` nor `filters` and `biases`")
    kernel, bias = np.asarray(kernel, dtype="float32"), np.ravel(np.asarray(bias, dtype="float32"))
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise ValueError(f"{where} holds weights that are not finite")
    return kernel, bias


def _mean_image(mean: np.ndarray, path: Path) -> np.ndarray:
    if mean.shape[-1:] != (3,) or mean.ndim not in (1, 3) or not np.isfinite(mean).all():
        raise ValueError(
            f"{path}: `averageImage` must be (height, width, 3) or three numbers. "
            f"Received: shape={mean.shape}"
        )
    return mean


def _check_fits(layer, found: dict, path: str | Path) -> None:
    shape = tuple(layer.kernel.shape)
    kernel = found["kernel"]
    if kernel.ndim == 2 and shape[:2] == (1, 1):
        kernel = kernel.reshape(shape[:2] + kernel.shape)  # SciPy drops axes of length one
    if kernel.shape != shape or found["bias"].shape != (shape[-1],):
        raise ValueError(
            f"{path} is another network than CNN-F: its layer {found['name']} must have filters "
            f"of shape {shape} and {shape[-1]} biases. Received: {kernel.shape} and "
            f"{found['bias'].shape}"
        )
    strides = set(found["stride"].astype(int).tolist())
    if strides != set(layer.strides):
        raise ValueError(
            f"{path} is another network than CNN-F: the stride of {found['name']} must be "
            f"{layer.strides[0]}. Received: {sorted(strides)}"
        )
    found["kernel"] = kernel
