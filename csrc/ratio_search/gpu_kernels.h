// The kernels of the GPU path, written once. `Block` is one thread's view of its thread block: nvcc compiles them
// with CUDA's (cuda_gpu.cu), the host's compiler with an emulated one that the tests run (emulated_block.h):
//
//   thread()                     0 ... kGpuThreads - 1;  x(), y(): the block's place in the grid
//   sync()                       every thread of the block arrives here before one goes on
//   add(counter, number)         atomic; returns what was there
//   copy16(to, from)             16 bytes to shared memory, some time before commit() and wait() say so
//   commit(), wait<n>()          the copies so far are a group; all but the last n groups of this thread have arrived
//   multiply(sum, a, b)          a warp's products of int8 codes, 64 x 64 x 32 (below)
//   lowest_bit(bits)             number of the lowest 1
#pragma once

#include <cstdint>

#include "exact_dot.h"
#include "gpu.h"

#if defined(__CUDACC__)
#define ASL_DEVICE __device__
#define ASL_UNROLL _Pragma("unroll")
#else
#define ASL_DEVICE
#define ASL_UNROLL
#endif

namespace asl::ratio_search {

inline constexpr int kGpuThreads = 128;  // of every block: four warps
inline constexpr int kTile = 128;        // queries and references of a tile
inline constexpr int kSliceDims = 64;    // dimensions that are in shared memory at a time
inline constexpr int kStages = 3;        // slices on their way or in use
inline constexpr int kStripTiles = 16;   // tiles that a block walks along, one after the other
inline constexpr int kExactPairs = kGpuThreads / 8;  // scored at a time: eight lanes each
inline constexpr int kSharedEntries = 1024;          // longer lists are sorted where they lie

// A warp's share of a tile is 64 queries x 64 references: 4 x 8 products of 16 x 8, in the layout of mma.m16n8k32
// (PTX): with g = lane / 4 and t = lane % 4, sum[i][j][2 h + r] is query 16 i + 8 h + g with reference 8 j + 2 t + r,
// a[i][h + 2 c] holds codes 16 c + 4 t ... + 3 of that query, b[j][c] those of reference 8 j + g.
struct ScreenShared {
    alignas(16) std::int8_t query[kStages][kTile * kSliceDims];
    alignas(16) std::int8_t ref[kStages][kTile * kSliceDims];
};

struct MeasureShared {
    double lane[kExactPairs][8];
};

struct EncodeShared {
    float largest[kExactPairs][kCodeLanes];
    double squared_error[kExactPairs][kCodeLanes];
    std::int32_t sum[kExactPairs][kCodeLanes];
    std::int32_t squares[kExactPairs][kCodeLanes];
};

struct SettleShared {
    double lane[kExactPairs][8];
    Entry entry[kSharedEntries];
};

template <typename T>
ASL_DEVICE T smaller(T a, T b) {
    return b < a ? b : a;
}
template <typename T>
ASL_DEVICE T larger(T a, T b) {
    return a < b ? b : a;
}

// Where 16 codes lie in a slice: pieces of a row change places, so that the eight rows that a warp reads at once lie in
// different banks.
ASL_DEVICE inline int slice_offset(int row, int piece) { return row * kSliceDims + ((piece ^ ((row >> 1) & 3)) * 16); }

ASL_DEVICE inline std::uint32_t four_codes(const std::int8_t* codes) {
    return *reinterpret_cast<const std::uint32_t*>(codes);
}

// Copies slices to shared memory, tile after tile. Rows past the end are the last row again: nothing that they bring
// counts.
template <typename Block>
class SliceLoader {
   public:
    ASL_DEVICE SliceLoader(Block& block, const ScanWork& work, ScreenShared& shared, std::int64_t first_tile, std::int64_t end_tile)
        : block_(block), work_(work), shared_(shared), tile_(first_tile), end_tile_(end_tile) {
        for (int i = 0; i < kPieces; ++i) {
            const std::int64_t p = smaller(block.x() * kTile + row(i), work.num_probes - 1);
            query_[i] = work.queries.code + work.probe[p].slot * work.refs.padded_dims + piece() * 16;
        }
    }

    // The next slice, if there is one; a group of copies in any case.
    ASL_DEVICE void next() {
        if (tile_ < end_tile_) copy();
        block_.commit();
    }

   private:
    static constexpr int kPieces = kTile * kSliceDims / 16 / kGpuThreads;  // of each side, for a thread

