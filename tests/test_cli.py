"""The `udsph` command as its users meet it: a whole chain, and every way to use it wrongly.

Commands run in processes of their own; many of them share one, through the same entry point, so
that TensorFlow is imported once for all.
"""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fresh_process import run_fresh
from PIL import Image

from udsph_tf import cli
from udsph_tf.commands import COMMANDS as MODULES
from udsph_tf.config import load_config, override, to_toml
from udsph_tf.data import CATALOGUE
from udsph_tf.evaluation import format_table
from udsph_tf.search import Item, open_index, write_index
from udsph_tf.version import __version__

COMMANDS = tuple(each.__name__.rpartition(".")[2] for each in MODULES)

MANY_COMMANDS = """
import contextlib, io, json, os, resource, sys, traceback
from udsph_tf.cli import run

os.environ["COLUMNS"] = "300"
answers = {}
for name, (argv, limit) in json.load(open("cases.json")).items():
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["udsph", *argv]
    whole = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            # No file may grow beyond the limit: what a full disk does, for every user.
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit or whole[0], whole[1]))
            run()
            code = None
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = "traceback"
            traceback.print_exc()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, whole)
    answers[name] = [code, out.getvalue(), err.getvalue()]
json.dump(answers, open("answers.json", "w"))
"""

# By name: the command line, and what its message must hold. `{...}` are paths made below.
WRONG_USE = {
    "no command": ([], "the following arguments are required: command"),
    "unknown command": (["fitt"], "invalid choice: 'fitt' (choose from"),
    "unknown flag": (["fit", "--datset", "x"], "arguments: --datset x. Did you mean `--dataset`?"),
    "flag of another command": (
        ["attend", "--run", "{new}", "--out", "{new}.png", "--cache", "x"],
        "udsph attend: error: unrecognized arguments: --cache x. Valid names: `--help`",
    ),
    "abbreviated flag": (["fit", "--data", "x"], "unrecognized arguments: --data"),
    "bits 12": (
        ["fit", "--bits", "12", "--out", "{new}"],
        "`num_bits` must be a positive multiple of 8. Received: num_bits=12",
    ),
    "bits many": (["fit", "--bits", "many", "--out", "{new}"], "must be of type int"),
    "unknown data set": (
        ["fit", "--dataset", "fashoin", "--out", "{new}"],
        "Unknown data set `fashoin`. Did you mean `fashion`?",
    ),
    "unknown key": (
        ["fit", "--set", "loss.locl=0", "--out", "{new}"],
        "Unknown config key `loss.locl`. Did you mean `local`?",
    ),
    "fine-tuning a body that is trained from the start": (
        ["fit", "--set", "image.body=small_cnn", "--finetune", "image", "--out", "{new}"],
        "this run's image body is trained from the start. Set image.trainable=false",
    ),
    "fine-tuning of nothing": (["fit", "--finetune", "labels"], "invalid choice: 'labels'"),
    "fine-tuning from an unknown block": (
        [
            *("fit", "--dataset", "manifest", "--root", "{collection}", "--finetune", "image"),
            *("--set", "image.body=small_cnn", "--set", "image.trainable=false"),
            *("--set", "training.finetune_from=blok3"),
            *("--out", "{scratch}/blockless"),
        ],
        "Unknown block `blok3` of small_cnn. Did you mean `block3`?",
    ),
    "unknown section": (
        ["fit", "--set", "los.local=0", "--out", "{new}"],
        "Unknown config section `los`. Did you mean `loss`?",
    ),
    "no section": (["fit", "--set", "local=0", "--out", "{new}"], "--set takes section.key=value"),
    "no value": (["fit", "--set", "loss.local", "--out", "{new}"], "--set takes section.key=value"),
    "absent config": (["fit", "--config", "{new}"], "There is no config file"),
    "config that is no TOML": (["fit", "--config", "{file}"], "is not a TOML file"),
    "fit without root": (
        ["fit", "--dataset", "manifest", "--out", "{scratch}/rootless"],
        "`manifest` needs --root, a folder with manifest.csv",
    ),
    "fit of vectors as pictures": (
        [
            *("fit", "--dataset", "wikipedia", "--root", "{vectors}"),
            *("--set", "image.body=small_cnn", "--out", "{scratch}/bodies"),
        ],
        "`wikipedia` holds feature vectors: `image.body` must be `vector`. Received: ",
    ),
    "existing run": (
        ["fit", "--dataset", "manifest", "--root", "{collection}", "--out", "{run}"],
        "exists. Choose another --out, or go on with it: --resume",
    ),
    "resume with other settings": (
        ["fit", "--config", "{run}/config.toml", "--bits", "8", "--out", "{run}", "--resume"],
        "holds a run with another network.num_bits (16, not 8)",
    ),
    "evaluate without run": (["evaluate"], "arguments are required: --run"),
    "evaluate of no run": (
        ["evaluate", "--run", "{new}"],
        "is not a run folder; `udsph fit --out` makes one",
    ),
    "evaluate of an unfinished run": (
        ["evaluate", "--run", "{unfinished}"],
        "has not ended. Go on with it: udsph fit ... --resume",
    ),
    "evaluate of a train role": (
        ["evaluate", "--run", "{run}", "--role", "train"],
        "invalid choice",
    ),
    "evaluate of other data": (
        ["evaluate", "--run", "{moved}", "--cache", "{cache}"],
        "The split was made of other data (of `manifest`",
    ),
    "export of other data": (
        ["export", "--run", "{moved}", "--out", "{new}"],
        "The split was made of other data (of `manifest`",
    ),
    "index of other data": (
        ["index", "--artefacts", "{export}", "--run", "{moved}", "--out", "{new}"],
        "The split was made of other data (of `manifest`",
    ),
    "index of codes and a data set": (
        ["index", "--codes", "{new}", "--dataset", "manifest", "--out", "{new}"],
        "--codes are encoded already: nothing else goes with them",
    ),
    "index in Milvus of a data set": (
        [
            *("index", "--artefacts", "{export}", "--dataset", "manifest"),
            *("--out", "milvus:lite.db#made"),
        ],
        "Into Milvus go --codes, which `udsph encode` writes",
    ),
    "search in Milvus without a collection": (
        ["search", "red", "--artefacts", "{export}", "--index", "milvus:lite.db"],
        "An index in Milvus is milvus:URI#COLLECTION, such as",
    ),
    "index of no codes": (
        ["index", "--codes", "{collection}", "--out", "{new}"],
        "holds no finished encoding: ",
    ),
    "index without encoders": (
        ["index", "--dataset", "manifest", "--out", "{new}"],
        "Give --artefacts, an export folder; or --codes",
    ),
    "encode of nothing": (
        ["encode", "--artefacts", "{export}", "--out", "{new}"],
        "Give either --run (its database items) or --dataset (all its items)",
    ),
    "encode with an option of no runner": (
        [
            *("encode", "--artefacts", "{export}", "--run", "{run}", "--out", "{new}"),
            *("--runner-option", "parallelism=2"),
        ],
        "--runner-option goes with --runner",
    ),
    "encode into a folder of pictures": (
        ["encode", "--artefacts", "{export}", "--run", "{run}", "--out", "{collection}"],
        "is no folder of codes: it holds ",
    ),
    "attention of nothing": (
        ["attend", "--run", "{joint}", "--out", "{new}.png"],
        "Give either --item ID, or --image FILE and --text WORDS",
    ),
    "attention of a picture without text": (
        ["attend", "--run", "{joint}", "--image", "{picture}", "--out", "{new}.png"],
        "Give either --item ID, or --image FILE and --text WORDS",
    ),
    "attention of two things": (
        ["attend", "--run", "{joint}", "--item", "000", "--text", "red", "--out", "{new}.png"],
        "Give either --item ID, or --image FILE and --text WORDS",
    ),
    "attention to no text": (
        ["attend", "--run", "{joint}", "--image", "{picture}", "--text", " ", "--out", "{new}.png"],
        "The text is empty; give at least one word",
    ),
    "attention to unknown words": (
        [
            "attend",
            "--run",
            "{joint}",
            "--image",
            "{picture}",
            "--text",
            "裙",
            "--out",
            "{new}.png",
        ],
        "The model knows no word of the text '裙'",
    ),
    "attention to an absent picture": (
        ["attend", "--run", "{joint}", "--image", "{new}", "--text", "red", "--out", "{new}.png"],
        "new: the file does not exist",
    ),
    "attention to a file that is no picture": (
        ["attend", "--run", "{joint}", "--image", "{file}", "--text", "red", "--out", "{new}.png"],
        "file: not an image in a known format",
    ),
    "attention of an unknown item": (
        ["attend", "--run", "{joint}", "--item", "000", "0001", "--out", "{new}.png"],
        "The run has no item `0001`. Did you mean `001`?",
    ),
    "attention drawn into a file that is no PNG": (
        ["attend", "--run", "{joint}", "--item", "000", "--out", "{new}.jpg"],
        '`path` must end in ".png"',
    ),
    "attention that was never trained": (
        ["attend", "--run", "{local_free}", "--item", "000", "--out", "{new}.png"],
        "was never trained: its `loss.local` is 0",
    ),
    "attention of an unfinished run": (
        ["attend", "--run", "{unfinished}", "--item", "000", "--out", "{new}.png"],
        "has not ended. Go on with it",
    ),
    "export of an unfinished run": (
        ["export", "--run", "{unfinished}", "--out", "{new}"],
        "has not ended. Go on with it",
    ),
    "export to an existing folder": (
        ["export", "--run", "{run}", "--out", "{export}"],
        "exists. Choose another folder, or pass overwrite (--overwrite)",
    ),
    "export over a run": (
        ["export", "--run", "{run}", "--out", "{run}", "--overwrite"],
        "exists and is not an export",
    ),
    "export of no items": (["export", "--run", "r", "--out", "o", "--items", "0"], "at least 1"),
    "export of some items": (
        ["export", "--run", "r", "--out", "o", "--items", "some"],
        "argument --items: must be a whole number of at least 1, not 'some'",
    ),
    "index of nothing": (
        ["index", "--artefacts", "{export}", "--out", "{new}"],
        "Give either --run (its database items) or --dataset (all its items)",
    ),
    "index of two things": (
        ["index", "--artefacts", "{export}", "--out", "{new}", "--run", "r", "--dataset", "d"],
        "Give either --run (its database items) or --dataset (all its items)",
    ),
    "index of a run with a root": (
        ["index", "--artefacts", "{export}", "--out", "{new}", "--run", "r", "--root", "d"],
        "--root belongs to --dataset",
    ),
    "index of a data set without root": (
        ["index", "--artefacts", "{export}", "--out", "{new}", "--dataset", "manifest"],
        "`manifest` needs --root",
    ),
    "index of vectors": (
        [
            *("index", "--artefacts", "{export}", "--out", "{new}"),
            *("--dataset", "wikipedia", "--root", "{vectors}"),
        ],
        "`wikipedia` holds feature vectors, which have no image or text encoder",
    ),
    "index of an unknown data set": (
        ["index", "--artefacts", "{export}", "--out", "{new}", "--dataset", "manifset"],
        "Unknown data set `manifset`. Did you mean `manifest`?",
    ),
    "verify of no export": (["verify", "{new}"], "holds no export; `udsph export --out` makes one"),
    "index of an unfinished run": (
        ["index", "--artefacts", "{export}", "--run", "{unfinished}", "--out", "{new}"],
        "has not ended. Go on with it",
    ),
    "index without export": (
        ["index", "--artefacts", "{new}", "--run", "{run}", "--out", "{new}"],
        "holds no export; `udsph export --out` makes one",
    ),
    "index to an existing folder": (
        ["index", "--artefacts", "{export}", "--run", "{run}", "--out", "{index}"],
        "exists. Choose another folder, or pass",
    ),
    "search for nothing": (
        ["search", "--artefacts", "{export}", "--index", "{index}"],
        "Give either words or --image FILE to search with",
    ),
    "search for two things": (
        ["search", "red", "--image", "{file}", "--artefacts", "{export}", "--index", "{index}"],
        "Give either words or --image FILE to search with",
    ),
    "search for blanks": (
        ["search", "  ", "--artefacts", "{export}", "--index", "{index}"],
        "The query is empty; give at least one word",
    ),
    "search for unknown words": (
        ["search", "连衣裙", "--artefacts", "{export}", "--index", "{index}"],
        "The model knows no word of the query '连衣裙'",
    ),
    "search for bytes": (
        ["search", "\udcff", "--artefacts", "{export}", "--index", "{index}"],
        "The model knows no word of the query",
    ),
    "search with an absent picture": (
        ["search", "--image", "{new}", "--artefacts", "{export}", "--index", "{index}"],
        "new: the file does not exist",
    ),
    "search with a file that is no picture": (
        ["search", "--image", "{file}", "--artefacts", "{export}", "--index", "{index}"],
        "file: not an image in a known format",
    ),
    "search without export": (
        ["search", "red", "--artefacts", "{new}", "--index", "{index}"],
        "holds no export",
    ),
    "search in a damaged export": (
        ["search", "red", "--artefacts", "{damaged}", "--index", "{index}"],
        "text.float32.tflite has been changed: its checksum is wrong. Export again",
    ),
    "search without index": (
        ["search", "red", "--artefacts", "{export}", "--index", "{new}"],
        "Run `udsph index` first",
    ),
    "search in an index of another model": (
        ["search", "red", "--artefacts", "{export}", "--index", "{foreign}"],
        "index was built by another model",
    ),
    "search by bits that are no code": (
        ["search", "red", "--artefacts", "{export}", "--index", "{index}", "--bits", "8"],
        "--bits must be one of 16, the lengths that this index can be searched by",
    ),
    "search with a filter that is none": (
        ["search", "red", "--artefacts", "{export}", "--index", "{index}", "--filter", "red"],
        "--filter takes field=value, such as colour=red. Received: 'red'",
    ),
    "search with an unknown field": (
        ["search", "red", "--artefacts", "{export}", "--index", "{index}", "--filter", "color=red"],
        "no item has this field. Did you mean `colour`?",
    ),
    "search with an unknown value": (
        ["search", "red", "--artefacts", "{export}", "--index", "{index}", "--filter", "colour=rd"],
        "no item has this value. Did you mean `red`?",
    ),
    "search for no hits": (
        ["search", "red", "--artefacts", "a", "--index", "i", "-k", "0"],
        "argument -k: must be a whole number of at least 1, not '0'",
    ),
    "add to an index of another kind": (
        [
            *("index", "--artefacts", "{export}", "--run", "{run}", "--out", "{index}"),
            *("--add", "--kind", "ivf"),
        ],
        "keeps the index as it is",
    ),
    "replace without add": (
        ["index", "--artefacts", "a", "--run", "r", "--out", "o", "--replace"],
        "(--replace) goes with add (--add)",
    ),
    "add to no index": (
        ["index", "--artefacts", "{export}", "--run", "{run}", "--out", "{new}", "--add"],
        "Run `udsph index` first",
    ),
    "prune of nothing": (["prune", "--index", "{index}"], "Give ids with --delete"),
    "prune of an absent item": (
        ["prune", "--index", "{index}", "--delete", "nobody"],
        "1 ids are not in the index, such as 'nobody'. Nothing was deleted",
    ),
    "prune of no index": (
        ["prune", "--index", "{new}", "--delete", "000"],
        "Run `udsph index` first",
    ),
    "monitor of no index": (["monitor", "--index", "{new}"], "Run `udsph index` first"),
    "monitor of new items of another model": (
        ["monitor", "--index", "{index}", "--new", "{foreign}"],
        "index was built by another model",
    ),
    "serve without export": (
        ["serve", "--artefacts", "{new}", "--index", "{index}", "--port", "0"],
        "holds no export",
    ),
    "serve an index of another model": (
        ["serve", "--artefacts", "{export}", "--index", "{foreign}", "--port", "0"],
        "index was built by another model",
    ),
    "serve on no port": (
        ["serve", "--artefacts", "a", "--index", "i", "--port", "99999"],
        "--port must be from 0 to 65535",
    ),
    "serve on an address of nobody": (
        ["serve", "--artefacts", "a", "--index", "i", "--host", "203.0.113.1"],
        "Cannot listen on 203.0.113.1 port 8080",
    ),
    "serve huge uploads": (
        ["serve", "--artefacts", "a", "--index", "i", "--max-upload", "1000000000"],
        "`upload_bytes` must be at most",
    ),
    "search at what is no address": (
        ["search", "red", "--artefacts", "{export}", "--index", "{index}", "--tf-serving", "here"],
        "The address of a model server must be grpc://host:port or http://host:port",
    ),
    "search with a sheet that is no PNG": (
        ["search", "red", "--artefacts", "{export}", "--index", "{index}", "--sheet", "{new}.jpg"],
        '`path` must end in ".png"',
    ),
}
# The same where a file cannot be written: the command line, the largest file in bytes, and the
# message.
UNWRITABLE = {
    "fit below a file": (
        ["fit", "--config", "{run}/config.toml", "--out", "{file}/run", "--cache", "{cache}"],
        None,
        "{file}",
    ),
    "attention below a file": (
        ["attend", "--run", "{joint}", "--item", "000", "--out", "{file}/a.png"],
        None,
        "File exists",
    ),
    "export below a file": (["export", "--run", "{run}", "--out", "{file}/x"], None, "{file}"),
    "index below a file": (
        ["index", "--artefacts", "{export}", "--run", "{run}", "--out", "{file}/x"],
        None,
        "{file}",
    ),
    "sheet below a file": (
        [
            "search",
            "red",
            "--artefacts",
            "{export}",
            "--index",
            "{index}",
            "--sheet",
            "{file}/a.png",
        ],
        None,
        "File exists",
    ),
    "fit on a full disk": (
        ["fit", "--config", "{run}/config.toml", "--out", "{full}/run", "--cache", "{cache}"],
        100_000,
        "Is there room on the disk, and may it be written?",
    ),
    "export on a full disk": (
        ["export", "--run", "{run}", "--out", "{full}/export"],
        1_000_000,
        "The SavedModel cannot be written: File too large. Is there room on the disk",
    ),
    "index on a full disk": (
        ["index", "--artefacts", "{export}", "--run", "{run}", "--out", "{full}/index"],
        500,
        "File too large. Is there room on the disk, and may it be written?",
    ),
    "sheet on a full disk": (
        [
            "search",
            "red",
            "--artefacts",
            "{export}",
            "--index",
            "{index}",
            "--sheet",
            "{full}/a.png",
        ],
        500,
        "File too large. Is there room on the disk, and may it be written?",
    ),
}
FINE = {
    "datasets": ["datasets"],
    "datasets --json": ["datasets", "--json"],
    "help": ["--help"],
    **{f"help {name}": [name, "--help"] for name in COMMANDS},
}


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def paths(
    tiny_run,
    tiny_export,
    tiny_index,
    tiny_cache,
    drawn_collection,
    made_wikipedia,
    tmp_path_factory,
):
    """What the command lines above name."""
    scratch = tmp_path_factory.mktemp("cli")
    (scratch / "file").write_text("not a picture, = not TOML")
    (scratch / "full").mkdir()
    unfinished = shutil.copytree(tiny_run.path, scratch / "unfinished")
    (unfinished / "run.json").unlink()
    (unfinished / "problems.json").unlink()
    damaged = shutil.copytree(tiny_export, scratch / "damaged")
    with open(damaged / "text.float32.tflite", "ab") as file:
        file.write(b"\0")
    write_index(
        scratch / "foreign",
        image_packed=np.zeros((1, 2), np.uint8),
        text_packed=np.zeros((1, 2), np.uint8),
        items=[Item("1", "red", "1.png")],
        model_checksum="0" * 64,
    )
    # The run's data, of which one label was corrected after training.
    changed = shutil.copytree(drawn_collection, scratch / "changed")
    table = (changed / "manifest.csv").read_text(encoding="utf-8")
    corrected = table.replace("shape=circle|colour=red", "shape=square|colour=red", 1)
    (changed / "manifest.csv").write_text(corrected, encoding="utf-8")
    moved = shutil.copytree(tiny_run.path, scratch / "moved")
    config = override(load_config(moved / "config.toml"), {"data": {"root": str(changed)}})
    (moved / "config.toml").write_text(to_toml(config), encoding="utf-8")
    # As if the first joint epoch had been the best: its attention was trained.
    joint = shutil.copytree(tiny_run.path, scratch / "joint")
    finished = json.loads((joint / "run.json").read_text())
    training = tiny_run.config().training
    best = training.separate_epochs + 1
    (joint / "run.json").write_text(json.dumps({**finished, "best_epoch": best}))
    local_free = shutil.copytree(joint, scratch / "local_free")
    config = override(load_config(joint / "config.toml"), {"loss": {"local": 0.0}})
    (local_free / "config.toml").write_text(to_toml(config), encoding="utf-8")
    return {
        "run": tiny_run.path,
        "export": tiny_export,
        "index": tiny_index,
        "cache": tiny_cache,
        "collection": drawn_collection,
        "vectors": made_wikipedia,
        "scratch": scratch,
        "new": scratch / "new",
        "picture": drawn_collection / "000.jpg",
        **{
            name: scratch / name
            for name in (
                "file",
                "full",
                "unfinished",
                "damaged",
                "foreign",
                "moved",
                "joint",
                "local_free",
            )
        },
    }


