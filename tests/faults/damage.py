"""The ways in which the bytes of a file go bad, at any place in it."""

from attrs import frozen

BOM = b"\xef\xbb\xbf"


@frozen
class Damage:
    """
    What becomes of a file that is damaged at an offset.

    `change` takes the content and the offset; `only_at` are the bytes where it means anything.
    """

    name: str
    change: object
    only_at: bytes | None = None

    def places(self, content, first, step):
        """Return every *step*th offset at which *content* can be damaged so."""
        if self.only_at is None:
            return range(first % step, len(content) + 1, step)
        found = [offset for offset, byte in enumerate(content) if byte in self.only_at]
        return found[:: max(1, min(step, len(found) // 20))]


def _with_byte(content, at, byte):
    return content[:at] + bytes([byte]) + content[at + 1 :]


def _flip(content, at):
    return _with_byte(content, at, content[at] ^ (1 << at % 8)) if at < len(content) else content


def _repeat_line(content, at):
    start = content.rfind(b"\n", 0, at) + 1
    return content[: at + 1] + content[start : at + 1] + content[at + 1 :]


DAMAGES = (
    Damage("cut", lambda content, at: content[:at]),
    Damage("flipped bit", _flip),
    Damage("digit", lambda content, at: _with_byte(content, at, ord("9")), b"012345678"),
    Damage("NUL", lambda content, at: _with_byte(content, at, 0)),
    Damage("garbage", lambda content, at: _with_byte(content, at, 0xFF)),
    Damage("NULs to the end", lambda content, at: content[:at] + bytes(len(content) - at)),
    Damage("line break put in", lambda content, at: content[:at] + b"\n" + content[at:]),
    Damage("BOM put in", lambda content, at: content[:at] + BOM + content[at:]),
    Damage("line break taken out", lambda content, at: content[:at] + content[at + 1 :], b"\n"),
    Damage("CRLF", lambda content, at: content[:at] + b"\r" + content[at:], b"\n"),
    Damage("line repeated", _repeat_line, b"\n"),
)
