"""Addresses and settings of a client, and the package without its optional libraries."""

import sys

import pytest

from udsph_tf.serving import tf_serving
from udsph_tf.serving.tf_serving import ClientSettings
from udsph_tf.serving.tf_serving.address import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grpc://127.0.0.1:8500", ("grpc", "127.0.0.1:8500", None, None)),
        ("grpcs://models.example:443/", ("grpcs", "models.example:443", None, None)),
        ("http://[::1]:8501/versions/12", ("http", "[::1]:8501", 12, None)),
        ("https://h:1/labels/stable-2.1", ("https", "h:1", None, "stable-2.1")),
    ],
)
def test_address_is_read(text, expected):
    address = Address.parse(text)
    assert (address.scheme, address.host, address.version, address.label) == expected
    assert str(address) == f"{expected[0]}://{expected[1]}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8500",
        "grpc://",
        "grpc://host",
        "ftp://host:1",
        "grpc://host:1/versions/one",
        "grpc://host:1/labels/",
        "grpc://user@host:1",
        "http://host:1/v1/models/text",
        "http://host:1/versions/1/labels/a",
        "http://ho st:1",
        "http://host:99999",
        "grpc://host:0",
        "http://ho%st:1",
    ],
)
def test_what_is_no_address_is_an_error(text):
    with pytest.raises(ValueError, match="The address of a model server must be grpc://host:port"):
        Address.parse(text)


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"attempts": 0}, {"attempts": 1.5}, {"max_batch": True}, {"max_delay": -1}],
)
def test_settings_must_be_positive(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be positive. Received:"):
        ClientSettings(**wrong)


def test_without_the_optional_libraries_it_says_what_to_install(monkeypatch):
    package = "udsph_tf.serving.tf_serving"
    for name in ("served_model", "grpc_transport"):
        monkeypatch.delitem(sys.modules, f"{package}.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ImportError, match=r"pip install 'udsph-tf\[serving\]'"):
        tf_serving.ServedModel  # noqa: B018