@pytest.fixture(scope="module")
def started(pool, paths, tmp_path_factory):
    """Both long parts, begun at once: the answers by name, and the chain's by step."""

    def filled(argv):
        return [each.format(**paths) for each in argv]

    cases = {name: (argv, None) for name, argv in FINE.items()}
    cases |= {name: (filled(argv), None) for name, (argv, _) in WRONG_USE.items()}
    cases |= {name: (filled(argv), limit) for name, (argv, limit, _) in UNWRITABLE.items()}
    folder = tmp_path_factory.mktemp("chain")
    wrong = tmp_path_factory.mktemp("wrong")
    return pool.submit(run_many, cases, wrong), pool.submit(run_chain, paths, folder)


@pytest.fixture(scope="module")
def answers(started):
    return started[0].result()


@pytest.fixture(scope="module")
def chain(started):
    return started[1].result()


def run_many(cases, folder):
    (folder / "cases.json").write_text(json.dumps(cases))
    run_fresh(MANY_COMMANDS, folder, timeout=900)
    return json.loads((folder / "answers.json").read_text())


def run_chain(paths, folder):
    """Every command once, as a user would: training in one process, the rest in a later one."""
    config = override(
        load_config(paths["run"] / "config.toml"),
        {
            "data": {"root": ""},
            "training": {"separate_epochs": 2, "joint_epochs": 0, "refine_epochs": 1},
        },
    )
    (folder / "tiny.toml").write_text(to_toml(config), encoding="utf-8")
    run, export, index = (str(folder / name) for name in ("run", "export", "index"))
    cache = ["--cache", str(paths["cache"])]
    changed = ["--root", str(paths["collection"]), "--nested", "8,24", "--seed", "5"]
    fit = ["fit", "--config", str(folder / "tiny.toml"), *changed, "--out", run, *cache, "--json"]
    done = subprocess.run(
        [udsph(), *fit, "--set", "training.batch_size=64"],
        capture_output=True,
        text=True,
        check=False,
    )
    made = ["--artefacts", export, "--index", index]
    sheets = {name: ["--sheet", str(folder / f"{name}.png")] for name in ("words", "picture")}
    picture = ["--image", str(paths["collection"] / "000.jpg"), "--find", "texts"]
    attend = ["attend", "--run", str(paths["joint"])]
    steps = {
        "evaluate": ["evaluate", "--run", run, *cache, "--json"],
        "export": ["export", "--run", run, "--out", export, "--items", "3", "--json"],
        "verify": ["verify", export, "--json"],
        "index": ["index", "--artefacts", export, "--run", run, "--out", index, "--json"],
        "attend": [*attend, "--item", "000", "001", "--out", str(folder / "maps" / "items.png")],
        "attend --json": [
            *attend,
            *picture[:2],
            *("--text", "a RED-circle", "--out", str(folder / "pair.png"), "--json"),
        ],
        "words": ["search", "a red circle", *made, "-k", "4", *sheets["words"]],
        "picture": ["search", *picture, *made, *sheets["picture"], "--json"],
        "first bits": ["search", "a red circle", *made, "--bits", "8", "-k", "68", "--json"],
        "items": [
            *("search", "a red circle", *made, "--find", "items", "--rerank"),
            *("--filter", "colour=red", "--filter", "colour=blue", "--filter", "shape=circle"),
            *("-k", "68", "--json"),
        ],
    }
    steps["radius"] = ["search", "a red circle", *made, "--radius", "0", "-k", "68", "--json"]
    answers = run_many({name: (argv, None) for name, argv in steps.items()}, folder)
    return {"folder": folder, "fit": (done.returncode, done.stdout, done.stderr), **answers}


