"""What is remembered beside a file that came over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tripduration.parquet import sha256_of


@dataclass(frozen=True)
class Receipt:
    """Which version of which address a file holds, or has begun to hold.

    Parameters
    ----------
    address
        The address's identity, without secrets.
    etag, last_modified
        What the server calls the version; empty where it said nothing.
    size
        Bytes of the whole file; -1 where the server did not say.
    sha256
        Digest of the whole file in hexadecimal; empty while it is being fetched.
    """

    address: str
    etag: str = ""
    last_modified: str = ""
    size: int = -1
    sha256: str = ""

    @classmethod
    def of_answer(cls, address: str, headers: Mapping[str, str], size: int) -> Receipt:
        """Take note of what a server says about the file that it starts to send."""
        return cls(
            address=address,
            etag=headers.get("ETag", ""),
            last_modified=headers.get("Last-Modified", ""),
            size=size,
        )

    @classmethod
    def read(cls, path: Path, address: str) -> Receipt | None:
        """Read the receipt at `path`; None where it is missing, torn or of another address."""
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            known = {field.name for field in fields(cls)}
            if not isinstance(written, dict) or set(written) != known:
                return None
            receipt = cls(**written)
            texts = (receipt.address, receipt.etag, receipt.last_modified, receipt.sha256)
            sound = type(receipt.size) is int and all(isinstance(text, str) for text in texts)
        except (OSError, ValueError):
            return None
        return receipt if sound and receipt.address == address else None

    def write(self, path: Path) -> None:
        """Write the receipt to `path`, whole or not at all."""
        temporary = path.with_name(path.name + ".new")
        temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)

    def unless_changed(self) -> dict[str, str]:
        """Return the request headers that ask for the file only if it changed."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}

    def from_byte(self, start: int) -> dict[str, str]:
        """Return the request headers that ask for the rest of the file.

        Empty where the server gave nothing to tell versions apart by: two halves of different
        versions must never be joined. A weak ETag does not tell byte for byte (RFC 9110, 13.1.5).
        """
        version = self.last_modified if self.etag.startswith("W/") else self.etag
        version = version or self.last_modified
        if not version or start <= 0:
            return {}
        return {"Range": f"bytes={start}-", "If-Range": version}

    def describes(self, path: Path) -> bool:
        """Tell whether `path` holds the very bytes that were verified."""
        try:
            return path.stat().st_size == self.size and sha256_of(path) == self.sha256
        except OSError:
            return False
