"""The published sets side by side, as their manifests have them."""

import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS


def map_of_sets() -> pd.DataFrame:
    """One row per set that has a reader: access, images, labels, share of normal cases, use.

    ``labels`` counts the classes with a prompt, without normality; ``normal`` and ``of`` are empty
    where the share of normal cases is not published.
    """
    rows = []
    for name in READERS:
        manifest = load_manifest(name)
        share = manifest.normal_share
        rows.append(
            {
                "set": name,
                "access": manifest.access,
                "images": f"{manifest.images:,}" if manifest.images else "",
                "labels": len(manifest.prompts),
                "normal": "" if share is None else f"{share:.1%}",
                "of": manifest.normal_of,
                "used for": manifest.used_for,
            }
        )
    return pd.DataFrame(rows).set_index("set")