def udsph():
    """The console script that was installed beside this Python."""
    script = Path(sys.executable).with_name("udsph")
    return str(script) if script.exists() else shutil.which("udsph")


def checked_json(answer):
    code, out, err = answer
    assert code == 0, err
    assert "Traceback" not in err
    return json.loads(out)


def test_fit_says_the_best_epoch_on_stdout_and_progress_on_stderr(chain):
    said = checked_json(chain["fit"])
    assert said["run"] == str(chain["folder"] / "run")
    assert said["best_epoch"] in (1, 2, 3)
    assert 0 <= said["validation_map"] <= 1
    lines = chain["fit"][2].splitlines()
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == [
        "1/3",
        "2/3",
        "3/3",
    ]
    config = load_config(chain["folder"] / "run" / "config.toml")
    assert (config.network.num_bits, config.training.seed) == (24, 5)
    assert config.training.batch_size == 64


def test_evaluate_prints_what_it_writes(chain):
    said = checked_json(chain["evaluate"])
    run = chain["folder"] / "run"
    assert said == json.loads((run / "results.json").read_text())
    assert said["counts"] == {"train": 68, "database": 68, "query": 8}
    assert format_table(said["directions"])
    assert {path.suffix for path in (run / "plots").iterdir()} == {".png"}


def test_attend_prints_words_with_their_agreement_and_draws_them(chain):
    code, out, err = chain["attend"]
    assert code == 0, err
    lines = out.splitlines()
    picture = chain["folder"] / "maps" / "items.png"
    assert [line for line in lines if not line.startswith("  ")] == [
        "000: a red circle",
        "001: a green circle",
        f"Picture {picture}",
    ]
    assert [line.split()[1] for line in lines[1:4]] == ["a", "red", "circle"]
    assert all(-1 <= float(line.split()[0]) <= 1 for line in lines[1:4])
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


