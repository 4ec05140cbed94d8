// Exact nearest neighbours by cosine among the references that pass the norm-ratio predicate.
//
//   score(q, r) = (dot(q, r) / (row_norm(q) * row_norm(r)) - bias(q)) * scale(q) - soft.loss(norm(q) / norm(r))
//   row_norm(x) = sqrt(dot(x, x))
//   copy:     fl(norm(q) / norm(r)) <= tau(q)      original: not so      both: every pair
//
// dot runs in double over the raw float rows in one fixed order (exact_dot.h), so that every path gives
// the same bits. Result order: score descending, then reference row ascending.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "../common/threads.h"
#include "stored_rows.h"

namespace asl::ratio_search {

enum class Direction { copy, original, both };

// Borrowed rows: they must outlive whatever is made from them.
struct Rows {
    const float* value = nullptr;      // num_rows x num_dims, row-major, finite, no all-zero row
    std::int64_t num_rows = 0;
    std::int64_t num_dims = 0;
    const double* row_norm = nullptr;  // sqrt(dot(x, x)): the score's
    const double* norm = nullptr;      // the predicate's: the same, or another network's
    const StoredRows* on_gpu = nullptr;  // then `value` is null and they lie there; only a search on that GPU takes them
};

// What a search on the CPU had to do, for those who measure it.
struct Counts {
    std::atomic<std::int64_t> screened{0};  // pairs whose codes were multiplied
    std::atomic<std::int64_t> passed{0};    // pairs that the screen let through
    std::atomic<std::int64_t> scored{0};    // pairs scored exactly
};

// Told in one line what was done otherwise than asked; from any thread.
using Say = std::function<void(const std::string& what)>;

// What a pair loses whose ratio of norms lies beyond tau. It never falls as the ratio rises.
struct SoftRatio {
    double weight = 0;  // from 0 (nothing is lost) to 1e6
    double tau = 1;

    double loss(double ratio) const {
        if (weight == 0 || !(ratio > tau)) return 0;
        return weight * std::max(0.0, std::log(std::min(ratio / tau, std::numeric_limits<double>::max())));
    }
};

struct Wanted {
    std::int64_t k = 0;                 // most pairs of a query; 0: no limit
    const double* min_score = nullptr;  // one per query, inclusive; -infinity: none
    const double* bias = nullptr;       // one per query, at most 1e6 either way: subtracted from its scores
    const double* tau = nullptr;        // one per query
    Direction direction = Direction::copy;
    Counts* counts = nullptr;            // added to, where it is given
    const std::int64_t* rank = nullptr;  // one per reference, distinct: breaks ties in place of the row; < 0: not searched
    const Say* say = nullptr;
    const double* scale = nullptr;       // one per query, from 1e-6 to 1e6: times cosine less bias; null: 1
    SoftRatio soft{};                    // the CPU paths know it

    double scale_of(std::int64_t query) const { return scale == nullptr ? 1.0 : scale[query]; }
    // In two steps: no compiler may join them into one that rounds once.
    double score(std::int64_t query, double cosine, double ratio) const {
        const double scaled = (cosine - bias[query]) * scale_of(query);
        return scaled - soft.loss(ratio);
    }
};

struct Pair {
    double score;
    std::int64_t row;  // of the reference, as the caller numbers them
};

// The order of an answer. Rows are distinct, so no two pairs of a query are equal.
struct Better {
    const std::int64_t* rank = nullptr;

    std::int64_t place(std::int64_t row) const { return rank == nullptr ? row : rank[row]; }
    bool operator()(const Pair& a, const Pair& b) const {
        return a.score > b.score || (a.score == b.score && place(a.row) < place(b.row));
    }
};

// One list a query, best first, at most k long.
using Found = std::vector<std::vector<Pair>>;

struct QueryPair {
    double score;
    std::int64_t query;
    std::int64_t row;
};

// Told the pairs scored so far and in all; false asks to stop.
using Tell = std::function<bool(std::int64_t done, std::int64_t total)>;

// References prepared for one kind of machine. Searches may run at the same time from many threads.
class Refs {
   public:
    virtual ~Refs() = default;
    virtual const char* path() const = 0;
    // The best k (at least 1) of each query. False if `tell` asked to stop; `found` is then incomplete.
    virtual bool search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell,
                        Found& found) const = 0;
    // The best num_pairs of all queries together, best first, ties by query, then as Better; of each query
    // only the best k compete. Takes memory for a few times num_pairs, whatever the rows.
    virtual bool best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int num_threads,
                            const Tell& tell, std::vector<QueryPair>& best) const = 0;
};

// Whether references are put into groups of like ones, so that a search can skip most of them: worth it, and longer to
// prepare, where many have near ones.
enum class Grouping { never, if_it_pays, always };

// codes: null, and they are made from the rows. hit_bytes: for hits that wait to be scored, of each thread of a
// search; more if one panel of queries needs more. instructions: one of cpu_paths(), or "" for the best one.
// ValueError's C++ twin, std::invalid_argument, if this machine can't run it.
std::unique_ptr<Refs> prepare_cpu(const StoredRows& refs, const StoredCodes* codes, std::int64_t hit_bytes,
                                  int num_threads, const std::string& instructions, Grouping grouping);

// What a search on GPUs may take, beside the references.
struct GpuLimits {
    std::int64_t chunk_rows = std::int64_t{1} << 18;  // references that are screened between two looks at the floors
    std::int64_t capacity = 1024;                     // entries of a list, at least
    std::int64_t buffer_bytes = std::int64_t{1} << 30;  // for the queries of a batch; fewer bytes, more batches
    bool rows_on_host = false;  // only codes go to the GPU; it reads the rows of survivors from this machine's memory
};

// The GPU path with this machine emulating num_gpus GPUs of gpu_bytes: for tests. seed: of the order of their threads.
std::unique_ptr<Refs> prepare_emulated(const StoredRows& refs, int num_gpus, std::int64_t gpu_bytes, const GpuLimits& limits,
                                       int num_threads, unsigned seed);

// Rows in an emulated GPU's memory, where nothing but it can read them: for tests.
class EmulatedRows {
   public:
    explicit EmulatedRows(const StoredRows& rows);
    ~EmulatedRows();
    EmulatedRows(const EmulatedRows&) = delete;
    EmulatedRows& operator=(const EmulatedRows&) = delete;

    const void* value() const { return memory_; }

   private:
    void* memory_;
};
std::vector<double> emulated_row_norms(const StoredRows& rows);

#if defined(ASL_FAST_WITH_CUDA)
struct CudaInfo {
    std::vector<std::string> device_names;
    std::string problem;  // why there is none, in the driver's words
};
CudaInfo cuda_info();
std::vector<std::int64_t> cuda_free_bytes(const std::vector<int>& devices);
// sqrt(dot(x, x)) of rows on a GPU.
std::vector<double> cuda_row_norms(const StoredRows& rows, int device);
// devices: CUDA's numbers, each once; every one holds an even share of the rows.
std::unique_ptr<Refs> prepare_cuda(const StoredRows& refs, const std::vector<int>& devices, const GpuLimits& limits, int num_threads);
#endif

// Instruction sets compiled in, best first, and those of them that this machine runs.
std::vector<std::string> compiled_paths();
std::vector<std::string> cpu_paths();

// sqrt(dot(x, x)) of every row.
void row_norms(const StoredRows& rows, int num_threads, double* norm);

// The codes that prepare_cpu would make of the rows, row-major in their order.
void encode_rows(const StoredRows& rows, int num_threads, std::int8_t* code, float* inverse_scale, float* residual);

}  // namespace asl::ratio_search
