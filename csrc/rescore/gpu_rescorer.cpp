#include "gpu_rescorer.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "../ratio_search/gpu_refs.h"
#include "../ratio_search/rows_on_gpu.h"

namespace asl::rescore {
namespace {

namespace rs = ratio_search;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// A batch of queries in the GPU's memory.
struct Batch {
    rs::GpuArray<float> value;
    rs::GpuArray<double> row_norm, norm, tau;
    rs::GpuArray<rs::ReachTerms> terms;
    rs::GpuArray<rs::GpuProbe> probe;
    rs::GpuArray<std::uint32_t> overflowed;
    rs::GpuArray<std::int64_t> candidate;
    rs::GpuArray<rs::Count> wrong;
    rs::ListsOnGpu lists;

    Batch(rs::Gpu& gpu, std::int64_t size, std::int64_t num_dims, std::int64_t candidates_each, std::int64_t capacity)
        : value(gpu, size * num_dims),
          row_norm(gpu, size),
          norm(gpu, size),
          tau(gpu, size),
          terms(gpu, size),
          probe(gpu, size),
          overflowed(gpu, size),
          candidate(gpu, size * candidates_each),
          wrong(gpu, 1),
          lists(gpu, size, capacity) {}

    static std::int64_t query_bytes(std::int64_t num_dims, std::int64_t candidates_each, std::int64_t capacity) {
        const std::int64_t columns = 3 * sizeof(double) + sizeof(rs::ReachTerms) + sizeof(rs::GpuProbe) + sizeof(std::uint32_t);
        return 4 * num_dims + 8 * candidates_each + columns + rs::ListsOnGpu::slot_bytes(capacity);
    }

    void load(const rs::Rows& queries, const rs::Wanted& wanted, std::int64_t first, std::int64_t count) {
        std::vector<rs::GpuProbe> probes;
        std::vector<rs::ReachTerms> no_screen;
        for (std::int64_t slot = 0; slot < count; ++slot) {
            probes.push_back({slot, {}, 0});
            no_screen.push_back({0, 0, wanted.bias[first + slot], wanted.scale_of(first + slot), 0});
        }
        const rs::Count none = 0;
        value.put(queries.value + first * queries.num_dims, 0, count * queries.num_dims);
        row_norm.put(queries.row_norm + first, 0, count);
        norm.put(queries.norm + first, 0, count);
        tau.put(wanted.tau + first, 0, count);
        terms.put(no_screen.data(), 0, count);
        probe.put(probes.data(), 0, count);
        wrong.put(&none, 0, 1);
        lists.clear({wanted.min_score + first, at(count)});
    }
};

class Rescorer : public GpuRescorer {
   public:
    Rescorer(const rs::StoredRows& refs, const rs::OpenGpu& open, const rs::GpuLimits& limits, int num_threads)
        : open_(open), limits_(limits), gpu_(open()), norm_(*gpu_, refs.num_rows) {
        std::vector<std::int64_t> row(at(refs.num_rows));
        std::iota(row.begin(), row.end(), std::int64_t{0});
        rows_.emplace(*gpu_, refs, row, rs::RowsOnGpu::Wish{false, false}, num_threads);
        norm_.put(refs.norm, 0, refs.num_rows);
    }

    rs::Found best(const rs::Rows& queries, const std::int64_t* candidate, bool on_gpu, std::int64_t num_candidates,
                   const rs::Wanted& wanted) const override {
        if (wanted.soft.weight != 0) throw std::invalid_argument("rescore: a search on GPUs knows no soft ratio; use device='cpu'");
        rs::Found found(at(queries.num_rows));
        if (queries.num_rows == 0 || num_candidates == 0) return found;
        const std::unique_ptr<rs::Gpu> gpu = open_();
        const std::int64_t k = wanted.k == 0 ? num_candidates : std::min(wanted.k, num_candidates);
        const std::int64_t capacity = rs::list_capacity(k, limits_.capacity), copied = on_gpu ? 0 : num_candidates;
        const std::int64_t affordable = limits_.buffer_bytes / Batch::query_bytes(queries.num_dims, copied, capacity);
        std::int64_t step = 0;
        const auto batch = rs::with_most_queries(std::clamp<std::int64_t>(affordable, 1, queries.num_rows), wanted.say, [&](std::int64_t size) {
            step = size;
            return std::make_unique<Batch>(*gpu, size, queries.num_dims, copied, capacity);
        });
        for (std::int64_t first = 0; first < queries.num_rows; first += step) {
            const std::int64_t count = std::min(step, queries.num_rows - first);
            batch->load(queries, wanted, first, count);
            const std::int64_t* candidates = candidate + first * num_candidates;
            if (!on_gpu) {
                batch->candidate.put(candidates, 0, count * num_candidates);
                candidates = batch->candidate.data();
            }
            score(*gpu, *batch, candidates, num_candidates, count, k, capacity, wanted.direction);
            const auto lists = batch->lists.take(count, rs::ListsOnGpu::Which::kept);
            for (std::int64_t slot = 0; slot < count; ++slot) {
                for (const rs::Entry& entry : lists[at(slot)]) found[at(first + slot)].push_back({entry.score, entry.position});
            }
        }
        return found;
    }

   private:
    // As many candidates at a time as the lists hold beside the best so far.
    void score(rs::Gpu& gpu, Batch& batch, const std::int64_t* candidates, std::int64_t num_candidates, std::int64_t count,
               std::int64_t k, std::int64_t capacity, rs::Direction direction) const {
        const rs::GpuQueries queries{nullptr, batch.value.data(), batch.row_norm.data(), batch.terms.data()};
        const rs::ScanWork scan{rows_->view(), queries, batch.lists.view(k), batch.probe.data(), count, nullptr, {},
                                batch.overflowed.data(), nullptr};
        for (std::int64_t begin = 0; begin < num_candidates; begin += capacity - k) {
            const rs::Range columns{begin, std::min(begin + capacity - k, num_candidates)};
            gpu.admit({candidates, num_candidates, columns, count, batch.norm.data(), batch.tau.data(), norm_.data(),
                       rows_->view().num_rows, direction, scan.lists, batch.wrong.data()});
            gpu.settle(scan);
        }
        rs::Count wrong = 0;
        batch.wrong.get(&wrong, 0, 1);
        if (wrong == 0) return;
        throw std::invalid_argument("rescore: candidates must be rows of the " + std::to_string(rows_->view().num_rows) +
                                    " references, or -1 for none; " + std::to_string(wrong) + " are not");
    }

    rs::OpenGpu open_;
    rs::GpuLimits limits_;
    std::unique_ptr<rs::Gpu> gpu_;
    rs::GpuArray<double> norm_;
    std::optional<rs::RowsOnGpu> rows_;
};

}  // namespace

std::unique_ptr<GpuRescorer> prepare_gpu_rescorer(const rs::StoredRows& refs, const rs::OpenGpu& open, const rs::GpuLimits& limits,
                                                  int num_threads) {
    try {
        return std::make_unique<Rescorer>(refs, open, limits, num_threads);
    } catch (const rs::OutOfGpuMemory& error) {
        throw std::invalid_argument(std::string(error.what()) + " for the references; use device='cpu'");
    }
}

}  // namespace asl::rescore
