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
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    buffer = io.BytesIO()
    # Of two members of one name, which is meant.
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


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
