"""The package: `ghsl_beam` (the job) and `transforms` (its stages)."""

from setuptools import find_packages, setup

setup(
    name="ghsl-beam",
    version="0.1.0",
    description="Built-up fraction and settlement layers from Sentinel-2, as an Apache Beam job",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["ghsl_beam*", "transforms*"]),
    package_data={"ghsl_beam": ["py.typed", "**/*.html"], "transforms": ["py.typed"]},
    install_requires=[
        "apache-beam>=2.70",
        "defusedxml>=0.7",
        "fsspec>=2024.2",
        "h5py>=3.10",
        "jinja2>=3.1",
        "mgrs>=1.5",
        "numpy>=1.26",
        "odc-geo>=0.5",
        "pydantic>=2.7",
        "pyogrio>=0.8",
        "pyproj>=3.6",
        "pystac>=1.10",
        "pyyaml>=6",
        "rasterio>=1.4",
        "rich>=13",
        "s3fs>=2024.2",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "shapely>=2.0",
        "skops>=0.10",
        "stamina>=24.2",
        "tensorflow>=2.18",
        "typer>=0.12",
    ],
    extras_require={
        "dev": ["hypothesis>=6.100", "import-linter>=2.0", "mypy>=1.10", "pytest>=8", "ruff>=0.6"],
    },
    entry_points={"console_scripts": ["ghsl-beam=ghsl_beam.command_line:main"]},
)
