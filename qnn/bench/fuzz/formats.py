"""Hostile files of each format: taken apart, changed where it hurts, and put together again.

Checksums, lengths and hashes are redone in most files, so that the change itself has to be met.
"""

import hashlib
import io
import json
import sqlite3
import struct
import warnings
import zipfile
import zlib
from random import Random

from qnn.bench.fuzz.mutate import mutated_bytes, mutated_json
from qnn.ir.serialize import HEAD
from qnn.tensor_file import BLANK, LENGTH

REDONE = 0.8  # of the files keep a right checksum
SEALED = b'"sha256":"'
BOMB = 1 << 24  # bytes of zeros that a member or a chunk is made to unpack to
WORDS = (b"", b"9" * 30, b"-1", b"0x0x0", b"s99e+0", b"u8e-99999999999", b'"', b"(", b"<<[9*0]")
# Of a store of designs: the tables, and their columns of JSON and of graphs.
VALUES = (
    ("facts", "value"),
    *(("evaluations", name) for name in ("point", "figures")),
    *(("roundings", name) for name in ("figures", "graph")),
)
# Of an entry in a ZIP archive's list, where its fields lie and how many bytes each has: versions,
# flags, method, time, sum, sizes, lengths of what follows it, disk, attributes, place.
ENTRY = b"PK\1\2"
FIELDS = ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2))
FIELDS += ((32, 2), (34, 2), (36, 2), (38, 4), (42, 4))
ODD = (0, 1, 8, 12, 14, 93, 95, 0x7F, 0x80, 0xFFFF, 1 << 16, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)
# Chunks of a PNG: sizes, colours, pixels, texts, and some that few readers know.
CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL")


def framed(rng: Random, data: bytes) -> bytes:
    """A ``.qgraph`` or an image, which have one head: a header in JSON, then bytes."""
    if rng.random() > REDONE:
        return mutated_bytes(rng, data)
    magic, version, size, *_ = HEAD.unpack_from(data)
    text, payload = data[HEAD.size :][:size], data[HEAD.size + size :]
    # Most often the header, whose fields decide what is done with the bytes behind it.
    if rng.random() < 0.8:
        text = mutated_json(rng, json.loads(text))
    else:
        payload = mutated_bytes(rng, payload)
    digest = hashlib.sha256(text + payload).digest()
    return HEAD.pack(magic, version, len(text), len(payload), digest) + text + payload


def sealed(rng: Random, data: bytes) -> bytes:
    """A ``.safetensors`` file with our hash, if it has one."""
    if rng.random() > REDONE:
        return mutated_bytes(rng, data)
    (size,) = LENGTH.unpack_from(data)
    header, tensors = json.loads(data[LENGTH.size :][:size]), data[LENGTH.size + size :]
    texts = [name for name, text in header.get("__metadata__", {}).items() if text[:1] in "{["]
    place = rng.random()
    if texts and place < 0.6:
        name = rng.choice(texts)
        inner = mutated_json(rng, json.loads(header["__metadata__"][name]))
        header["__metadata__"][name] = inner.decode(errors="replace")
        text = json.dumps(header, separators=(",", ":")).encode()
    elif place < 0.8:
        text = mutated_json(rng, header)
    else:
        text, tensors = json.dumps(header).encode(), mutated_bytes(rng, tensors)
    return _sealed(LENGTH.pack(len(text)) + text + tensors)


def _sealed(data):
    place = data.find(SEALED)
    # Of another program, or cut in front of it: as it is.
    if place < 0 or len(data) < place + len(SEALED) + len(BLANK):
        return data
    start, end = place + len(SEALED), place + len(SEALED) + len(BLANK)
    digest = hashlib.sha256(data[:start] + BLANK.encode() + data[end:]).hexdigest()
    return data[:start] + digest.encode() + data[end:]


def stored(rng: Random, data: bytes) -> bytes:
    """A store of SQLite, whose values are changed by its own means."""
    if rng.random() > REDONE:
        return mutated_bytes(rng, data)
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        table, column = rng.choice(VALUES)
        rows = connection.execute(f"SELECT {column} FROM {table} ORDER BY rowid").fetchall()
        (value,) = rng.choice(rows)
        changed = framed(rng, value) if column == "graph" else mutated_json(rng, json.loads(value))
        held = changed if column == "graph" else changed.decode(errors="replace")
        # One row by its own value: of two that are equal both are changed.
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (held, value))
        connection.commit()
        return connection.serialize()
    finally:
        connection.close()


