"""Small retrieval cases and the brute-force oracle that the measures are compared with."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import strategies as st

# Query 0 against A, B, C, D. Codes: 00000000 against 00000001, 00000010, 00000000, 00000111.
#
#             A  B  C  D
#   distance  1  1  0  3      ranking: C | A B in either order | D
#   shared    1  0  0  2      relevant: A and D
HAND_QUERY = np.array([[0b00000000]], dtype=np.uint8)
HAND_DATABASE = np.array([[0b00000001], [0b00000010], [0b00000000], [0b00000111]], dtype=np.uint8)
HAND_QUERY_LABELS = np.array([[1, 1, 0]])
HAND_DATABASE_LABELS = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 0]])


@pytest.fixture
def hand_case():
    """One query whose every measure is worked out in the tests' comments."""
    return HAND_QUERY, HAND_QUERY_LABELS, HAND_DATABASE, HAND_DATABASE_LABELS


@pytest.fixture(scope="session")
def draw_case():
    """Function that draws a small case with many ties, some queries without a relevant item."""

    def draw(data, max_database=6):
        num_queries = data.draw(st.integers(1, 3), "num_queries")
        num_database = data.draw(st.integers(1, max_database), "num_database")

        def codes(n):
            # Two bits that matter: distances 0, 1 and 2 only.
            values = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
            return np.array(values, dtype=np.uint8)[:, None]

        def labels(n):
            row = st.lists(st.integers(0, 1), min_size=3, max_size=3)
            return np.array(data.draw(st.lists(row, min_size=n, max_size=n)))

        return (
            codes(num_queries),
            labels(num_queries),
            codes(num_database),
            labels(num_database),
        )

    return draw


@pytest.fixture(scope="session")
def mean_over_tie_orders():
    """Function that averages a score over every ranking that the distances allow.

    The score gets the database rows in ranked order.
    """

    def mean(distances, score):
        rows = sorted(range(len(distances)), key=lambda row: distances[row])
        groups = [list(group) for _, group in itertools.groupby(rows, lambda row: distances[row])]
        orders = itertools.product(*(itertools.permutations(group) for group in groups))
        return statistics.fmean(score([row for part in order for row in part]) for order in orders)

    return mean


@pytest.fixture(scope="session")
def random_case():
    """A case of some hundred items with clustered 16-bit codes, too large for the oracle."""
    generator = np.random.default_rng(7)
    labels = (generator.random((420, 5)) < 0.3).astype(np.float32)
    bits = labels @ generator.normal(size=(5, 16)) + generator.normal(size=(420, 16)) > 0.4
    packed = np.packbits(bits, axis=1)
    return packed[:40], labels[:40], packed[40:], labels[40:]
