"""What a folder's models promise to callers: signatures, and the operations they need."""

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from udsph_tf.export.flatbuffer import operations
from udsph_tf.export.verification import open_tflite

__all__ = ["SERVING_TEXT_OPS", "foreign_operations", "saved_model_operations", "signatures"]

SERVING_TEXT_OPS = {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"}
"""Operations of tensorflow-text that its 2.12 has, which TensorFlow Serving's images embed."""
_TFLITE_TEXT_OPS = SERVING_TEXT_OPS | {"RaggedTensorToTensor"}
_PYTHON_OPS = {"EagerPyFunc", "PyFunc", "PyFuncStateless"}


def signatures(folder: str | Path) -> dict[str, dict]:
    """Signatures of every model of an export, by file or folder.

    Returns:
        By model and signature: `inputs` and `outputs`, each by name with `dtype` and `shape`
        (-1 for any length).
    """
    folder = Path(folder)
    found: dict[str, dict] = {}
    for modality in ("image", "text"):
        (graph,) = _saved_model(folder / modality / "1").meta_graphs
        found[f"{modality}/1"] = {
            name: {"inputs": _described(each.inputs), "outputs": _described(each.outputs)}
            for name, each in sorted(graph.signature_def.items())
            if not name.startswith("__")
        }
    for path in sorted(folder.glob("*.tflite")):
        model = open_tflite(path, workers=1)
        found[path.name] = {"serving_default": model.signature}
    return found


def saved_model_operations(folder: str | Path) -> set[str]:
    """Names of all operations of a SavedModel, functions included."""
    (graph,) = _saved_model(folder).meta_graphs
    functions = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(node for each in functions for node in each.node_def)]
    return {node.op for node in nodes}


def foreign_operations(folder: str | Path) -> list[str]:
    """A line for each operation that a server or a phone would not have; none is well."""
    folder, wrong = Path(folder), []
    for modality, added in (("image", set()), ("text", SERVING_TEXT_OPS)):
        names = saved_model_operations(folder / modality / "1")
        # An operation of TensorFlow itself has a raw form; a registered one has not.
        foreign = {name for name in names if not hasattr(tf.raw_ops, name)} - added
        for name in sorted(foreign | names & _PYTHON_OPS):
            wrong.append(f"{modality}/1 uses the operation {name}, which TensorFlow Serving lacks")
    for path in sorted(folder.glob("*.tflite")):
        _, custom = operations(path.read_bytes())
        added = _TFLITE_TEXT_OPS if path.name.startswith("text.") else set()
        for name in sorted(custom - added):
            wrong.append(f"{path.name} uses the operation {name}, which a device lacks")
    return wrong


def _saved_model(folder: Path) -> saved_model_pb2.SavedModel:
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((Path(folder) / "saved_model.pb").read_bytes())
    return content


def _described(tensors) -> dict:
    return {
        name: {
            "dtype": tf.dtypes.as_dtype(each.dtype).name,
            "shape": [dim.size for dim in each.tensor_shape.dim],
        }
        for name, each in sorted(tensors.items())
    }
