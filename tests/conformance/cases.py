# SPDX-License-Identifier: Apache-2.0
"""The crash matrix: 36 crafted tensors, each in both generations of the struct, and 10 that differ in version and flags. Numbers in
the page are 1, 2, 3 … and `data` points at 513, so that a wrong address is a wrong sum.

must: "ok" it comes in and its sum is right; "error" it is refused; "any" one of these two. The rules are those of README.md."""
import collections
import struct

Case = collections.namedtuple("Case", "must rule fields total touch read_only", defaults=(2058.0, True, None))
WHOLE = struct.pack("<1024f", *range(1, 1025))
SHIFTED = sum(struct.unpack_from("<4f", WHOLE, 2049))


def ok(rule, total=2058.0, **fields):
    return Case("ok", rule, fields, total)


def error(rule, **fields):
    return Case("error", rule, fields)


def either(rule, total=2058.0, touch=True, **fields):
    return Case("any", rule, fields, total, touch)


MATRIX = {
    "ok": ok("D1"),
    "neg_shape": error("E9", shape=(-4,)),
    "neg_shape_2d": error("E9", shape=(2, -3)),
    "two_neg": error("E9", shape=(-2, -3)),
    "mul_overflow": error("E9", shape=(2**32, 2**32)),
    "mul_overflow_to_small": error("E9", shape=(2**62, 4, 4)),
    "bytes_overflow": error("D10", shape=(2**62,)),
    "huge_fit_no_mem": either("D10", touch=False, shape=(2**40,)),  # nobody can know: DLPack does not say how much is there
    "neg_stride": either("E5", 2046.0, strides=(-1,)),
    "stride_overflow": error("E9", shape=(2, 2), strides=(2**62, 1)),
    "stride_minint": error("E9", shape=(2,), strides=(-2**63,)),
    "zero_stride": ok("E6", 513e6, shape=(1000000,), strides=(0,)),
    "overlap": ok("E6", 4635.0, shape=(3, 3), strides=(1, 1)),
    "null_data": error("D8", null_data=True),
    "null_data_zero_size": ok("D7", 0.0, null_data=True, shape=(0,)),
    "misaligned": either("D4", SHIFTED, shift=1),
    "byte_offset": ok("D1", 2062.0, byte_offset=4),
    "off_past": error("E9", byte_offset=2**63),
    "lanes0": error("F2", lanes=0),
    "lanes4": error("F3", lanes=4),
    "bits0": error("F2", dtype=(2, 0)),
    "bits7": error("F2", dtype=(2, 7)),
    "code99": error("B3", dtype=(99, 32)),
    "opaque": error("F2", dtype=(3, 64)),
    "dev0": error("B3", device=(0, 0)),
    "dev99": error("B3", device=(99, 0)),
    "cuda": error("G5", device=(2, 0)),
    "dev_neg": either("G1", device=(1, -7)),
    "neg_ndim": error("E9", ndim=-1, shape=()),
    "ndim_33": either("E9", 513.0, shape=(1,) * 33),
    "ndim_65": either("E9", 513.0, shape=(1,) * 65),
    "ndim_huge": error("E9", ndim=2**31 - 1),
    "null_shape": error("E1", null_shape=True),
    "null_deleter": ok("H2", null_deleter=True),
    "scalar": ok("E2", 513.0, shape=()),
    "zero_mid": ok("E8", 0.0, shape=(2, 0, 3)),
}

VERSIONS = {
    "v_major2": error("B2", version=(2, 0), strides=(1,)),
    "v_major0": error("B2", version=(0, 8), strides=(1,)),
    "v_minor99": ok("B3", version=(1, 99), strides=(1,)),
    "v_null_strides_13": ok("B5"),
    "v_null_strides_11": ok("B5", version=(1, 1)),
    "v_readonly": Case("any", "C3", dict(flags=1, strides=(1,)), read_only=True),
    "v_copied": ok("C6", flags=2, strides=(1,)),
    "v_padded_f32": either("C7", flags=4, strides=(1,)),
    # The bytes 06 07 08 09: as numbers of a byte each 4, 6, -0, -0.5; taken for packed ones they are 4, 0, 6, 0.
    "v_padded_fp4": either("C8", 9.5, flags=4, dtype=(17, 4), byte_offset=6, strides=(1,)),
    "v_flag63": ok("B6", flags=1 << 63, strides=(1,)),
}
assert len(MATRIX) == 36 and len(VERSIONS) == 10


def with_strides(case):
    """Since DLPack 1.2 strides are never null: row-major ones, wrapped as the producer's arithmetic would."""
    shape, steps = case.fields.get("shape", (4,)), []
    n = 1
    for extent in reversed(shape):
        steps.insert(0, (n + 2**63) % 2**64 - 2**63)
        n *= extent
    return case._replace(fields={"strides": tuple(steps), **case.fields}) if shape else case


SETS = {"legacy": (False, MATRIX), "versioned": (True, {name: with_strides(case) for name, case in MATRIX.items()}),
        "versions": (True, VERSIONS)}
