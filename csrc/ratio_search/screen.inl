// One source for every instruction set. The including file defines, in an unnamed namespace, `Vec` (a
// register of floats) with kWidth, zero, load, broadcast, fused or plain multiply-add, store and a
// mask of lanes that are >= another register, and kQueries x kRefRegisters, the tile held in registers.
//
// No function of the standard library is called here: the linker keeps one copy of an inline function,
// and it must not be the one compiled for instructions that another machine lacks.

#include <cstddef>

#include "exact_dot.h"
#include "screen.h"

namespace asl::ratio_search {
namespace {

constexpr int kRefs = kRefRegisters * Vec::kWidth;
static_assert(kQueries <= kMaxQueries && kRefs <= kMaxRefs);

template <int kRows>
void store_tile(const Vec (&sum)[kRows][kRefRegisters], float* out) {
#pragma GCC unroll 14
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < kRefRegisters; ++j) sum[i][j].store(out + i * kRefs + j * Vec::kWidth);
    }
}

template <int kRows>
bool score_tile(const float* queries, const float* refs, std::int64_t num_dims, float* sum_so_far,
                const float* threshold, TileHits& hits) {
    Vec sum[kRows][kRefRegisters];
#pragma GCC unroll 14
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < kRefRegisters; ++j) {
            sum[i][j] = sum_so_far == nullptr ? Vec::zero() : Vec::load(sum_so_far + i * kRefs + j * Vec::kWidth);
        }
    }
    for (std::int64_t d = 0; d < num_dims; ++d) {
        Vec ref[kRefRegisters];
#pragma GCC unroll 2
        for (int j = 0; j < kRefRegisters; ++j) ref[j] = Vec::load(refs + j * Vec::kWidth);
#pragma GCC unroll 14
        for (int i = 0; i < kRows; ++i) {
            const Vec query = Vec::broadcast(queries[i]);
#pragma GCC unroll 2
            for (int j = 0; j < kRefRegisters; ++j) sum[i][j] = Vec::multiply_add(query, ref[j], sum[i][j]);
        }
        queries += kRows;
        refs += kRefs;
    }
    if (threshold == nullptr) {
        store_tile<kRows>(sum, sum_so_far);
        return false;
    }
    std::uint32_t hit[kRows];
    std::uint32_t any = 0;
#pragma GCC unroll 14
    for (int i = 0; i < kRows; ++i) {
        const Vec needed = Vec::broadcast(threshold[i]);
        hit[i] = 0;
#pragma GCC unroll 2
        for (int j = 0; j < kRefRegisters; ++j) {
            hit[i] |= Vec::at_least(sum[i][j], needed) << (j * Vec::kWidth);
        }
        any |= hit[i];
    }
    if (any == 0) return false;
    for (int i = 0; i < kRows; ++i) hits.hit[i] = hit[i];
    store_tile<kRows>(sum, hits.score);
    return true;
}

template <int kRows>
constexpr void fill_tiles(Tile (&tile)[kMaxQueries + 1]) {
    if constexpr (kRows > 0) {
        tile[kRows] = &score_tile<kRows>;
        fill_tiles<kRows - 1>(tile);
    }
}

typedef float Float8 __attribute__((vector_size(32)));
typedef double Double8 __attribute__((vector_size(64)));

inline void load_as_double(const float* value, Double8& out) {
    Float8 loaded;
    __builtin_memcpy(&loaded, value, sizeof loaded);
    out = __builtin_convertvector(loaded, Double8);
}

// kCount dots at once, so that their additions overlap.
template <int kCount>
void exact_dots_of(const float* query, const float* const* ref, std::int64_t num_dims, double* dot) {
    Double8 lane[kCount] = {};
    std::int64_t d = 0;
    for (; d + 8 <= num_dims; d += 8) {
        Double8 q, r;
        load_as_double(query + d, q);
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
            load_as_double(ref[i] + d, r);
            lane[i] += q * r;
        }
    }
    for (int i = 0; i < kCount; ++i) {
        double sum[8];
        __builtin_memcpy(sum, &lane[i], sizeof sum);
        for (std::int64_t rest = d; rest < num_dims; ++rest) {
            sum[rest - d] += static_cast<double>(query[rest]) * static_cast<double>(ref[i][rest]);
        }
        dot[i] = sum_lanes(sum);
    }
}

void exact_dots(const float* query, const float* const* ref, std::int64_t num_refs, std::int64_t num_dims,
                double* dot) {
    std::int64_t i = 0;
    for (; i + 4 <= num_refs; i += 4) exact_dots_of<4>(query, ref + i, num_dims, dot + i);
    for (; i < num_refs; ++i) exact_dots_of<1>(query, ref + i, num_dims, dot + i);
}

constexpr Screen make_screen(const char* name, bool (*runs_here)(const CpuFeatures&)) {
    Screen screen{name, runs_here, kQueries, kRefs, {}, &exact_dots};
    fill_tiles<kQueries>(screen.tile);
    return screen;
}

}  // namespace
}  // namespace asl::ratio_search
