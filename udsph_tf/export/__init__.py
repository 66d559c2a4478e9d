"""Export: a finished run as SavedModels and TFLite files, verified."""

from udsph_tf.export.exporter import export

__all__ = ["export"]