    ASL_DEVICE int row(int i) const { return i * (kGpuThreads / 4) + block_.thread() / 4; }
    ASL_DEVICE int piece() const { return block_.thread() % 4; }

    ASL_DEVICE void copy() {
        ASL_UNROLL
        for (int i = 0; i < kPieces; ++i) {
            const std::int64_t r = smaller(work_.chunk.begin + tile_ * kTile + row(i), work_.refs.num_rows - 1);
            const std::int8_t* const ref = work_.refs.code + r * work_.refs.padded_dims + piece() * 16;
            block_.copy16(&shared_.query[stage_][slice_offset(row(i), piece())], query_[i] + dim_);
            block_.copy16(&shared_.ref[stage_][slice_offset(row(i), piece())], ref + dim_);
        }
        stage_ = stage_ + 1 == kStages ? 0 : stage_ + 1;
        dim_ += kSliceDims;
        if (dim_ < work_.refs.padded_dims) return;
        dim_ = 0;
        ++tile_;
    }

    Block& block_;
    const ScanWork& work_;
    ScreenShared& shared_;
    std::int64_t tile_, end_tile_;
    std::int64_t dim_ = 0;
    int stage_ = 0;
    const std::int8_t* query_[kPieces];
};

// This thread's share of one tile of dots.
template <typename Block>
class TileDots {
   public:
    ASL_DEVICE explicit TileDots(const Block& block)
        : first_query_(block.thread() / 64 * 64), first_ref_(block.thread() / 32 % 2 * 64), group_(block.thread() % 32 / 4), t_(block.thread() % 4) {
        clear();
    }

    ASL_DEVICE void clear() {
        ASL_UNROLL
        for (int i = 0; i < 4; ++i) {
        ASL_UNROLL
            for (int j = 0; j < 8; ++j) {
        ASL_UNROLL
                for (int c = 0; c < 4; ++c) sum_[i][j][c] = 0;
            }
        }
    }

    ASL_DEVICE void add_slice(Block& block, const std::int8_t* query, const std::int8_t* ref) {
        ASL_UNROLL
        for (int piece = 0; piece < kSliceDims / 16; piece += 2) {
            std::uint32_t a[4][4], b[8][2];
        ASL_UNROLL
            for (int i = 0; i < 4; ++i) {
        ASL_UNROLL
                for (int part = 0; part < 4; ++part) {
                    const int row = first_query_ + 16 * i + 8 * (part % 2) + group_;
                    a[i][part] = four_codes(query + slice_offset(row, piece + part / 2) + 4 * t_);
                }
            }
        ASL_UNROLL
            for (int j = 0; j < 8; ++j) {
        ASL_UNROLL
                for (int part = 0; part < 2; ++part) {
                    b[j][part] = four_codes(ref + slice_offset(first_ref_ + 8 * j + group_, piece + part) + 4 * t_);
                }
            }
            block.multiply(sum_, a, b);
        }
    }

    // Which dots reach what their query needs goes to the lists. first: the position of the tile's first reference.
    ASL_DEVICE void report(Block& block, const ScanWork& work, std::int64_t first_probe, std::int64_t first) const {
        Reach reach[4][2];
        ASL_UNROLL
        for (int i = 0; i < 4; ++i) {
        ASL_UNROLL
            for (int h = 0; h < 2; ++h) {
                reach[i][h] = work.lists.reach[work.probe[smaller(first_probe + query(i, h), work.num_probes - 1)].slot];
            }
        }
        std::uint32_t reached[4] = {};  // [i], bit 16 h + 2 j + r
        ASL_UNROLL
        for (int j = 0; j < 8; ++j) {
        ASL_UNROLL
            for (int r = 0; r < 2; ++r) {
                const RefScale scale = work.refs.scale[smaller(first + ref(j, r), work.refs.num_rows - 1)];
        ASL_UNROLL
                for (int i = 0; i < 4; ++i) {
        ASL_UNROLL
                    for (int h = 0; h < 2; ++h) {
                        const float drop = reach[i][h].lift * scale.residual;
                        const float needed = fmaf(reach[i][h].slope, scale.inverse_scale, -drop);
                        const std::uint32_t hit = static_cast<float>(sum_[i][j][2 * h + r]) >= needed ? 1U : 0U;
                        reached[i] |= hit << (16 * h + 2 * j + r);
                    }
                }
            }
        }
        ASL_UNROLL
        for (int i = 0; i < 4; ++i) {
            for (; reached[i] != 0; reached[i] &= reached[i] - 1) {
                const int bit = block.lowest_bit(reached[i]);
                append(block, work, first_probe + query(i, bit / 16), first + ref(bit / 2 % 8, bit % 2));
            }
        }
    }

