"""The programs of docs/on-device.md that can run here, on a real export."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from udsph_tf.data.resize import resize
from udsph_tf.serving import ImageEncoder

PAGE = Path(__file__).parent.parent / "docs" / "on-device.md"


def programs(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def program(tiny_export):
    """Names that the Python program defines, run in the folder of an export."""
    (text,) = programs("python")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny_export)
        patch.syspath_prepend(str(tiny_export))
        exec(compile(text, str(PAGE), "exec"), names)
    return names


def test_the_python_program_hashes_pictures_as_the_package_does(program, tiny_export, tiny_pairs):
    # PNG alone: the two JPEG decoders may differ by a level.
    paths = [str(each) for each in tiny_pairs.images if str(each).endswith(".png")][:20]
    codes = np.stack([program["code"](each) for each in paths])
    expected = ImageEncoder(tiny_export, "int8").encode([Path(each).read_bytes() for each in paths])
    np.testing.assert_array_equal(codes, expected)
    rows, distances = program["nearest"](codes[3], codes, 5)
    assert distances[0] == 0
    assert np.array_equal(codes[rows[0]], codes[3])


def test_the_python_search_finds_the_nearest_by_hand(program):
    codes = np.array([[0b1111, 0], [0b0111, 1], [0, 0]], np.uint8)
    rows, distances = program["nearest"](np.array([0b0110, 0], np.uint8), codes, 3)
    # Bits that differ: 2; 1 + 1; 2. Equal distances keep the order of rows.
    assert distances.tolist() == [2, 2, 2]
    assert rows.tolist() == [0, 1, 2]


MAIN = """
#include <cstdio>
int main() {
  int shape[3];
  std::fread(shape, sizeof(int), 3, stdin);
  std::vector<std::uint8_t> rgb(std::size_t(shape[0]) * shape[1] * 3);
  std::fread(rgb.data(), 1, rgb.size(), stdin);
  const auto pixels = resize(rgb.data(), shape[0], shape[1], shape[2]);
  std::fwrite(pixels.data(), 1, pixels.size(), stdout);
  // The picture's first bytes as codes: the first eight are the query.
  for (const auto& [distance, row] : nearest(rgb.data(), rgb.data(), 16, 8, 3))
    std::fprintf(stderr, "%d %d\\n", distance, row);
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs the compiler g++")
def test_the_cpp_resize_and_search_equal_those_of_numpy(program, tmp_path):
    source, binary = tmp_path / "device.cpp", tmp_path / "device"
    source.write_text(programs("cpp")[0] + MAIN)
    flags = ["-std=c++20", "-O1", "-Wall", "-Wno-unused-result", "-Werror", "-ffp-contract=off"]
    subprocess.run(["g++", *flags, str(source), "-o", str(binary)], check=True)
    for shape, size in (((60, 80), 128), ((90, 61), 32), ((1, 300), 32)):
        picture = np.random.default_rng(size).integers(0, 256, (*shape, 3), dtype=np.uint8)
        given = np.array([*shape, size], np.int32).tobytes() + picture.tobytes()
        done = subprocess.run([str(binary)], input=given, capture_output=True, check=True)
        found = np.frombuffer(done.stdout, np.uint8).reshape(size, size, 3)
        np.testing.assert_array_equal(found, resize(picture, size))
        codes = picture.reshape(-1)[:128].reshape(16, 8)
        rows, distances = program["nearest"](codes[0], codes, 3)
        told = [[int(each) for each in line.split()] for line in done.stderr.decode().splitlines()]
        assert told == np.stack([distances, rows], axis=1).tolist()
