"""The published sets side by side, as their manifests have them. Imports its neighbours."""

import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS


def map_of_sets() -> pd.DataFrame:
    """One row a set that has a reader: access, images, labels, share of normal cases, use.

    ``labels`` counts the classes with a prompt, normality apart; ``normal`` and ``of`` are empty
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
