"""What a check of a download finds: how much of each part is there, what is missing or extra."""

from collections.abc import Collection
from dataclasses import dataclass

from udsph_tf.data.download import some

__all__ = ["Finding", "compare"]


@dataclass(frozen=True)
class Finding:
    """One part of a data set.

    Args:
        part: what was counted, such as `pictures`.
        expected: how many the official data set has.
        found: how many are there.
        missing: names of those that are not there.
        extra: names of those that should not be there.
        remedy: what to do where something is wrong.
    """

    part: str
    expected: int
    found: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def is_right(self) -> bool:
        """Is the part as it should be?"""
        return self.found == self.expected and not self.missing and not self.extra

    def __str__(self) -> str:
        line = f"{'ok   ' if self.is_right else 'WRONG'} {self.part}: {self.found:,}"
        if self.is_right:
            return line
        line += f", expected {self.expected:,}"
        if self.missing:
            line += f"; {len(self.missing):,} missing: {some(self.missing, 10)}"
        if self.extra:
            line += f"; {len(self.extra):,} extra: {some(self.extra, 10)}"
        return line + (f". {self.remedy}" if self.remedy else "")


def compare(
    part: str, expected: Collection[str], found: Collection[str], remedy: str = ""
) -> Finding:
    """A finding from the names that should be there and those that are.

    Example:
        >>> print(compare("lists", ["a.txt", "b.txt"], ["b.txt", "c.txt"]))
        WRONG lists: 2, expected 2; 1 missing: a.txt; 1 extra: c.txt
    """
    wanted, there = set(expected), set(found)
    return Finding(
        part,
        len(wanted),
        len(there),
        tuple(name for name in dict.fromkeys(expected) if name not in there),
        tuple(name for name in dict.fromkeys(found) if name not in wanted),
        remedy,
    )
