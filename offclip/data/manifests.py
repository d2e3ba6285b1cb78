"""Dataset manifests: frozen dataclasses read from YAML, strict about unknown keys.

Pydantic, which checks what was read, and PyYAML are imported where a file is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from offclip.data.tables import nearest
from offclip.text.destination import TextPermission

Access = Literal["open", "open-no-derivatives", "registration", "credentialed"]
ACCESS: tuple[str, ...] = get_args(Access)


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

    kind: Literal["pip", "url", "local"]
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

    def __post_init__(self) -> None:
        """Refuse a path in place of a name, and other addresses than of the web."""
        if Path(self.file).name != self.file or not self.url.startswith(("http://", "https://")):
            raise ValueError(
                f"expected a plain file name and an http(s) address, got {self.file!r} and "
                f"{self.url!r}"
            )

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
        layout: the folder that the reader expects, one line for each file or folder.
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
    access: Access
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
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


UNKNOWN_KEY = "unexpected_keyword_argument"
"""Pydantic's name of the error."""
_NESTED: Mapping[str, type] = {
    "sources": Source, "downloads": Download, "split": Split, "text_may_go_to": TextPermission,
}  # fmt: skip


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
            f"manifest: expected one of {sorted(known)}, got {name!r}{nearest(name, known)}"
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is much faster
    try:
        value = yaml.load(known[name].read_text(encoding="utf-8"), Loader=loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{known[name]}: not valid YAML ({error}); repair the file") from error
    manifest = parse_manifest(value, where=str(known[name]))
    if manifest.name != name:
        raise ValueError(f"{known[name]}: expected name {name!r}, got {manifest.name!r}")
    return manifest


def parse_manifest(value: Any, *, where: str = "manifest") -> Manifest:
    """Build a manifest from plain YAML values; see ``load_manifest`` for the errors."""
    from pydantic import ValidationError

    try:
        return _adapter().validate_python(value)
    except ValidationError as error:
        errors = error.errors()
        unknown = [each for each in errors if each["type"] == UNKNOWN_KEY]  # before what it misses
        raise ValueError(f"{where}: {_one_line((unknown or errors)[0])}") from None


@cache
def _adapter() -> Any:
    """Pydantic's checks of a manifest, which take a moment to build."""
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def manifest_folder() -> Path:
    """Return the manifests' folder: inside the installed package, else next to the package."""
    package = Path(str(files("offclip")))
    inside = package / "data_manifests"
    return inside if inside.is_dir() else package.parent / "data_manifests"


def _one_line(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors: where, what is wrong, what was given."""
    place = ".".join(map(str, error["loc"])) or "all of it"
    if error["type"] == UNKNOWN_KEY:
        of = _NESTED[error["loc"][0]] if len(error["loc"]) > 1 else Manifest
        names = sorted(each.name for each in fields(of))
        return f"{place}: expected keys among {names}{nearest(error['loc'][-1], names)}"
    if error["type"] == "missing":
        return f"{place}: missing; add this key"
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}"
    return f"{place}: {error['msg'].replace('tuple', 'list')}; got {str(error['input'])[:200]!r}"
