"""The registry of data sources, that is, of formats in which real images are stored. Imports neither NumPy nor torch.

Another package adds one by an entry point in the group "imaging.data_sources" that names a `DataSource`.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.registry import Registry


@dataclass(frozen=True)
class DataSource:
    """The facts about a data source."""

    images: str
    """Import path of what opens the images: called with the DataConfig, it returns a `Stored`. Where `files` is None:
    called with the pixels a side and the channels that are wanted, it returns a `Source`. Raises UserError."""
    files: str | None = None
    """Import path of a function of the DataConfig that lists the `Files` below data.path that the images are in:
    what these hold is in the keys of stages. Raises UserError. None: built in, and data.path has no effect."""
    options: tuple[str, ...] = ()
    """Options of DataConfig, of those that only some sources have, that have an effect."""
    is_encoded: bool = False
    """Whether images are decoded by Pillow (`imaging.data.decode`), whose version is then in the keys of stages."""
    is_resized_once: bool = False
    """Whether images are resized once, by box filter, as in the published code for LSUN; else they are halved while
    they are at least twice too large, then resized by bicubic filter, as in its code for ImageNet."""
    num_images: int | None = None
    """How many there are, where that is the same in every data set of this source."""
    num_classes: int | None = None
    """The same for classes; 1: images have none."""
    remarks: str | None = None
    """Import path of a function of the DataConfig and the number of images: `Remarks` for the user, before a run."""


DATA_SOURCES: Registry[DataSource] = Registry("data source", "imaging.data_sources")
DATA_SOURCES.register("digits", DataSource("imaging.data.digits:opened", num_images=1797, num_classes=10))
DATA_SOURCES.register(
    "folder",
    DataSource(
        "imaging.data.folder:Folder",
        "imaging.data.folder:folder_files",
        options=("labels", "crop", "broken_images"),
        is_encoded=True,
        remarks="imaging.data.remarks:of_folder",
    ),
)
DATA_SOURCES.register(
    "npz",
    DataSource(
        "imaging.data.npz:Npz",
        "imaging.data.npz:npz_files",
        options=("crop",),
        remarks="imaging.data.remarks:of_npz",
    ),
)
DATA_SOURCES.register(
    "parquet",
    DataSource(
        "imaging.data.parquet:Parquet",
        "imaging.data.parquet:parquet_files",
        options=("image_column", "label_column", "crop", "broken_images"),
        is_encoded=True,
        remarks="imaging.data.remarks:of_parquet",
    ),
)
DATA_SOURCES.register(
    "lmdb",
    DataSource(
        "imaging.data.lsun:Lmdb",
        "imaging.data.lsun:lmdb_files",
        options=("crop", "broken_images"),
        is_encoded=True,
        is_resized_once=True,
        num_classes=1,
    ),
)
DATA_SOURCES.register(
    "zip",
    DataSource(
        "imaging.data.zipped:Zip",
        "imaging.data.zipped:zip_files",
        options=("labels", "crop", "broken_images"),
        is_encoded=True,
    ),
)
