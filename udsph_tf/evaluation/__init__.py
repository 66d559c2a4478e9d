"""Evaluation of Hamming rankings: average precision, curves, reports and plots, in pure NumPy."""

from udsph_tf.evaluation.attention_maps import AttendedPair, plot_attention
from udsph_tf.evaluation.average_precision import average_precision, stable_average_precision
from udsph_tf.evaluation.bootstrap import bootstrap_mean_interval
from udsph_tf.evaluation.code_plots import plot_bits, plot_code_distances
from udsph_tf.evaluation.code_report import format_code_report, report_codes
from udsph_tf.evaluation.code_statistics import bit_balance, bit_correlation, code_collisions
from udsph_tf.evaluation.counts import DistanceCounts, count_by_distance
from udsph_tf.evaluation.curves import (
    RadiusCurve,
    mean_of_defined,
    precision_at_k,
    precision_recall_by_radius,
    recall_at_k,
)
from udsph_tf.evaluation.directions import evaluate_directions
from udsph_tf.evaluation.energy_test import EnergyTest, energy_test
from udsph_tf.evaluation.instance_recall import (
    counterpart_distances,
    instance_recall_at_k,
    own_item_recall,
)
from udsph_tf.evaluation.ndcg import ndcg_at_k
from udsph_tf.evaluation.plots import (
    plot_precision_at_k,
    plot_precision_by_radius,
    plot_precision_recall,
)
from udsph_tf.evaluation.report import (
    evaluate_relevance,
    evaluate_retrieval,
    mean_average_precision,
    mean_ndcg,
)
from udsph_tf.evaluation.results import format_table, write_results

__all__ = [
    "AttendedPair",
    "DistanceCounts",
    "EnergyTest",
    "RadiusCurve",
    "average_precision",
    "bit_balance",
    "bit_correlation",
    "bootstrap_mean_interval",
    "code_collisions",
    "count_by_distance",
    "counterpart_distances",
    "energy_test",
    "evaluate_directions",
    "evaluate_relevance",
    "evaluate_retrieval",
    "format_code_report",
    "format_table",
    "instance_recall_at_k",
    "mean_average_precision",
    "mean_ndcg",
    "mean_of_defined",
    "ndcg_at_k",
    "own_item_recall",
    "plot_attention",
    "plot_bits",
    "plot_code_distances",
    "plot_precision_at_k",
    "plot_precision_by_radius",
    "plot_precision_recall",
    "precision_at_k",
    "precision_recall_by_radius",
    "recall_at_k",
    "report_codes",
    "stable_average_precision",
    "write_results",
]
