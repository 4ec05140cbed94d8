"""The Triton kernels that `gpu.py` launches; shapes as there. A chunk's class numbers start at 0.

Logits are in units of log 2 (scale, shift and other come multiplied by log2 e): hardware has exp2.
"""

import triton
import triton.language as tl


@triton.jit
def norm_kernel(row_ptr, norm_ptr, num_rows, num_dims, BLOCK_R: tl.constexpr, BLOCK_D: tl.constexpr):
    row = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    first_ptr = row_ptr + tl.program_id(0).to(tl.int64) * BLOCK_R * num_dims
    square = tl.zeros((BLOCK_R, BLOCK_D), norm_ptr.dtype.element_ty)
    for start in range(0, num_dims, BLOCK_D):
        dim = start + tl.arange(0, BLOCK_D)
        at = first_ptr + tl.arange(0, BLOCK_R)[:, None] * num_dims + dim[None, :]
        inside = (row[:, None] < num_rows) & (dim[None, :] < num_dims)
        value = tl.load(at, mask=inside, other=0.0).to(norm_ptr.dtype.element_ty)
        square += value * value
    tl.store(norm_ptr + row, tl.sqrt(tl.sum(square, axis=1)), mask=row < num_rows)


@triton.jit
def multiply(
    a_ptr, a_m, a_k, b_ptr, b_k, b_n, num_m, num_n, num_k,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """(BLOCK_M, BLOCK_N) float32: A (num_m, num_k) times B (num_k, num_n), by strides; 0 outside."""
    m, n, k = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    # 32-bit offsets from a pointer that moves on: 64-bit pointers of every element would fill the registers.
    a_offset, b_offset = m[:, None] * a_m + k[None, :] * a_k, k[:, None] * b_k + n[None, :] * b_n
    a_inside, b_inside = (m < num_m)[:, None], (n < num_n)[None, :]
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, num_k, BLOCK_K):
        if EVEN_K:
            a = tl.load(a_ptr + a_offset, mask=a_inside, other=0.0)
            b = tl.load(b_ptr + b_offset, mask=b_inside, other=0.0)
        else:
            a = tl.load(a_ptr + a_offset, mask=a_inside & (k < num_k - start)[None, :], other=0.0)
            b = tl.load(b_ptr + b_offset, mask=b_inside & (k < num_k - start)[:, None], other=0.0)
        if PRECISION == "tf32":
            a, b = a.to(tl.float32), b.to(tl.float32)
        total = tl.dot(a, b, total, input_precision=PRECISION)
        a_ptr += BLOCK_K * a_k
        b_ptr += BLOCK_K * b_k
    return total


