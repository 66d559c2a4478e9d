import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.config import LossConfig
from udsph_tf.config_sections import OVERLAPS
from udsph_tf.networks import CrossModalAttention
from udsph_tf.training.terms import TERMS, hasher_terms, label_net_terms, total

RNG = np.random.default_rng(0)
ZERO = dict.fromkeys(TERMS, 0.0)


def outputs(n, hashes=None, features=None):
    """What a network writes for n items, of four bits and three features."""
    hashes = RNG.uniform(-1, 1, (n, 4)) if hashes is None else hashes
    features = RNG.normal(size=(n, 3)) if features is None else features
    found = {"hash": hashes, "features": features, "label_logits": RNG.normal(size=(n, 2))}
    return {name: np.array(each, np.float32) for name, each in found.items()}


def anchors_of(labels, **given):
    labels = np.array(labels, np.float32)
    return {
        **outputs(len(labels), **given),
        "labels": labels,
        "counts": np.ones(len(labels), np.float32),
    }


def only(**weights):
    return LossConfig(**ZERO | {"similarity_form": "levels", "gradient_penalty": 0.0} | weights)


def test_hasher_terms_code_similarity_hand_case_has_the_worked_out_value():
    # One item of label 0; anchors: label 0 with h = (1, 1, 1, 1), label 1 with (1, -1, 1, -1).
    # Image h = (1, 1, 1, -1): cosines 2 / 4 and 2 / 4 against targets 1 and 0; half a weight each:
    # 0.5 * 0.25 + 0.5 * 0.25 = 0.25. Text h = (1, 1, 1, 1): cosines 1 and 0, so 0.
    anchors = anchors_of([[1, 0], [0, 1]], hashes=[[1, 1, 1, 1], [1, -1, 1, -1]])
    image, text = outputs(1, hashes=[[1, 1, 1, -1]]), outputs(1, hashes=[[1, 1, 1, 1]])
    labels = np.array([[1, 0]], np.float32)
    loss = only(code_similarity=1.0)
    terms = hasher_terms(image, text, outputs(1), labels, anchors, loss)
    assert terms.keys() == {"code_similarity"}
    assert float(terms["code_similarity"]) == pytest.approx(0.25, 1e-6)


@pytest.mark.parametrize("power", [1.0, 3.0])
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_hasher_terms_overlap_is_the_target_of_a_pair(overlap, power):
    # Two items that share one of two labels, all hashes equal: cosines 1 against 1 for an item's
    # own pair, and against the overlap t for the two others: (1 - t)^2, half of all weight.
    target = {"dice": 1 / 2, "jaccard": 1 / 3}[overlap] ** power
    labels, alike = np.array([[1, 1, 0], [1, 0, 1]], np.float32), np.ones((2, 4))
    image, text = outputs(2, hashes=alike), outputs(2, hashes=alike)
    loss = only(cross_similarity=1.0, overlap=overlap, overlap_power=power, balance_pairs=False)
    terms = hasher_terms(image, text, None, labels, None, loss)
    assert float(terms["cross_similarity"]) == pytest.approx((1 - target) ** 2 / 2)


def test_hasher_terms_nested_code_similarity_is_the_mean_over_lengths():
    # The first eight bits of image and anchor agree, the last eight disagree: cosines 1 at 8 bits
    # and 0 at 16, against a target of 1: (0 + 1) / 2. The text agrees in all: 0.
    code = np.ones((1, 16), np.float32)
    image = {**outputs(1, hashes=[[1] * 8 + [-1] * 8])}
    anchors = anchors_of([[1, 0]], hashes=code)
    labels = np.array([[1, 0]], np.float32)
    loss = only(code_similarity=1.0, cross_similarity=1.0, nested="8,16")
    terms = hasher_terms(image, outputs(1, hashes=code), outputs(1), labels, anchors, loss)
    assert float(terms["code_similarity"]) == pytest.approx(0.5)
    assert float(terms["cross_similarity"]) == pytest.approx(0.5)


def test_hasher_terms_nested_instance_is_the_mean_over_lengths():
    hashes = RNG.uniform(-1, 1, (2, 3, 16))
    labels = np.eye(3, 2, dtype=np.float32)

    def instance(bits, nested=""):
        image, text = (outputs(3, hashes=each[:, :bits]) for each in hashes)
        loss = only(instance=1.0, nested=nested)
        terms = hasher_terms(image, text, outputs(3), labels, anchors_of(labels), loss)
        return float(terms["instance"])

    assert instance(16, "8,16") == pytest.approx((instance(8) + instance(16)) / 2, rel=1e-5)


def test_hasher_terms_likelihood_theta_is_half_the_inner_product():
    # The same with theta = <h, h_l> / 2 = 1 for both anchors, S = 1 and 0:
    # 0.5 (softplus(1) - 1) + 0.5 softplus(1) = 0.813262 for the image; theta = 2 and 0 for the
    # text: 0.5 (softplus(2) - 2) + 0.5 softplus(0) = 0.063464 + 0.346574. Together 1.223299.
    anchors = anchors_of([[1, 0], [0, 1]], hashes=[[1, 1, 1, 1], [1, -1, 1, -1]])
    image, text = outputs(1, hashes=[[1, 1, 1, -1]]), outputs(1, hashes=[[1, 1, 1, 1]])
    labels = np.array([[1, 0]], np.float32)
    loss = only(code_similarity=1.0, similarity_form="likelihood")
    terms = hasher_terms(image, text, outputs(1), labels, anchors, loss)
    assert float(terms["code_similarity"]) == pytest.approx(1.223299, 1e-5)