   private:
    ASL_DEVICE int query(int i, int h) const { return first_query_ + 16 * i + 8 * h + group_; }
    ASL_DEVICE int ref(int j, int r) const { return first_ref_ + 8 * j + 2 * t_ + r; }

    ASL_DEVICE static void append(Block& block, const ScanWork& work, std::int64_t p, std::int64_t position) {
        if (p >= work.num_probes) return;
        const GpuProbe& probe = work.probe[p];
        if (position < probe.range.begin || position >= probe.range.end || work.refs.place[position] < 0) return;
        const GpuLists& lists = work.lists;
        const Count index = block.add(&lists.found[probe.slot], 1);
        if (index < static_cast<Count>(lists.capacity)) lists.entry[probe.slot * lists.capacity + static_cast<std::int64_t>(index)].position = position;
    }

    int first_query_, first_ref_, group_, t_;
    std::int32_t sum_[4][8][4];
};

// Block (x, y): probes x * kTile ... against strip y of the chunk. What the screen lets through is appended to the
// lists; it is scored by `settle`.
template <typename Block>
ASL_DEVICE void screen(Block& block, const ScanWork& work, ScreenShared& shared) {
    const Range any = work.tile_any[block.x()];
    const std::int64_t strip = block.y() * kStripTiles;
    const std::int64_t first_tile = larger(strip, (any.begin - work.chunk.begin) / kTile);
    const std::int64_t end_tile = smaller(strip + kStripTiles, (any.end - work.chunk.begin + kTile - 1) / kTile);
    if (first_tile >= end_tile) return;

    SliceLoader<Block> loader(block, work, shared, first_tile, end_tile);
    TileDots<Block> dots(block);
    for (int ahead = 0; ahead + 1 < kStages; ++ahead) loader.next();
    int stage = 0;
    for (std::int64_t tile = first_tile; tile < end_tile; ++tile) {
        for (std::int64_t dim = 0; dim < work.refs.padded_dims; dim += kSliceDims) {
            block.template wait<kStages - 2>();
            block.sync();  // this slice has arrived for every thread, and every thread is done with the one before it
            loader.next();  // takes that one's place
            dots.add_slice(block, shared.query[stage], shared.ref[stage]);
            stage = stage + 1 == kStages ? 0 : stage + 1;
        }
        dots.report(block, work, block.x() * kTile, work.chunk.begin + tile * kTile);
        dots.clear();
    }
}

// One thread a probe: floors proven elsewhere.
template <typename Block>
ASL_DEVICE void raise_floors(Block& block, const ScanWork& work) {
    const std::int64_t p = block.x() * kGpuThreads + block.thread();
    if (p >= work.num_probes) return;
    const std::int64_t slot = work.probe[p].slot;
    const double floor = larger(work.lists.floor[slot], work.probe[p].floor);
    work.lists.floor[slot] = floor;
    work.lists.reach[slot] = reach_of(work.queries.terms[slot], floor);
}

// Lane `lane` of exact_dot.h: a query with the reference that begins at number `first`.
template <Number kNumber>
ASL_DEVICE double exact_lane(const float* query, const void* refs, std::int64_t first, std::int64_t num_dims, int lane) {
    double sum = 0;
    for (std::int64_t d = lane; d < num_dims; d += 8) {
        sum = fma(static_cast<double>(query[d]), static_cast<double>(float_at<kNumber>(refs, first + d)), sum);
    }
    return sum;
}

ASL_DEVICE inline double exact_lane(const float* query, const GpuRows& refs, std::int64_t position, int lane) {
    const std::int64_t first = (refs.row == nullptr ? position : refs.row[position]) * refs.num_dims;
    switch (refs.number) {
        case Number::f16: return exact_lane<Number::f16>(query, refs.value, first, refs.num_dims, lane);
        case Number::bf16: return exact_lane<Number::bf16>(query, refs.value, first, refs.num_dims, lane);
        case Number::f32: return exact_lane<Number::f32>(query, refs.value, first, refs.num_dims, lane);
        case Number::f64: break;
    }
    return exact_lane<Number::f64>(query, refs.value, first, refs.num_dims, lane);
}

// Block x: the norms of kExactPairs rows, eight lanes each.
template <typename Block>
ASL_DEVICE void measure(Block& block, const MeasureWork& work, MeasureShared& shared) {
    const int lane = block.thread() % 8, of_row = block.thread() / 8;
    const std::int64_t i = block.x() * kExactPairs + of_row, num_dims = work.rows.num_dims;
    double sum = 0;
    for (std::int64_t d = lane; i < work.num_rows && d < num_dims; d += 8) {
        const double x = static_cast<double>(float_at(work.rows.value, work.rows.number, i * num_dims + d));
        sum = fma(x, x, sum);
    }
    shared.lane[of_row][lane] = sum;
    block.sync();
    if (i < work.num_rows && lane == 0) work.norm[i] = sqrt(sum_lanes(shared.lane[of_row]));
}

// Block x: the codes of kExactPairs rows, eight lanes each, in codes.h's order.
template <typename Block>
ASL_DEVICE void encode(Block& block, const EncodeWork& work, EncodeShared& shared) {
    const int lane = block.thread() % kCodeLanes, of_row = block.thread() / kCodeLanes;
    const std::int64_t i = block.x() * kExactPairs + of_row, num_dims = work.rows.num_dims;
    const bool is_row = i < work.num_rows;
    const std::int64_t first = is_row ? work.row[i] * num_dims : 0;
    float largest = 0;
    for (std::int64_t d = lane; is_row && d < num_dims; d += kCodeLanes) {
        largest = fmaxf(largest, fabsf(float_at(work.rows.value, work.rows.number, first + d)));
    }
    shared.largest[of_row][lane] = largest;
    block.sync();
    for (int other = 0; other < kCodeLanes; ++other) largest = fmaxf(largest, shared.largest[of_row][other]);
    const double row_norm = is_row ? work.row_norm[i] : 1;
    const float inverse_scale = Coder::inverse_scale_of(row_norm, largest, 127);
    const Coder coder(row_norm, inverse_scale);
    double squared_error = 0;
    std::int32_t sum = 0, squares = 0;
    for (std::int64_t d = lane; is_row && d < work.padded_dims; d += kCodeLanes) {
        std::int8_t code = 0;
        if (d < num_dims) {
            const float value = float_at(work.rows.value, work.rows.number, first + d);
            code = coder.code(value, squared_error);
            if (work.value != nullptr) work.value[i * num_dims + d] = value;
        }
        work.code[i * work.padded_dims + d] = code;
        sum += code;
        squares += code * code;
    }
    shared.squared_error[of_row][lane] = squared_error;
    shared.sum[of_row][lane] = sum;
    shared.squares[of_row][lane] = squares;
    block.sync();
    if (!is_row || lane != 0) return;
    for (int other = 1; other < kCodeLanes; ++other) {
        sum += shared.sum[of_row][other];
        squares += shared.squares[of_row][other];
    }
    work.coded[i] = {inverse_scale, Coder::residual_of(shared.squared_error[of_row]), Coder::length_of(squares, inverse_scale), sum};
}

inline constexpr std::int64_t kNowhere = -1;  // an entry that isn't one: worse than all

ASL_DEVICE inline bool precedes(const Entry& a, const Entry& b, const std::int64_t* place) {
    if (a.position == kNowhere || b.position == kNowhere) return a.position != kNowhere && b.position == kNowhere;
    return a.score > b.score || (a.score == b.score && place[a.position] < place[b.position]);
}

// Sort `size` entries (a power of 2), best first. In shared or global memory: all of them are this block's.
template <typename Block>
ASL_DEVICE void sort_entries(Block& block, Entry* entry, std::int64_t size, const std::int64_t* place) {
    for (std::int64_t run = 2; run <= size; run *= 2) {
        for (std::int64_t stride = run / 2; stride > 0; stride /= 2) {
            block.sync();
            for (std::int64_t i = block.thread(); i < size / 2; i += kGpuThreads) {
                const std::int64_t low = 2 * i - (i & (stride - 1)), high = low + stride;
                const bool best_first = (low & run) == 0;
                const Entry a = entry[low], b = entry[high];
                if (best_first ? !precedes(b, a, place) : !precedes(a, b, place)) continue;
                entry[low] = b;
                entry[high] = a;
            }
        }
    }
    block.sync();
}

// The first k of sorted entries, each once: a list that overflowed is filled again, with much that it held before.
ASL_DEVICE inline std::int64_t keep_first(const Entry* sorted, std::int64_t size, std::int64_t k, Entry* out) {
    std::int64_t count = 0, last = kNowhere;
    for (std::int64_t i = 0; i < size && count < k; ++i) {
        const Entry entry = sorted[i];
        if (entry.position == kNowhere) break;
        if (entry.position == last) continue;
        last = entry.position;
        out[count++] = entry;
    }
    return count;
}

// Block x: score what the screen appended to the list of probe x, and, with a k, keep the best and raise the floor.
template <typename Block>
ASL_DEVICE void settle(Block& block, const ScanWork& work, SettleShared& shared) {
    const GpuLists& lists = work.lists;
    const std::int64_t slot = work.probe[block.x()].slot;
    Entry* const list = lists.entry + slot * lists.capacity;
    const std::int64_t found = static_cast<std::int64_t>(lists.found[slot]), kept = static_cast<std::int64_t>(lists.kept[slot]);
    const std::int64_t size = smaller(found, lists.capacity);
    const int lane = block.thread() % 8, of_pair = block.thread() / 8;
    const double floor = lists.floor[slot];

    for (std::int64_t first = kept; first < size; first += kExactPairs) {
        const std::int64_t i = first + of_pair;
        if (i < size) {
            shared.lane[of_pair][lane] = exact_lane(work.queries.value + slot * work.refs.num_dims, work.refs, list[i].position, lane);
        }
        block.sync();
        if (i < size && lane == 0) {
            const double norms = work.queries.row_norm[slot] * work.refs.row_norm[list[i].position];
            const ReachTerms& terms = work.queries.terms[slot];
            list[i].score = (sum_lanes(shared.lane[of_pair]) / norms - terms.bias) * terms.scale;
        }
        block.sync();
    }
    if (block.thread() == 0 && work.scored != nullptr) block.add(work.scored, static_cast<Count>(size - kept));
    if (lists.k == 0) {
        if (block.thread() == 0) work.overflowed[block.x()] = found > lists.capacity ? 1 : 0;
        return;
    }

    std::int64_t padded = 1;
    while (padded < size) padded *= 2;
    Entry* const sorted = padded <= kSharedEntries ? shared.entry : list;
    for (std::int64_t i = block.thread(); i < padded; i += kGpuThreads) {
        Entry entry{0, kNowhere};
        if (i < size && list[i].score >= floor) entry = list[i];
        sorted[i] = entry;
    }
    sort_entries(block, sorted, padded, work.refs.place);
    if (block.thread() != 0) return;
    const std::int64_t count = keep_first(sorted, padded, lists.k, list);
    lists.kept[slot] = lists.found[slot] = static_cast<Count>(count);
    work.overflowed[block.x()] = found > lists.capacity ? 1 : 0;
    if (count < lists.k) return;
    lists.floor[slot] = larger(floor, list[count - 1].score);
    lists.reach[slot] = reach_of(work.queries.terms[slot], lists.floor[slot]);
}

// Block x: a part of a list to its place among the others.
template <typename Block>
ASL_DEVICE void pack(Block& block, const PackWork& work) {
    const PackedList& list = work.list[block.x()];
    const Entry* const from = work.lists.entry + list.slot * work.lists.capacity + list.first;
    for (std::int64_t i = block.thread(); i < list.length; i += kGpuThreads) work.out[list.offset + i] = from[i];
}

// Block x: the candidates of slot x that pass the per-pair test.
template <typename Block>
ASL_DEVICE void admit(Block& block, const AdmitWork& work) {
    const std::int64_t slot = block.x();
    const std::int64_t* const candidate = work.candidate + slot * work.num_columns;
    for (std::int64_t i = work.columns.begin + block.thread(); i < work.columns.end; i += kGpuThreads) {
        const std::int64_t row = candidate[i];
        if (row < -1 || row >= work.num_refs) block.add(work.wrong, 1);
        if (row < 0 || row >= work.num_refs) continue;
        const bool copy = may_be_copy(work.query_norm[slot], work.ref_norm[row], work.tau[slot]);
        if (work.direction != Direction::both && copy != (work.direction == Direction::copy)) continue;
        const Count index = block.add(&work.lists.found[slot], 1);
        if (index < static_cast<Count>(work.lists.capacity)) work.lists.entry[slot * work.lists.capacity + static_cast<std::int64_t>(index)].position = row;
    }
}

}  // namespace asl::ratio_search
