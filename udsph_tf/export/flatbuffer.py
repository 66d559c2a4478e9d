"""TFLite files as flatbuffers: their operations, what they say of themselves, their size."""

import json

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["finish", "operations", "sums_of_maps"]

_IDENTIFIER = b"TFL3"
_METADATA = "udsph_tf.json"


class _SharedZeroPoints(schema.QuantizationParametersT):
    """Writes a vector of zero points once for all tensors that have an equal one.

    Weights and biases of a channel-wise quantized layer have zero points of 0, eight bytes each:
    six percent of a small network's file.
    """

    written: dict[bytes, int]

    def Pack(self, builder):
        points = np.asarray(self.zeroPoint, np.int64)
        key = points.tobytes()
        if key not in self.written:
            self.written[key] = builder.CreateNumpyVector(points)
        scale = builder.CreateNumpyVector(np.asarray(self.scale, np.float32))
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, scale)
        schema.QuantizationParametersAddZeroPoint(builder, self.written[key])
        schema.QuantizationParametersAddQuantizedDimension(builder, self.quantizedDimension)
        return schema.QuantizationParametersEnd(builder)


def finish(content: bytes, description: str, facts: dict) -> bytes:
    """Write what a file says of itself into it, and write it as small as it can be.

    Args:
        content: a TFLite file.
        description: a line for people.
        facts: for programs, as JSON in the metadata entry `udsph_tf.json`.

    Returns:
        A file that computes the same.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    written: dict[bytes, int] = {}
    for graph in model.subgraphs:
        told = {int(each) for each in (*graph.inputs, *graph.outputs)}
        for number, tensor in enumerate(graph.tensors):
            _slim(tensor, written)
            # Names of what lies between are of use to people alone, and one percent of a file.
            if number not in told:
                tensor.name = None
    for buffer in model.buffers:
        if buffer.offset > 1:  # kept behind the flatbuffer, where older runtimes do not look
            data = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data, buffer.offset, buffer.size = np.frombuffer(data, np.uint8), 0, 0
    model.description = description
    entry, data = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = _METADATA, len(model.buffers)
    data.data = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    model.buffers.append(data)
    model.metadata = [*(model.metadata or ()), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def operations(content: bytes) -> tuple[set[str], set[str]]:
    """Names of a file's built-in and of its custom operations."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    custom = {_text(code.customCode) for code in model.operatorCodes if code.customCode is not None}
    return {_name(code) for code in model.operatorCodes if code.customCode is None}, custom


def sums_of_maps(content: bytes) -> list[str]:
    """Output tensors of the additions of two feature maps: a convolutional body's shortcuts."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    found = []
    for graph in model.subgraphs:
        computed = {int(each) for operator in graph.operators for each in operator.outputs}
        for operator in graph.operators:
            output = graph.tensors[operator.outputs[0]]
            if (
                _name(model.operatorCodes[operator.opcodeIndex]) == "ADD"
                and len(output.shape) == 4
                and all(int(each) in computed for each in operator.inputs)
            ):
                found.append(_text(output.name))
    return found


def _slim(tensor, written: dict) -> None:
    quantization = tensor.quantization
    if quantization is None:
        return
    # The ranges that calibration met are of use to a converter alone.
    quantization.min = quantization.max = None
    scaled = quantization.scale is not None and len(quantization.scale)
    if scaled and quantization.details is None:
        shared = _SharedZeroPoints()
        shared.__dict__.update(quantization.__dict__)
        shared.written = written
        tensor.quantization = shared


def _name(code) -> str:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return _NAMES[number]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
