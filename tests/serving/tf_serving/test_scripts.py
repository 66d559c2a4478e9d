"""The scripts and examples of `serving/tf_serving/` do what they say."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from udsph_tf.serving import TextEncoder

FOLDER = Path(__file__).parents[3] / "serving" / "tf_serving"
README = (FOLDER / "README.md").read_text()


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(script, *arguments)`, as its own program: its exit code and what it printed."""

    def program(script, *arguments):
        before = set(flags.FLAGS)
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        try:
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(FOLDER / script), run_name="__main__")
        finally:
            for name in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, name)
        return ended.value.code, capsys.readouterr().out

    return program


@pytest.fixture
def examples(server, tiny_export, pictures, tmp_path):
    """`examples(language)`, the README's blocks with the addresses and files of the tests."""
    (tmp_path / "shoe.jpg").write_bytes(pictures[0])
    changes = {
        "grpc://127.0.0.1:8500": server.grpc,
        "127.0.0.1:8500": server.grpc.removeprefix("grpc://"),
        "http://127.0.0.1:8501": server.rest,
        "artefacts/fashion": str(tiny_export),
        "shoe.jpg": str(tmp_path / "shoe.jpg"),
    }

    def blocks(language):
        for block in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL):
            for old, new in changes.items():
                block = block.replace(old, new)
            yield block

    return blocks


def test_smoke_script_ends_with_0_where_the_codes_are_right(run, server, tiny_export):
    addresses = ("--grpc", server.grpc, "--rest", server.rest)
    code, printed = run("smoke.py", "--artefacts", str(tiny_export), *addresses)
    assert code == 0
    lines = printed.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("ok ") and "version 1 AVAILABLE" in line for line in lines)


def test_smoke_script_ends_with_1_where_nobody_or_another_answers(run, server, tiny_export):
    label = f"{server.rest}/labels/absent"
    addresses = ("--grpc", "grpc://127.0.0.1:1", "--rest", label, "--wait", "0.1")
    code, printed = run("smoke.py", "--artefacts", str(tiny_export), *addresses)
    assert code == 1
    assert [line.split()[0] for line in printed.splitlines()] == ["failed"] * 4
    assert "ready within 0.1 s" in printed
    assert "Unrecognized servable version label: absent" in printed


@pytest.mark.parametrize("modality", ["image", "text"])
def test_load_test_counts_right_answers(run, address, tiny_export, modality):
    arguments = ("--clients", "3", "--batch", "3", "--seconds", "0.4", "--modality", modality)
    code, printed = run(
        "load_test.py", "--artefacts", str(tiny_export), "--address", address, *arguments
    )
    assert code == 0
    assert int(re.match(r"(\d+) requests, \d+ items/s, p50 .* ms, p99", printed)[1]) >= 3


def test_load_test_fails_with_a_request(run, server, tiny_export):
    arguments = ("--artefacts", str(tiny_export), "--address", server.grpc, "--seconds", "20")
    server.cause(fail="INTERNAL", times=1, spare=5)
    code, printed = run("load_test.py", *arguments)
    assert "INTERNAL: a fault was asked for" in code
    assert " requests, " in printed
    server.cause(fail="INTERNAL", times=1)  # the golden items already
    code, _ = run("load_test.py", *arguments)
    assert "INTERNAL: a fault was asked for" in code


def test_load_test_loads_this_machine_alone(run, tiny_export):
    code, _ = run(
        "load_test.py", "--artefacts", str(tiny_export), "--address", "grpc://10.0.0.1:8500"
    )
    assert "--address must be on loopback" in code


def test_readme_python_runs(examples, tiny_export, capsys):
    client, by_hand = examples("python")
    names = {}
    exec(client, names)
    expected = TextEncoder(tiny_export).encode(["red running shoes", "a checked shirt"])
    np.testing.assert_array_equal(names["packed"], expected)
    assert set(names["outputs"]) == {"packed", "hash"}
    exec(by_hand, {})
    assert capsys.readouterr().out.strip() == str(expected[:1])


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_readme_requests_by_hand_are_answered(examples, tiny_export):
    (block,) = [each for each in examples("sh") if "curl" in each]
    done = subprocess.run(["bash", "-ec", block], capture_output=True, text=True, check=True)
    decoder, text, answers = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].lstrip()
    status, by_text, by_image = answers
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    expected = TextEncoder(tiny_export).encode(["red running shoes"])
    assert by_text["predictions"][0]["packed"] == expected[0].tolist()
    assert set(by_image["predictions"][0]) == {"packed", "hash"}