def archived(rng: Random, data: bytes) -> bytes:
    """A ZIP archive, as ``.npz`` files and PyTorch's are, with right sums of its members."""
    if rng.random() > REDONE:
        return mutated_bytes(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(each.filename, archive.read(each)) for each in archive.infolist()]
    chosen = rng.randrange(len(members))
    members[chosen] = _member(rng, *members[chosen])
    # Seven of eight keep their members: names are few, contents many.
    match rng.randrange(8):
        case 0:
            members.pop(rng.randrange(len(members)))
        case 1:
            members.append(rng.choice(members))
        case 2:
            members[chosen] = (rng.choice((".", "../x.npy", "/x", "é.npy", "x" * 300)), b"")
    usual, rare = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    method = rng.choice(usual if rng.random() < 0.7 else rare)
    buffer = io.BytesIO()
    # Of two members of one name, which is meant.
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    found = buffer.getvalue()
    return _listed(rng, found) if rng.random() < 0.3 else found


def _listed(rng, data):
    """An archive whose list, or what LZMA packed a member by, says something else."""
    held = bytearray(data)
    starts = [place for place in range(len(data)) if data.startswith(ENTRY, place)]
    if not starts:
        return data
    start = rng.choice(starts)
    if rng.random() < 0.2:
        # Behind a member's own head of 30 bytes and its name: versions, properties, dictionary.
        (place,) = struct.unpack_from("<I", data, start + 42)
        lengths = struct.unpack_from("<HH", data, place + 26)
        place += 30 + sum(lengths)
        head = mutated_bytes(rng, data[place : place + 9])
        return data[:place] + head + data[place + 9 :]
    where, size = rng.choice(FIELDS)
    value = rng.choice((*ODD, len(data), rng.randrange(1 << 32))) % (1 << 8 * size)
    held[start + where : start + where + size] = value.to_bytes(size, "little")
    return bytes(held)


def _member(rng, name, content):
    match rng.randrange(6):
        case 0:
            return name, b""
        case 1:
            return name, content + bytes(BOMB)
        case 2:
            # The text of a header: another shape, type or order.
            old, new = rng.choice(((b"(", b"(99999999999, "), (b"<", b">"), (b"u1", b"O8")))
            return name, content.replace(old, new, 1)
        case 3:
            return name, mutated_bytes(rng, content[:128]) + content[128:]
    return name, mutated_bytes(rng, content)


def picture(rng: Random, data: bytes) -> bytes:
    """An image file; of a PNG, chunk by chunk and with right sums."""
    if not data.startswith(b"\x89PNG") or rng.random() > REDONE:
        return mutated_bytes(rng, data)
    # Behind the signature of eight bytes: length, kind, content, sum.
    chunks, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    chosen = rng.randrange(len(chunks))
    kind, content = chunks[chosen]
    match rng.randrange(5):
        case 0:
            chunks.insert(chosen, (rng.choice(CHUNKS), mutated_bytes(rng, content)))
        case 1:
            bomb = b"Comment\0\0" + zlib.compress(bytes(BOMB))
            chunks.insert(chosen, (rng.choice((b"zTXt", b"iCCP", b"iTXt")), bomb))
        case 2:
            del chunks[chosen]
        case _:
            chunks[chosen] = kind, mutated_bytes(rng, content)
    return data[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def lines(rng: Random, data: bytes) -> bytes:
    """Lines of JSON, of which one is another."""
    # One of them, as a reader stops at the first that is wrong.
    held = data.splitlines()
    chosen = rng.randrange(len(held))
    if rng.random() > REDONE:
        held[chosen] = mutated_bytes(rng, held[chosen])
    else:
        held[chosen] = mutated_json(rng, json.loads(held[chosen]))
    return b"\n".join(held) + b"\n"


def plain_json(rng: Random, data: bytes) -> bytes:
    """A file of JSON."""
    return mutated_json(rng, json.loads(data))


def plain_text(rng: Random, data: bytes) -> bytes:
    """Text in which words stand for each other, or single characters are others."""
    if rng.random() < 0.5:
        return mutated_bytes(rng, data)
    words = data.split(b" ")
    for _ in range(rng.choice((1, 1, 3))):
        words[rng.randrange(len(words))] = rng.choice((*WORDS, rng.choice(words)))
    return b" ".join(words)