def test_attend_json_has_the_weights_of_every_whole_word(chain):
    said = checked_json(chain["attend --json"])
    assert said["out"] == str(chain["folder"] / "pair.png")
    (pair,) = said["pairs"]
    assert pair["title"] == "a RED-circle"
    assert [each["word"] for each in pair["words"]] == ["a", "RED-circle"]
    for each in pair["words"]:
        weights = np.array(each["weights"])
        assert weights.shape == (2, 2)
        assert weights.sum() == pytest.approx(1, abs=1e-4)


def test_export_prints_its_verification(chain):
    said = checked_json(chain["export"])
    export = chain["folder"] / "export"
    assert said["verification"] == json.loads((export / "verification.json").read_text())
    assert said["verification"]["image"]["saved_model"]["items"] == 3
    # The chain has evaluated before: the export carries what was measured.
    metrics = json.loads((export / "manifest.json").read_text())["metrics"]
    assert 0 <= metrics["image_to_text"]["map"] <= 1
    # Of what libraries say while they convert, nothing reaches the user.
    noise = ("Sharding callback", "fingerprint", "unsupported characters")
    assert not [word for word in noise if word in chain["export"][2]]


def test_verify_prints_the_checks_that_it_made(chain):
    said = checked_json(chain["verify"])
    assert said["artefacts"] == str(chain["folder"] / "export")
    assert said["checks"] == ["files", "signatures", "operations", "golden"]
    assert said["wrong"] == []


