// AMX int8: 32 x 32 dots in four tiles of 16 x 16, two tiles of queries, two of references. Codes are signed on
// both sides here, so there is no offset.
#include <immintrin.h>

#include <cstdint>

#include "exact_dots.inl"
#include "likeness.inl"

namespace asl::ratio_search {
namespace {

constexpr int kQueries = 32;
constexpr int kRefs = 32;
constexpr int kRefStride = 4 * kRefs;  // bytes of four dimensions of a panel
constexpr std::int64_t kAheadDims = 256;
static_assert(kQueries <= kMaxQueries && kRefs <= kMaxRefs);

// Not _mm512_cvtepi32_ps: GCC 12 warns of its header.
inline __m512 as_floats(const std::int32_t* dot) {
    typedef std::int32_t Int16 __attribute__((vector_size(64)));
    return __builtin_convertvector(reinterpret_cast<Int16>(_mm512_load_si512(dot)), __m512);
}

struct alignas(64) TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t num_rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// In memory for good: GCC 12's intrinsic tells the compiler of eight bytes of it only.
constexpr TileShapes kTileShapes;

void enter() { _tile_loadconfig(&kTileShapes); }

void leave() { _tile_release(); }

// Tiles 0 to 3 hold the dots (query half, reference half), 4 and 5 the queries, 6 and 7 the references.
// kHalves = 1: at most 16 queries. Query panels are padded to whole halves.
template <int kHalves>
void multiply(const std::int8_t* queries, const std::int8_t* refs, std::int64_t num_dims, const std::int32_t* from,
              std::int32_t* to) {
    if (from == nullptr) {
        _tile_zero(0);
        _tile_zero(1);
        if constexpr (kHalves == 2) {
            _tile_zero(2);
            _tile_zero(3);
        }
    } else {
        _tile_loadd(0, from, kRefStride);
        _tile_loadd(1, from + 16, kRefStride);
        if constexpr (kHalves == 2) {
            _tile_loadd(2, from + 16 * kRefs, kRefStride);
            _tile_loadd(3, from + 16 * kRefs + 16, kRefStride);
        }
    }
    for (std::int64_t d = 0; d < num_dims; d += 64) {
        _tile_loadd(4, queries + d, num_dims);
        _tile_loadd(6, refs + d * kRefs, kRefStride);
        _tile_loadd(7, refs + d * kRefs + 64, kRefStride);
        // Few queries leave the memory to set the pace, and tile loads alone don't wake its prefetcher.
        if constexpr (kHalves == 1) {
            for (int line = 0; line < 32; ++line) __builtin_prefetch(refs + (d + kAheadDims) * kRefs + 64 * line);
        }
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        if constexpr (kHalves == 2) {
            _tile_loadd(5, queries + 16 * num_dims + d, num_dims);
            _tile_dpbssd(2, 5, 6);
            _tile_dpbssd(3, 5, 7);
        }
    }
    _tile_stored(0, to, kRefStride);
    _tile_stored(1, to + 16, kRefStride);
    if constexpr (kHalves == 2) {
        _tile_stored(2, to + 16 * kRefs, kRefStride);
        _tile_stored(3, to + 16 * kRefs + 16, kRefStride);
    }
}

template <int kRows>
bool score_tile(const std::int8_t* queries, const RefPanel& refs, std::int64_t num_dims, Chunk chunk,
                std::int32_t* carried, const Reach* reach, TileHits& hits) {
    const bool fresh = chunk == Chunk::only || chunk == Chunk::first;
    const bool ends = chunk == Chunk::only || chunk == Chunk::last;
    multiply<(kRows > 16 ? 2 : 1)>(queries, refs.code, num_dims, fresh ? nullptr : carried, ends ? hits.dot : carried);
    if (!ends) return false;
    const __m512 low = _mm512_load_ps(refs.inverse_scale), high = _mm512_load_ps(refs.inverse_scale + 16);
    const __m512 residual = _mm512_set1_ps(refs.residual);
    std::uint32_t any = 0;
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
        const __m512 slope = _mm512_set1_ps(reach[i].slope);
        const __m512 drop = _mm512_mul_ps(_mm512_set1_ps(reach[i].lift), residual);
        const auto reaches = [&](const std::int32_t* dot, __m512 inverse_scale) {
            return static_cast<std::uint32_t>(_mm512_cmp_ps_mask(as_floats(dot),
                                                                 _mm512_fmsub_ps(slope, inverse_scale, drop), _CMP_GE_OQ));
        };
        const std::int32_t* const dot = hits.dot + i * kRefs;
        hits.hit[i] = reaches(dot, low) | reaches(dot + 16, high) << 16;
        any |= hits.hit[i];
    }
    return any != 0;
}

// Tile loads want their rows at one distance: the queries are copied together first.
template <int kRows>
bool score_gathered(const std::int8_t* const* row, std::int64_t first_dim, const RefPanel& refs, std::int64_t num_dims,
                    Chunk chunk, std::int32_t* carried, const Reach* reach, TileHits& hits) {
    alignas(64) std::int8_t together[kQueries * kChunkDims];
    for (int i = 0; i < kRows; ++i) __builtin_memcpy(together + i * num_dims, row[i] + first_dim, static_cast<std::size_t>(num_dims));
    constexpr int kPadded = (kRows + 15) / 16 * 16;
    __builtin_memset(together + kRows * num_dims, 0, static_cast<std::size_t>((kPadded - kRows) * num_dims));
    return score_tile<kRows>(together, refs, num_dims, chunk, carried, reach, hits);
}

template <int kRows>
constexpr void fill_tiles(Screen& screen) {
    if constexpr (kRows > 0) {
        screen.tile[kRows] = &score_tile<kRows>;
        screen.gathered[kRows] = &score_gathered<kRows>;
        fill_tiles<kRows - 1>(screen);
    }
}

constexpr Screen make_screen() {
    const auto runs_here = [](const CpuFeatures& cpu) { return cpu.amxint8 && cpu.avx512f; };
    Screen screen{"amx", runs_here, kQueries, kRefs, 64, 127, 0, true, {}, {}, &exact_dots, &code_dot, &likeness, &enter, &leave};
    fill_tiles<kQueries>(screen);
    return screen;
}

}  // namespace

constinit const Screen kScreenAmx = make_screen();

}  // namespace asl::ratio_search
