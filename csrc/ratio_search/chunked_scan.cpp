#include "chunked_scan.h"

#include <algorithm>

#include "best_pairs.h"
#include "screen.h"
#include "shortlist.h"

namespace asl::ratio_search {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

Range shared(const Range& a, const Range& b) {
    const std::int64_t begin = std::max(a.begin, b.begin);
    return {begin, std::max(begin, std::min(a.end, b.end))};
}

// One batch of queries on its way through the references.
class Batch {
   public:
    Batch(ChunkDevice& device, const NormOrder& order, const Wanted& wanted, std::span<const std::int64_t> query,
          std::vector<Range> range, BestPairs* pool)
        : device_(device), order_(order), wanted_(wanted), query_(query), range_(std::move(range)), pool_(pool) {
        for (const std::int64_t q : query) {
            list_.emplace_back(wanted.k, wanted.min_score[q], Better{wanted.rank}, std::span<Hit>());
        }
    }

    void scan(const Range& chunk) {
        std::vector<std::int64_t> query;
        for (std::size_t i = 0; i < range_.size(); ++i) {
            if (shared(range_[i], chunk).size() > 0) query.push_back(static_cast<std::int64_t>(i));
        }
        scan(query, chunk);
    }

    std::vector<Pair> take(std::size_t query) {
        if (pool_ == nullptr) return list_[query].take();
        pool_->add(query_[query], list_[query].take());
        return {};
    }

   private:
    // Queries whose buffer overflowed are asked again over halves of the chunk, with the floor that the
    // kept hits allow. A chunk no longer than a buffer can't overflow, so this ends.
    void scan(std::span<const std::int64_t> query, const Range& chunk) {
        if (query.empty()) return;
        std::vector<Probe> probe;
        const Bar bar = pool_ == nullptr ? Bar{} : pool_->bar();
        for (const std::int64_t q : query) {
            list_[at(q)].raise(bar.floor(query_[at(q)]));
            probe.push_back({q, shared(range_[at(q)], chunk), list_[at(q)].floor(), wanted_.bias[query_[at(q)]]});
        }
        std::vector<ProbeHits> hits(probe.size());
        device_.scan(probe, chunk, hits);
        std::vector<std::int64_t> overflowed;
        for (std::size_t i = 0; i < probe.size(); ++i) {
            const bool complete = hits[i].num_found == static_cast<std::int64_t>(hits[i].pair.size());
            for (Pair& pair : hits[i].pair) pair.row = order_.row[at(pair.row)];
            std::erase_if(hits[i].pair, [&](const Pair& pair) { return Better{wanted_.rank}.place(pair.row) < 0; });
            Shortlist& list = list_[at(query[i])];
            complete ? list.merge(hits[i].pair) : list.learn(hits[i].pair);
            if (pool_ != nullptr && wanted_.k == 0) pool_->add(query_[at(query[i])], list.take());
            if (!complete) overflowed.push_back(query[i]);
        }
        const std::int64_t middle = chunk.begin + chunk.size() / 2;
        scan(overflowed, {chunk.begin, middle});
        scan(overflowed, {middle, chunk.end});
    }

    ChunkDevice& device_;
    const NormOrder& order_;
    const Wanted& wanted_;
    std::span<const std::int64_t> query_;
    std::vector<Range> range_;
    BestPairs* pool_;
    std::vector<Shortlist> list_;
};

// The device of the tests: this machine.
class HostDevice : public ChunkDevice {
   public:
    HostDevice(const Rows& refs, const NormOrder& order, std::int64_t chunk_rows, std::int64_t capacity)
        : refs_(refs), order_(order), chunk_rows_(chunk_rows), capacity_(capacity) {}

    std::int64_t chunk_rows() const override { return chunk_rows_; }
    std::int64_t capacity() const override { return capacity_; }
    std::int64_t batch_queries() const override { return 16; }

    void load(const Rows& queries, std::span<const std::int64_t> query) override {
        queries_ = queries;
        query_.assign(query.begin(), query.end());
    }

