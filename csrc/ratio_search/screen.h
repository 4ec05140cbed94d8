// The certified screen: integer dots of int8 codes, compared in registers with what each query still
// needs. codes.h has the bound and its proof. One table of functions per instruction set, each from its
// own translation unit; all give the same dots.
//
// Layout. Reference panel: for every four dimensions, num_refs groups of four codes. Query panel, per
// chunk of dimensions: for every four dimensions num_rows groups of four codes, or (row_major) num_rows
// rows. Sets that multiply unsigned by signed bytes take queries as code + query_offset; their dots then
// start at -query_offset * (sum of the reference's codes).
#pragma once

#include <cstdint>

#include "../common/cpu.h"
#include "codes.h"

namespace asl::ratio_search {

// Bounds over all instruction sets, for buffers that hold any tile.
inline constexpr int kMaxQueries = 32;
inline constexpr int kMaxRefs = 32;
inline constexpr std::int64_t kTileDots = kMaxQueries * kMaxRefs;
// Dimensions of a reference panel that stay in the L1 cache while query panels pass over them.
inline constexpr std::int64_t kChunkDims = 512;

// One panel of references as a tile sees it.
struct RefPanel {
    const std::int8_t* code;
    const float* inverse_scale;
    const std::int32_t* start;  // what each dot starts at
    float residual;             // the largest residual_in_codes
};

// What one tile of dots came to. Only rows of queries that exist are filled in, and only on a hit.
struct TileHits {
    std::uint32_t hit[kMaxQueries];                        // bit j: reference j reached what query i needs
    alignas(64) std::int32_t dot[kMaxQueries * kMaxRefs];  // query-major, stride num_refs
};

// Where a tile's dots stand between chunks of dimensions.
enum class Chunk { only, first, middle, last };

// Dots of num_dims dimensions (a multiple of Screen::dims_step) of num_rows queries. `sum` (num_rows x
// num_refs) carries the dots from chunk to chunk. For the only or last chunk: true if any dot reached
// what its query needs; only then is `hits` to be read.
using Tile = bool (*)(const std::int8_t* queries, const RefPanel& refs, std::int64_t num_dims, Chunk chunk,
                      std::int32_t* sum, const Reach* reach, TileHits& hits);

// The same of queries that lie anywhere: row[i] is all of query i, row-major with its offset.
using GatheredTile = bool (*)(const std::int8_t* const* row, std::int64_t first_dim, const RefPanel& refs,
                              std::int64_t num_dims, Chunk chunk, std::int32_t* sum, const Reach* reach, TileHits& hits);

// dot(query, ref[i]) in the fixed order of exact_dot.h.
using ExactDots = void (*)(const float* query, const float* const* ref, std::int64_t num_refs,
                           std::int64_t num_dims, double* dot);

struct Screen {
    const char* name;
    bool (*runs_here)(const CpuFeatures& cpu);
    int num_queries;   // most rows of a query panel
    int num_refs;      // columns of a reference panel
    int dims_step;     // dimensions are padded with zeros to a multiple of this
    int max_query_code;
    int query_offset;
    bool row_major;    // query panels then hold a multiple of 16 rows, the surplus ones zeros
    Tile tile[kMaxQueries + 1];  // tile[m]: for a query panel of m rows
    GatheredTile gathered[kMaxQueries + 1];
    ExactDots exact_dots;
    // Dot of two rows of codes, without an offset; and for `count` dots how alike the rows are, in 127ths of the cosine, below
    // zero as 0: factors hold 127 and the rows' scales. For heuristics.
    std::int32_t (*code_dot)(const std::int8_t* a, const std::int8_t* b, std::int64_t num_dims);
    void (*likeness)(const std::int32_t* dot, float factor, const float* ref_factor, int count, std::uint8_t* out);
    void (*enter)();  // before a thread's first tile and after its last; may be null
    void (*leave)();

    int panel_rows(int count) const { return row_major ? (count + 15) / 16 * 16 : count; }
    std::int64_t padded(std::int64_t num_dims) const { return (num_dims + dims_step - 1) / dims_step * dims_step; }
};

// The compiled tables, best first, ended by a null pointer.
extern const Screen* const kScreens[];
extern const Screen kScreenPlain;
#if defined(__x86_64__)
extern const Screen kScreenAvx2;
extern const Screen kScreenAvxVnni;
extern const Screen kScreenAvx512Vnni;
extern const Screen kScreenAmx;
#elif defined(__aarch64__)
extern const Screen kScreenNeon;
#endif

// Row-major codes of a panel's `count` rows, screen.padded(num_dims) apart and padded with zeros, to the
// layout of a panel, in place; `code` holds screen.num_refs rows, those from count on zeros. Returns the largest
// length and residual_in_codes.
struct PanelBound {
    float length = 0;
    float residual = 0;
};
PanelBound interleave_refs(const Screen& screen, int count, std::int64_t num_dims, std::int8_t* code,
                           const float* inverse_scale, const float* residual, std::int32_t* start);

// Put row i of `count` where a panel of queries has it, cut into chunks of at most chunk_dims dimensions. `line`: its
// padded codes with the screen's offset.
void place_query(const Screen& screen, const std::int8_t* line, int i, int count, std::int64_t padded_dims,
                 std::int64_t chunk_dims, std::int8_t* code);

// Encode `count` rows as one panel of queries, and row-major with the offset into `line` (count x padded).
void encode_queries(const Screen& screen, const float* const* row, const double* row_norm, int count, std::int64_t num_dims,
                    std::int64_t chunk_dims, std::int8_t* code, std::int8_t* line, CodedRow* coded);

}  // namespace asl::ratio_search
