// The certified screen: cheap scores of unit rows, with a bound on how far they can be from exact ones.
//
// Here: float32 dot products of rows that were normalised in double and rounded to float. One table of
// functions per instruction set, each from its own translation unit, all from one source (screen.inl).
// A cheaper screen (int8 codes) replaces the packing, the slack and the tile; its caller stays.
#pragma once

#include <cstdint>

#include "../common/cpu.h"

namespace asl::ratio_search {

// Bounds over all instruction sets, for buffers that hold any tile.
inline constexpr int kMaxQueries = 14;
inline constexpr int kMaxRefs = 32;
inline constexpr std::int64_t kTileFloats = kMaxQueries * kMaxRefs;
// Dimensions of a reference panel that stay in the L1 cache while query panels pass over them.
inline constexpr std::int64_t kChunkDims = 256;

// What one tile of scores came to. Only rows that some score of reached its threshold are filled in.
struct TileHits {
    std::uint32_t hit[kMaxQueries];                   // bit j: reference j reached the threshold
    alignas(64) float score[kMaxQueries * kMaxRefs];  // query-major, stride num_refs
};

// Adds the products of num_dims dimensions of `queries` (packed num_dims x m) and `refs` (packed
// num_dims x num_refs) to `sum` (m x num_refs; null: to zeros). threshold null: more dimensions follow,
// and the sums go back to `sum`. Else true if any sum reached its query's threshold; only then is
// `hits` written.
using Tile = bool (*)(const float* queries, const float* refs, std::int64_t num_dims, float* sum,
                      const float* threshold, TileHits& hits);

// dot(query, ref[i]) in the fixed order of exact_dot.h.
using ExactDots = void (*)(const float* query, const float* const* ref, std::int64_t num_refs,
                           std::int64_t num_dims, double* dot);

struct Screen {
    const char* name;
    bool (*runs_here)(const CpuFeatures& cpu);
    int num_queries;             // most rows of a query panel
    int num_refs;                // columns of a reference panel
    Tile tile[kMaxQueries + 1];  // tile[m]: for a query panel of m rows
    ExactDots exact_dots;
};

// The compiled tables, best first, ended by a null pointer.
extern const Screen* const kScreens[];
extern const Screen kScreenPlain;
#if defined(__x86_64__)
extern const Screen kScreenAvx2;
extern const Screen kScreenAvx512;
#endif

// Lay unit vectors of `count` rows side by side, dimension-major: out[d * width + i]. Columns from
// count to width are zeros.
void pack_unit_rows(const float* const* row, const double* row_norm, int count, int width, std::int64_t num_dims,
                    float* out);

// |screen score - exact score| <= slack, for any two rows of this many dimensions.
double screen_slack(std::int64_t num_dims);

}  // namespace asl::ratio_search