def test_index_prints_how_many_items_it_holds(chain):
    said = checked_json(chain["index"])
    assert said == {"out": str(chain["folder"] / "index"), "items": 68, "left_out": []}
    index = open_index(chain["folder"] / "index")
    assert (len(index), index.num_bits) == (68, 24)


def test_search_for_words_prints_a_table_and_draws_a_sheet(chain):
    code, out, err = chain["words"]
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "query: a red circle"
    assert lines[1].split() == ["rank", "distance", "id", "text"]
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "3", "4"]
    assert lines[6] == f"Contact sheet {chain['folder'] / 'words.png'}"
    with Image.open(chain["folder"] / "words.png") as sheet:
        assert sheet.format == "PNG"


def test_search_with_a_picture_prints_json_and_draws_a_sheet(chain):
    said = checked_json(chain["picture"])
    assert len(said["hits"]) == 10
    assert all(hit["text"].startswith("a ") for hit in said["hits"])
    with Image.open(chain["folder"] / "picture.png") as sheet:
        assert sheet.format == "PNG"


def test_search_by_first_bits_counts_those_alone(chain):
    hits = checked_json(chain["first bits"])["hits"]
    assert len(hits) == 68
    assert max(hit["distance"] for hit in hits) <= 8


def test_search_among_items_with_labels_reranks(chain):
    hits = checked_json(chain["items"])["hits"]
    assert 2 <= len(hits) < 68
    for hit in hits:
        assert hit["metadata"]["shape"] == ["circle"]
        assert hit["metadata"]["colour"] in (["red"], ["blue"])
    fine = [hit["asymmetric"] for hit in hits]
    assert fine == sorted(fine)