@triton.jit
def reduce_kernel(
    row_ptr, weight_ptr, label_ptr, row_inverse_ptr, inverse_ptr, shift_ptr, found_ptr,
    num_rows, num_classes, num_dims, num_splits, scale,
    MAXIMUM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Programs of one split lie side by side, so that its weights are read from memory once, then from L2."""
    num_row_blocks = tl.cdiv(num_rows, BLOCK_M)
    split = tl.program_id(0) // num_row_blocks
    first_row = tl.program_id(0) % num_row_blocks * BLOCK_M
    row = first_row + tl.arange(0, BLOCK_M)
    row_inside = row < num_rows
    own = tl.load(label_ptr + row, mask=row_inside, other=-1)
    factor = tl.load(row_inverse_ptr + row, mask=row_inside, other=0.0) * scale
    shift = tl.load(shift_ptr + row, mask=row_inside, other=0.0)
    found = tl.full((BLOCK_M,), float("-inf") if MAXIMUM else 0.0, tl.float32)
    for first_class in range(split * BLOCK_N, num_classes, num_splits * BLOCK_N):
        column = first_class + tl.arange(0, BLOCK_N)
        inverse = tl.load(inverse_ptr + column, mask=column < num_classes, other=0.0)
        tile_ptr = weight_ptr + tl.cast(first_class, tl.int64) * num_dims
        product = multiply(
            row_ptr + tl.cast(first_row, tl.int64) * num_dims, num_dims, 1, tile_ptr, 1, num_dims,
            num_rows - first_row, num_classes - first_class, num_dims,
            BLOCK_M, BLOCK_N, BLOCK_K, EVEN_K, PRECISION,
        )  # fmt: skip
        logit = product * factor[:, None] * inverse[None, :] - shift[:, None]
        counts = (column[None, :] < num_classes) & (column[None, :] != own[:, None])
        logit = tl.where(counts, logit, float("-inf"))
        if MAXIMUM:
            found = tl.maximum(found, tl.max(logit, axis=1))
        else:
            found += tl.sum(tl.exp2(logit), axis=1)
    tl.store(found_ptr + split * num_rows + row, found, mask=row_inside)


@triton.jit
def pull_kernel(
    row_ptr, weight_ptr, label_ptr, row_inverse_ptr, inverse_ptr, other_ptr, pull_ptr, target_pull_ptr,
    r_ptr, along_ptr, num_rows, num_classes, num_dims, length, scale,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    num_row_blocks = tl.cdiv(num_rows, BLOCK_M)
    row_block = tl.program_id(0) % num_row_blocks
    first_row, first_class = row_block * BLOCK_M, tl.program_id(0) // num_row_blocks * BLOCK_N
    row, column = first_row + tl.arange(0, BLOCK_M), first_class + tl.arange(0, BLOCK_N)
    row_inside, column_inside = row < num_rows, column < num_classes
    product = multiply(
        row_ptr + tl.cast(first_row, tl.int64) * num_dims, num_dims, 1,
        weight_ptr + tl.cast(first_class, tl.int64) * num_dims, 1, num_dims,
        num_rows - first_row, num_classes - first_class, num_dims,
        BLOCK_M, BLOCK_N, BLOCK_K, EVEN_K, PRECISION,
    )  # fmt: skip
    own = tl.load(label_ptr + row, mask=row_inside, other=-1)
    row_inverse = tl.load(row_inverse_ptr + row, mask=row_inside, other=0.0)
    other = tl.load(other_ptr + row, mask=row_inside, other=0.0)
    pull = tl.load(pull_ptr + row, mask=row_inside, other=0.0) * row_inverse
    target_pull = tl.load(target_pull_ptr + row, mask=row_inside, other=0.0) * row_inverse
    inverse = tl.load(inverse_ptr + column, mask=column_inside, other=0.0)
    share = tl.exp2(product * (row_inverse * scale)[:, None] * inverse[None, :] - other[:, None])
    r = tl.where(column[None, :] == own[:, None], target_pull[:, None], pull[:, None] * share)
    r = (r * inverse[None, :]).to(r_ptr.dtype.element_ty)
    inside = row_inside[:, None] & column_inside[None, :]
    r = tl.where(inside, r, 0.0)
    tl.store(r_ptr + row[:, None] * length + column[None, :], r, mask=inside)  # scratch has no 2**31 elements
    along = tl.sum(r.to(tl.float32) * product, axis=0)  # of R as rounded: then no gradient is left along w
    tl.store(along_ptr + row_block * length + column, along, mask=column_inside)


@triton.jit
def weight_kernel(
    r_ptr, row_ptr, weight_ptr, inverse_ptr, along_ptr, stretch_ptr, gradient_ptr,
    num_rows, num_classes, num_dims, length, num_alongs,
    STRETCHED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Programs of one block of classes lie side by side: they share R and the weights."""
    num_dim_blocks = tl.cdiv(num_dims, BLOCK_N)
    first_class = tl.program_id(0) // num_dim_blocks * BLOCK_M
    first_dim = tl.program_id(0) % num_dim_blocks * BLOCK_N
    gradient = multiply(
        r_ptr + first_class, 1, length, row_ptr + first_dim, num_dims, 1,
        num_classes - first_class, num_dims - first_dim, num_rows,
        BLOCK_M, BLOCK_N, BLOCK_K, EVEN_K, PRECISION,
    )  # fmt: skip
    column, dim = first_class + tl.arange(0, BLOCK_M), first_dim + tl.arange(0, BLOCK_N)
    column_inside = column < num_classes
    along = tl.zeros((BLOCK_M,), tl.float32)
    for block in range(0, num_alongs):
        along += tl.load(along_ptr + block * length + column, mask=column_inside, other=0.0)
    inverse = tl.load(inverse_ptr + column, mask=column_inside, other=0.0)
    along = -along * inverse * inverse
    if STRETCHED:
        along += tl.load(stretch_ptr + column, mask=column_inside, other=0.0)
    first = tl.cast(first_class, tl.int64) * num_dims + first_dim
    at = tl.arange(0, BLOCK_M)[:, None] * num_dims + tl.arange(0, BLOCK_N)[None, :]
    inside = column_inside[:, None] & (dim < num_dims)[None, :]
    gradient += tl.load(weight_ptr + first + at, mask=inside, other=0.0).to(tl.float32) * along[:, None]
    tl.store(gradient_ptr + first + at, gradient.to(gradient_ptr.dtype.element_ty), mask=inside)


@triton.jit
def feature_kernel(
    r_ptr, weight_ptr, partial_ptr, num_rows, num_classes, num_dims, length, split_length,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program (rows, dimensions, split of the classes) adds to a partial sum that is its own."""
    num_row_blocks, num_dim_blocks = tl.cdiv(num_rows, BLOCK_M), tl.cdiv(num_dims, BLOCK_N)
    first_row = tl.program_id(0) % num_row_blocks * BLOCK_M
    first_dim = tl.program_id(0) // num_row_blocks % num_dim_blocks * BLOCK_N
    split = tl.program_id(0) // (num_row_blocks * num_dim_blocks)
    first_class = split * split_length
    gradient = multiply(
        r_ptr + tl.cast(first_row, tl.int64) * length + first_class, length, 1,
        weight_ptr + tl.cast(first_class, tl.int64) * num_dims + first_dim, num_dims, 1,
        num_rows - first_row, num_dims - first_dim, tl.minimum(split_length, num_classes - first_class),
        BLOCK_M, BLOCK_N, BLOCK_K, EVEN_K, PRECISION,
    )  # fmt: skip
    row, dim = first_row + tl.arange(0, BLOCK_M), first_dim + tl.arange(0, BLOCK_N)
    inside = (row < num_rows)[:, None] & (dim < num_dims)[None, :]
    sum_ptr = partial_ptr + (tl.cast(split, tl.int64) * num_rows + first_row) * num_dims + first_dim
    sum_ptr += tl.arange(0, BLOCK_M)[:, None] * num_dims + tl.arange(0, BLOCK_N)[None, :]
    tl.store(sum_ptr, tl.load(sum_ptr, mask=inside, other=0.0) + gradient, mask=inside)
