"""Whole runs whose steps are not traced: tracing takes longer than the few steps of a tiny run.

For tests of what a run leaves behind, and of how it goes on after a kill. Others run as users do.
"""

from udsph_tf.training import UDSPH

# Quickly traced, and of many steps.
_TRACED = ("label", "refine")


def eager_steps(patch=setattr):
    """Let every `UDSPH` that is compiled from now on make its steps eagerly."""
    compile_traced = UDSPH.compile

    def compile_eager(self, *args, stage="joint", **kwargs):
        eager = stage not in _TRACED
        return compile_traced(self, *args, stage=stage, **{"run_eagerly": eager, **kwargs})

    patch(UDSPH, "compile", compile_eager)