    void scan(std::span<const Probe> probe, const Range& chunk, std::vector<ProbeHits>& hits) override {
        for (std::size_t i = 0; i < probe.size(); ++i) {
            const std::int64_t q = query_[at(probe[i].query)];
            const Range range = shared(probe[i].range, chunk);
            for (std::int64_t p = range.begin; p < range.end; ++p) {
                const std::int64_t r = order_.row[at(p)];
                const float* const ref = refs_.value + r * refs_.num_dims;
                double dot = 0;
                kScreenPlain.exact_dots(queries_.value + q * refs_.num_dims, &ref, 1, refs_.num_dims, &dot);
                const double score = dot / (queries_.row_norm[q] * refs_.row_norm[r]) - probe[i].bias;
                if (!(score >= probe[i].floor)) continue;
                if (hits[i].num_found++ < capacity_) hits[i].pair.push_back({score, p});
            }
        }
    }

   private:
    const Rows& refs_;
    const NormOrder& order_;
    std::int64_t chunk_rows_;
    std::int64_t capacity_;
    Rows queries_;
    std::vector<std::int64_t> query_;
};

struct HostRefs : Refs {
    Rows rows;
    NormOrder order;
    std::int64_t chunk_rows;
    std::int64_t capacity;

    HostRefs(const Rows& refs, std::int64_t rows_of_chunk, std::int64_t hits_kept)
        : rows(refs), order(refs), chunk_rows(rows_of_chunk), capacity(hits_kept) {}
    const char* path() const override { return "chunked"; }
    bool search(const Rows& queries, const Wanted& wanted, int, const Tell& tell, Found& found) const override {
        HostDevice device(rows, order, chunk_rows, capacity);
        return chunked_search(device, order, queries, wanted, tell, found);
    }
    bool best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int, const Tell& tell,
                    std::vector<QueryPair>& best) const override {
        HostDevice device(rows, order, chunk_rows, capacity);
        return chunked_best_pairs(device, order, queries, wanted, num_pairs, tell, best);
    }
};

// Answers go into the pool if there is one, else into `found`.
bool scan_batches(ChunkDevice& device, const NormOrder& order, const Rows& queries, const Wanted& wanted,
                  const Tell& tell, BestPairs* pool, Found& found) {
    const std::vector<Range> range = valid_ranges(order, queries, wanted);
    const std::vector<std::int64_t> sorted = by_range(range);
    found.assign(range.size(), {});
    std::int64_t done = 0;
    std::int64_t total = 0;
    for (const Range& each : range) total += each.size();
    const std::size_t step = at(std::max<std::int64_t>(device.batch_queries(), 1));
    for (std::size_t first = 0; first < sorted.size(); first += step) {
        const auto query = std::span(sorted).subspan(first, std::min(step, sorted.size() - first));
        std::vector<Range> part;
        Range any = range[at(query.front())];
        for (const std::int64_t q : query) {
            part.push_back(range[at(q)]);
            any = {std::min(any.begin, part.back().begin), std::max(any.end, part.back().end)};
        }
        Batch batch(device, order, wanted, query, part, pool);
        device.load(queries, query);
        // Thresholds are low at first, so the first chunk is no longer than a buffer.
        std::int64_t length = std::min(device.capacity(), device.chunk_rows());
        for (std::int64_t begin = any.begin; begin < any.end;) {
            const Range chunk{begin, std::min(begin + length, any.end)};
            batch.scan(chunk);
            for (const Range& each : part) done += shared(each, chunk).size();
            if (tell && !tell(done, total)) return false;
            begin = chunk.end;
            length = std::min(2 * length, device.chunk_rows());
        }
        for (std::size_t i = 0; i < query.size(); ++i) found[at(query[i])] = batch.take(i);
    }
    return true;
}

}  // namespace

bool chunked_search(ChunkDevice& device, const NormOrder& order, const Rows& queries, const Wanted& wanted,
                    const Tell& tell, Found& found) {
    return scan_batches(device, order, queries, wanted, tell, nullptr, found);
}

bool chunked_best_pairs(ChunkDevice& device, const NormOrder& order, const Rows& queries, const Wanted& wanted,
                        std::int64_t num_pairs, const Tell& tell, std::vector<QueryPair>& best) {
    BestPairs pool(num_pairs, wanted.k, Better{wanted.rank});
    Found none;
    if (!scan_batches(device, order, queries, wanted, tell, &pool, none)) return false;
    best = pool.take();
    return true;
}

std::unique_ptr<Refs> prepare_chunked_on_host(const Rows& refs, std::int64_t chunk_rows, std::int64_t capacity) {
    return std::make_unique<HostRefs>(refs, chunk_rows, capacity);
}

}  // namespace asl::ratio_search
