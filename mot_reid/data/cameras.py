"""Which crops are of some cameras, and can these be left out of training?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mot_reid.arrays import BoolArray
from mot_reid.data.identities import IdentityTable


def seen_by(table: IdentityTable, cameras: Sequence[int]) -> BoolArray:
    """Returns (N,) whether each crop is of one of the cameras; of unknown cameras none is."""
    if table.camera_id is None:
        return np.zeros(len(table), dtype=np.bool_)
    return np.isin(table.camera_id, list(cameras))


def check_cameras(cameras: Sequence[int], tables: Sequence[IdentityTable], *, validation: float) -> None:
    """Refuses cameras that cannot be left out of training.

    Args:
        cameras: To be left out.
        tables: The training crops of each data set.
        validation: Share of the persons that are held out.

    Raises:
        ValueError: Nobody is held out, there are several data sets, or a camera is unknown.
    """
    got = f"data.validation_cameras: got {listed(cameras)}"
    if not validation:
        raise ValueError(f"{got} with data.validation=0; expected persons to ask for; set data.validation, such as 0.1")
    if len(tables) != 1:
        raise ValueError(
            f"{got} for {len(tables)} data sets, whose cameras have the same numbers; expected one data set"
        )
    known = tables[0].camera_id
    if known is None:
        raise ValueError(
            f"{got}, but the data set does not say which camera took an image; expected one that does; set "
            "data.validation_cameras=[]"
        )
    missing = sorted(set(cameras) - set(known.tolist()))
    if missing:
        raise ValueError(f"{got}; expected some of {listed(np.unique(known).tolist())}, the cameras of the data set")
    if set(known.tolist()) <= set(cameras):
        raise ValueError(f"{got}, which are all cameras of the data set; expected some to be left to train on")


def listed(cameras: Sequence[int]) -> str:
    """Returns cameras as the command line has them."""
    return f"[{','.join(str(camera) for camera in cameras)}]"
