// One source for every instruction set with a register tile. The including file defines, in an unnamed
// namespace, `Vec` (a register of 32-bit integers) with kWidth, load, store, broadcast of four codes, dot
// and a mask of lanes that reach what is needed, and kQueries x kRefRegisters, the tile held in registers.

#include "exact_dots.inl"
#include "likeness.inl"

namespace asl::ratio_search {
namespace {

constexpr int kRefs = kRefRegisters * Vec::kWidth;
static_assert(kQueries <= kMaxQueries && kRefs <= kMaxRefs);

template <int kRows>
void store_tile(const Vec (&sum)[kRows][kRefRegisters], std::int32_t* out) {
#pragma GCC unroll 14
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kRefRegisters; ++j) sum[i][j].store(out + i * kRefs + j * Vec::kWidth);
    }
}

// Where a tile finds the four codes of its query i from dimension d on.
template <int kRows>
struct Packed {
    const std::int8_t* code;
    Vec query(int i, std::int64_t d) const { return Vec::broadcast(code + d * kRows + 4 * i); }
};

struct Gathered {
    const std::int8_t* const* row;
    std::int64_t first_dim;
    Vec query(int i, std::int64_t d) const { return Vec::broadcast(row[i] + first_dim + d); }
};

template <int kRows, typename Queries>
bool score_tile(const Queries& queries, const RefPanel& refs, std::int64_t num_dims, Chunk chunk, std::int32_t* carried,
                const Reach* reach, TileHits& hits) {
    Vec sum[kRows][kRefRegisters];
    const bool fresh = chunk == Chunk::only || chunk == Chunk::first;
    const std::int32_t* const start = fresh ? refs.start : carried;
    const int stride = fresh ? 0 : kRefs;
#pragma GCC unroll 14
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kRefRegisters; ++j) sum[i][j] = Vec::load(start + i * stride + j * Vec::kWidth);
    }
    const std::int8_t* code = refs.code;
    for (std::int64_t d = 0; d < num_dims; d += 4) {
        Vec ref[kRefRegisters];
#pragma GCC unroll 4
        for (int j = 0; j < kRefRegisters; ++j) ref[j] = Vec::load(code + j * Vec::kWidth * 4);
#pragma GCC unroll 14
        for (int i = 0; i < kRows; ++i) {
            const Vec query = queries.query(i, d);
#pragma GCC unroll 4
            for (int j = 0; j < kRefRegisters; ++j) sum[i][j] = Vec::dot(sum[i][j], query, ref[j]);
        }
        code += 4 * kRefs;
    }
    if (chunk == Chunk::first || chunk == Chunk::middle) {
        store_tile<kRows>(sum, carried);
        return false;
    }
    std::uint32_t hit[kRows];
    std::uint32_t any = 0;
#pragma GCC unroll 14
    for (int i = 0; i < kRows; ++i) {
        const float drop = reach[i].lift * refs.residual;
        hit[i] = 0;
#pragma GCC unroll 4
        for (int j = 0; j < kRefRegisters; ++j) {
            const std::uint32_t lanes = sum[i][j].reaches(reach[i].slope, refs.inverse_scale + j * Vec::kWidth, drop);
            hit[i] |= lanes << (j * Vec::kWidth);
        }
        any |= hit[i];
    }
    if (any == 0) return false;
    for (int i = 0; i < kRows; ++i) hits.hit[i] = hit[i];
    store_tile<kRows>(sum, hits.dot);
    return true;
}

template <int kRows>
bool score_packed(const std::int8_t* queries, const RefPanel& refs, std::int64_t num_dims, Chunk chunk,
                  std::int32_t* carried, const Reach* reach, TileHits& hits) {
    return score_tile<kRows>(Packed<kRows>{queries}, refs, num_dims, chunk, carried, reach, hits);
}

template <int kRows>
bool score_gathered(const std::int8_t* const* row, std::int64_t first_dim, const RefPanel& refs, std::int64_t num_dims,
                    Chunk chunk, std::int32_t* carried, const Reach* reach, TileHits& hits) {
    return score_tile<kRows>(Gathered{row, first_dim}, refs, num_dims, chunk, carried, reach, hits);
}

template <int kRows>
constexpr void fill_tiles(Screen& screen) {
    if constexpr (kRows > 0) {
        screen.tile[kRows] = &score_packed<kRows>;
        screen.gathered[kRows] = &score_gathered<kRows>;
        fill_tiles<kRows - 1>(screen);
    }
}

constexpr Screen make_screen(const char* name, bool (*runs_here)(const CpuFeatures&), int max_query_code,
                             int query_offset) {
    Screen screen{name, runs_here, kQueries, kRefs, 4, max_query_code, query_offset, false, {}, {}, &exact_dots, &code_dot, &likeness, nullptr, nullptr};
    fill_tiles<kQueries>(screen);
    return screen;
}

}  // namespace
}  // namespace asl::ratio_search
