"""Seeded damage to label files: what disks, editors, spreadsheets and people do to them."""

import gzip

CELLS = (
    "", "NaN", "nan", "None", "1.0", "01", "-1", "2", "1e999", "inf", "-5", "../../etc/passwd",
    "/etc/passwd", "..\\..\\x", "C:\\x.png", "a\0b", '"', "'", "x" * 5000, "é", "\u202e", "0x1",
    "files/../../x", "[", "['normal'", "['normal', 'cardiomegaly']", "normal|Mass", "\t",
)  # fmt: skip


def flipped(data, rng):
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 20))):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(data)


def cut(data, rng):
    return data[: rng.integers(len(data))]


def zeroed(data, rng):
    start = rng.integers(len(data))
    return data[:start] + bytes(min(64, len(data) - start)) + data[start + 64 :]


def spliced(data, rng):
    start, end, place = rng.integers(len(data), size=3)
    return data[:place] + data[min(start, end) : max(start, end)][:4000] + data[place:]


def without_lines(data, rng):
    return _lines(data, lambda lines: [line for line in lines if rng.random() > 0.1])


def repeated_lines(data, rng):
    return _lines(data, lambda lines: [each for line in lines for each in [line] * _times(rng)])


def shuffled_lines(data, rng):
    return _lines(data, lambda lines: [lines[i] for i in rng.permutation(len(lines))])


def joined_lines(data, rng):
    place = rng.integers(max(1, data.count(b"\n")))
    return _lines(
        data, lambda lines: [b"".join(lines[place : place + 2]).replace(b"\n", b""), *lines]
    )


def swapped_columns(data, rng):
    first, second = (int(each) for each in rng.integers(6, size=2))
    some = rng.random() < 0.5

    def swap(line):
        cells = line.split(b",")
        if max(first, second) < len(cells) and not (some and rng.random() < 0.7):
            cells[first], cells[second] = cells[second], cells[first]
        return b",".join(cells)

    return _lines(data, lambda lines: [swap(line) for line in lines])


def other_cells(data, rng):
    def change(line):
        cells = line.rstrip(b"\n").split(b",")
        cells[rng.integers(len(cells))] = str(rng.choice(CELLS)).encode()
        return b",".join(cells) + b"\n"

    return _lines(
        data, lambda lines: [change(line) if rng.random() < 0.15 else line for line in lines]
    )


def more_columns(data, rng):
    extra = b"," * int(rng.choice([1, 3, 20]))
    place = rng.integers(max(1, data.count(b"\n")))
    return _lines(
        data,
        lambda lines: [
            line.rstrip(b"\n") + extra + b"x\n" if i == place else line
            for i, line in enumerate(lines)
        ],
    )


def other_encoding(data, rng):
    text = data.decode("utf-8", errors="replace")
    ways = ("utf-16", "utf-8-sig", "utf-32", "latin-1", "cp500")
    return text.encode(str(rng.choice(ways)), errors="replace")


def other_line_ends(data, rng):
    return data.replace(b"\n", bytes(rng.choice([b"\r\n", b"\r", b"\n\n", b"\n\r", b"\0\n"])))


def emptied(data, rng):
    return [b"", b"\n", b"\xef\xbb\xbf", data.split(b"\n")[0], b"[]", b"{}"][rng.integers(6)]


MUTATIONS = (
    flipped, cut, zeroed, spliced, without_lines, repeated_lines, shuffled_lines, joined_lines,
    swapped_columns, other_cells, more_columns, other_encoding, other_line_ends, emptied,
)  # fmt: skip


def mutated(data, packed, rng):
    """The bytes of a damaged copy, and what was done; packed files are also damaged as they are."""
    change = MUTATIONS[rng.integers(len(MUTATIONS))]
    if packed and rng.random() < 0.8:
        plain = change(gzip.decompress(data), rng)
        return gzip.compress(plain, mtime=0), f"{change.__name__} inside"
    return change(data, rng), change.__name__


def _lines(data, change):
    return b"".join(change(data.splitlines(keepends=True)))


def _times(rng):
    return int(1 + (rng.random() < 0.1) * rng.integers(1, 3))