def test_search_within_a_radius_finds_no_more(chain):
    hits = checked_json(chain["radius"])["hits"]
    assert len(hits) < 68
    assert all(hit["distance"] == 0 for hit in hits)


@pytest.mark.parametrize("name", WRONG_USE)
def test_wrong_use_ends_with_2_and_a_message_that_helps(answers, name):
    code, out, err = answers[name]
    assert WRONG_USE[name][1] in err
    assert code == 2
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_cannot_be_written_is_said_without_a_traceback(answers, paths, name):
    code, out, err = answers[name]
    assert UNWRITABLE[name][2].format(**paths) in err
    assert code in (1, 2)
    assert out == ""
    assert "Traceback" not in err


def test_a_full_disk_leaves_nothing_half_written(answers, paths):
    # Training goes on from what it has written, so its folder stays, with whole files alone.
    left = {path.name for path in paths["full"].iterdir()}
    assert left == {"run"}
    run = paths["full"] / "run"
    assert load_config(run / "config.toml")
    assert not [path for path in run.rglob("*") if path.is_file() and path.name.startswith(".")]
    assert list((run / "checkpoints").iterdir()) == []


def test_wrong_use_leaves_nothing(answers, paths):
    assert not list(paths["scratch"].glob("new*"))
    assert not [path for path in paths["scratch"].iterdir() if path.name.startswith(".")]
    assert (paths["run"] / "model.keras").is_file()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_command_has_an_example_that_it_accepts(answers, name):
    code, out, _ = answers[f"help {name}"]
    assert code == 0
    (example,) = (line for line in out.splitlines() if line.startswith("example: "))
    argv = shlex.split(example.removeprefix("example: "))
    assert argv[:2] == ["udsph", name]
    assert cli._parse(argv).command is MODULES[COMMANDS.index(name)].run


def test_help_names_every_command_and_an_example(answers):
    code, out, err = answers["help"]
    assert (code, err) == (0, "")
    assert "example: udsph fit" in out
    for name in COMMANDS:
        assert f"\n    {name} " in out


def test_datasets_lists_sources_and_licences(answers):
    code, out, err = answers["datasets --json"]
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert set(said) == set(CATALOGUE)
    assert all(set(each) == {"source", "size", "licence", "layout"} for each in said.values())
    code, out, err = answers["datasets"]
    assert (code, err) == (0, "")
    assert "CC BY-SA 4.0" in out


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli._parse(["udsph", "--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"udsph-tf {__version__}\n"


def test_console_script_used_wrongly_answers_before_it_imports_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('imported')")
    done = subprocess.run(
        [udsph(), "fitt"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert done.returncode == 2
    assert "invalid choice: 'fitt'" in done.stderr
    assert done.stdout == ""


def test_drawn_collection_is_what_the_tests_say(drawn_collection):
    with open(drawn_collection / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 84
    assert rows[0]["text"] == "a red circle"
    assert rows[0]["labels"] == "shape=circle|colour=red"
    assert len({row["labels"] for row in rows}) == 12