def test_hasher_terms_feature_similarity_does_not_feel_lengths():
    anchors = anchors_of([[1, 0], [0, 1], [1, 1]])
    image, text, labels = outputs(2), outputs(2), np.eye(2, dtype=np.float32)
    loss = only(feature_similarity=1.0)
    value = hasher_terms(image, text, outputs(2), labels, anchors, loss)["feature_similarity"]
    longer = {**image, "features": image["features"] * 50}
    again = hasher_terms(longer, text, outputs(2), labels, anchors, loss)["feature_similarity"]
    assert float(again) == pytest.approx(float(value), 1e-5)


def test_hasher_terms_quantization_codes_are_the_sign_of_all_three_hashes():
    # Sums 0.5 + 0.5 - 0.2 > 0, -1 + 0.5 + 0.4 < 0, 0.5 - 0.5 + 0 = 0: codes 1, -1, 1.
    image, text, label = (
        outputs(1, hashes=[each])
        for each in ([0.5, -1, 0.5, 1], [0.5, 0.5, -0.5, 1], [-0.2, 0.4, 0, 1])
    )
    # Image: (0.25 + 0 + 0.25 + 0) / 4 = 0.125. Text: (0.25 + 2.25 + 2.25 + 0) / 4 = 1.1875.
    labels = np.array([[1, 0]], np.float32)
    terms = hasher_terms(image, text, label, labels, anchors_of(labels), only(quantization=1.0))
    assert float(terms["quantization"]) == pytest.approx(1.3125, 1e-6)


@pytest.mark.parametrize("form", ["levels", "likelihood"])
def test_hasher_terms_of_zero_features_have_finite_gradients(form):
    anchors = anchors_of([[1, 0], [0, 1]], features=np.zeros((2, 3)))
    loss = only(feature_similarity=1.0, similarity_form=form)
    features = tf.zeros((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(features)
        image = {**outputs(2), "features": features}
        labels = np.eye(2, dtype=np.float32)
        value = hasher_terms(image, image, outputs(2), labels, anchors, loss)["feature_similarity"]
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, features)).all()


@pytest.mark.parametrize("form", ["hinge", "likelihood"])
def test_hasher_terms_local_compares_the_first_items_alone(form):
    def unit(values):
        return values / np.linalg.norm(values, axis=-1, keepdims=True)

    image = {**outputs(6), "regions": unit(RNG.normal(size=(6, 3, 5))).astype(np.float32)}
    words = unit(RNG.normal(size=(6, 2, 5))).astype(np.float32)
    text = {**outputs(6), "words": words, "word_mask": np.ones((6, 2), np.float32)}
    labels, loss = np.eye(6, 2, dtype=np.float32), only(local=1.0, local_form=form, local_items=3)
    anchors = anchors_of([[1, 0], [0, 1]])
    attention = CrossModalAttention()
    value = hasher_terms(image, text, outputs(6), labels, anchors, loss, attention)["local"]
    few = [{name: each[:3] for name, each in part.items()} for part in (image, text, outputs(6))]
    again = hasher_terms(*few, labels[:3], anchors, loss, attention)["local"]
    assert float(again) == pytest.approx(float(value), 1e-5)
    assert "local" not in hasher_terms(image, text, outputs(6), labels, anchors, loss, None)


def test_hasher_terms_instance_looks_at_the_cosines_of_counterparts():
    # Hashes of items agree with their own counterparts and have nothing with the other's:
    # cosines 1 and 0. T = 1/32 of 64 bits is 1/2 for four: logits 2 and 0, a softplus(-2) of
    # 0.126928.
    hashes = [[1, 1, 1, 1], [1, -1, 1, -1]]
    image, text = outputs(2, hashes=hashes), outputs(2, hashes=hashes)
    labels = np.ones((2, 2), np.float32)
    loss = only(instance=1.0, instance_temperature=0.03125)
    terms = hasher_terms(image, text, outputs(2), labels, anchors_of(labels), loss)
    assert float(terms["instance"]) == pytest.approx(0.126928, 1e-4)
    # The same T at every length.
    loss = only(instance=1.0, instance_temperature=0.5, instance_bits=0)
    terms = hasher_terms(image, text, outputs(2), labels, anchors_of(labels), loss)
    assert float(terms["instance"]) == pytest.approx(0.126928, 1e-4)


def test_terms_are_weights_of_the_configuration_and_all_that_are_computed():
    loss = LossConfig(**dict.fromkeys(TERMS, 1.0))
    rng = np.random.default_rng(0)
    image = {**outputs(2), "regions": rng.normal(size=(2, 3, 5)).astype(np.float32)}
    words = rng.normal(size=(2, 3, 5)).astype(np.float32)
    text = {**outputs(2), "words": words, "word_mask": np.ones((2, 3), np.float32)}
    labels = np.eye(2, dtype=np.float32)
    terms = hasher_terms(
        image, text, outputs(2), labels, anchors_of(labels), loss, CrossModalAttention()
    )
    # The model itself adds the adversarial one, which needs the discriminators.
    assert terms.keys() == set(TERMS) - {"adversarial"}


def test_label_net_terms_have_no_term_of_two_modalities():
    labels = np.eye(2, dtype=np.float32)
    loss = LossConfig(**dict.fromkeys(ZERO, 1.0))
    terms = label_net_terms(outputs(2), labels, anchors_of(labels), loss)
    expected = set(TERMS) - {"cross_similarity", "instance", "adversarial", "local"}
    assert terms.keys() == expected
    assert label_net_terms(outputs(2), labels, anchors_of(labels), only()) == {}


def test_total_is_the_weighted_sum():
    loss = only(classification=2.0, quantization=0.5)
    assert total({"classification": 3.0, "quantization": 4.0}, loss) == 8.0
    assert total({}, loss) == 0.0
