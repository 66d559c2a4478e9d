"""The splits of Karpathy and Fei-Fei (CVPR 2015): `dataset_flickr8k.json`, `dataset_coco.json`, ...

An object with `images`, each with `filename`, `split` (`train`, `restval`, `val` or `test`) and, of
MS COCO, `cocoid`.
"""

import json

__all__ = ["karpathy_roles"]

_ROLES = {"train": "train", "restval": "train", "val": "validation", "test": "query"}


def karpathy_roles(data: bytes, path: str) -> dict[str, str]:
    """Roles by picture: by COCO's number where there is one, by file name elsewhere.

    Args:
        data: the file's bytes.
        path: for messages.

    Raises:
        ValueError: it is no such file, or a picture is there twice.

    Example:
        >>> karpathy_roles(b'{"images": [{"filename": "7.jpg", "split": "test"}]}', "a.json")
        {'7.jpg': 'query'}
    """
    roles: dict[str, str] = {}
    try:
        for each in json.loads(data)["images"]:
            item = str(each.get("cocoid", each["filename"]))
            if item in roles:
                raise ValueError(f"the picture {item} is there twice")
            roles[item] = _ROLES[each["split"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a whole split of Karpathy and Fei-Fei: {error!r}. Download it again"
        ) from error
    return roles
