#include "cpu_scan.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <bit>

namespace asl::ratio_search {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// One query's exact scores.
class RowScorer : public Scorer {
   public:
    RowScorer(const CpuRefs& refs, const Rows& queries, const Wanted& wanted, std::int64_t query)
        : refs_(refs),
          query_(queries.value + query * queries.num_dims),
          queries_(queries),
          wanted_(wanted),
          number_(query) {}

    void score(std::span<const Hit> hits, Pair* out) const override {
        constexpr std::size_t kBatch = 16;
        const StoredRows& rows = refs_.rows;
        std::vector<float> converted(rows.number == Number::f32 ? 0 : kBatch * at(rows.num_dims));
        std::vector<double> read(refs_.pages.is_file() ? kBatch * at(rows.row_bytes() / 8 + 1) : 0);
        const float* row[kBatch];
        double dot[kBatch];
        for (std::size_t start = 0; start < hits.size(); start += kBatch) {
            const std::size_t count = std::min(kBatch, hits.size() - start);
            for (std::size_t i = 0; i < count; ++i) {
                out[start + i].row = refs_.row_of(hits[start + i].position);
                const void* const stored = refs_.pages.read(rows.stored(out[start + i].row), rows.row_bytes(),
                                                            read.data() + (read.empty() ? 0 : i * at(rows.row_bytes() / 8 + 1)));
                row[i] = rows.as_floats_at(stored, converted.data() + (converted.empty() ? 0 : i * at(rows.num_dims)));
            }
            refs_.screen.exact_dots(query_, row, static_cast<std::int64_t>(count), rows.num_dims, dot);
            for (std::size_t i = 0; i < count; ++i) {
                Pair& pair = out[start + i];
                const double cosine = dot[i] / (queries_.row_norm[number_] * rows.row_norm[pair.row]);
                pair.score = wanted_.score(number_, cosine, queries_.norm[number_] / rows.norm[pair.row]);
                check(hits[start + i], pair);
            }
            refs_.pages.bound_resident();
        }
    }

   private:
    // The screen's interval is proven for the rows that the codes were made of.
    static void check(const Hit& hit, const Pair& pair) {
        if (pair.score >= static_cast<double>(hit.lower) && pair.score <= static_cast<double>(hit.upper)) return;
        throw std::runtime_error("ratio_search: reference row " + std::to_string(pair.row) +
                                 " has a score that its code rules out; its numbers or its code were changed");
    }

    const CpuRefs& refs_;
    const float* query_;
    const Rows& queries_;
    const Wanted& wanted_;
    std::int64_t number_;
};

}  // namespace

CpuScan::CpuScan(const CpuRefs& refs, const Rows& queries, const Wanted& wanted, const Staircase& stairs, const Block& block,
                 Floors& floors, BestPairs* pool)
    : refs_(refs),
      queries_(queries),
      wanted_(wanted),
      stairs_(stairs),
      block_(block),
      floors_(floors),
      pool_(pool),
      packed_(static_cast<std::int64_t>(block.panel.size()) * panel_bytes()),
      lines_(block.size() * refs.panels.padded_dims),
      sums_(refs.panels.chunk_dims < refs.panels.padded_dims ? static_cast<std::int64_t>(block.panel.size()) * kTileDots : 0),
      buffer_size_(Shortlist::buffer_size(wanted.k, block.any.size())),
      buffer_(at(block.size() * buffer_size_)),
      largest_norm_(refs.order.norm.front()),
      counts_(wanted.counts) {
    for (std::size_t p = 0; p < block.panel.size(); ++p) pack_panel(p);
    list_.reserve(at(block.size()));
    for (std::int64_t i = 0; i < block.size(); ++i) {
        const auto share = std::span(buffer_).subspan(at(i * buffer_size_), at(buffer_size_));
        list_.emplace_back(wanted.k, wanted.min_score[query(i)], Better{wanted.rank}, share);
        reach_.push_back({});
        locals_.push_back(static_cast<std::uint32_t>(i));
    }
    exchange_floors();
}

void CpuScan::run(const Range& ref_panel, Progress& progress) {
    if (refs_.screen.enter != nullptr) refs_.screen.enter();
    if (refs_.balls == nullptr) {
        run_in_order(ref_panel, progress);
    } else {
        run_by_balls(ref_panel, progress);
    }
    if (refs_.screen.leave != nullptr) refs_.screen.leave();
}

void CpuScan::run_in_order(const Range& ref_panel, Progress& progress) {
    constexpr std::int64_t kPanelsBetweenExchanges = 64;
    // A copy's norm is near its original's, and the range of references ends where the norms meet: from there the best
    // pairs come first and the floors rise soonest.
    const bool backwards = wanted_.direction == Direction::copy;
    const std::int64_t first = backwards ? ref_panel.end - 1 : ref_panel.begin, stride = backwards ? -1 : 1;
    for (std::int64_t step = 0; step < ref_panel.size() && !progress.stop; ++step) {
        const std::int64_t r = first + step * stride;
        if (step % kPanelsBetweenExchanges == 0) {
            look_from(backwards ? std::max(r - kPanelsBetweenExchanges + 1, ref_panel.begin) : r);
            exchange_floors();
        }
        const bool last = step + 1 == ref_panel.size();
        progress.done += score_panel(r, last ? r : r + stride);
    }
}

std::vector<std::vector<Pair>> CpuScan::take() {
    std::vector<std::vector<Pair>> answer;
    for (std::int64_t i = 0; i < block_.size(); ++i) {
        exchange_floor(i, bar());
        list_[at(i)].settle(RowScorer(refs_, queries_, wanted_, query(i)));
        answer.push_back(list_[at(i)].take());
        if (pool_ == nullptr) continue;
        pool_->add(query(i), answer.back());
        answer.back() = {};
    }
    if (counts_ != nullptr) count();
    return answer;
}

void CpuScan::count() const {
    counts_->screened += num_screened_;
    counts_->passed += num_passed_;
    for (const Shortlist& list : list_) counts_->scored += list.num_scored();
}

std::int64_t CpuScan::query(std::int64_t local) const { return stairs_.query[at(block_.first() + local)]; }

void CpuScan::pack_panel(std::size_t p) {
    const float* row[kMaxQueries];
    double norm[kMaxQueries];
    const QueryPanel& panel = block_.panel[p];
    for (int i = 0; i < panel.num_queries; ++i) {
        const std::int64_t q = query(panel.first - block_.first() + i);
        row[i] = queries_.value + q * queries_.num_dims;
        norm[i] = queries_.row_norm[q];
    }
    CodedRow coded[kMaxQueries];
    encode_queries(refs_.screen, row, norm, panel.num_queries, queries_.num_dims, refs_.panels.chunk_dims, packed_panel(p),
                   line(panel.first - block_.first()), coded);
    for (int i = 0; i < panel.num_queries; ++i) {
        const std::int64_t q = query(panel.first - block_.first() + i);
        bound_.emplace_back(coded[i], refs_.longest, queries_.num_dims, wanted_.bias[q], wanted_.scale_of(q));
    }
}

void CpuScan::exchange_floors() {
    const Bar now = bar();
    for (std::int64_t i = 0; i < block_.size(); ++i) exchange_floor(i, now);
}

// The panels from this one on, in norm order, are screened next.
void CpuScan::look_from(std::int64_t ref_panel) { largest_norm_ = refs_.order.norm[at(ref_panel * refs_.screen.num_refs)]; }

// Share this task's floor and take over a higher one.
void CpuScan::exchange_floor(std::int64_t local, const Bar& bar) {
    Shortlist& list = list_[at(local)];
    list.raise(bar.floor(query(local)));
    std::atomic<double>& shared = floors_[at(block_.first() + local)];
    double seen = shared.load(std::memory_order_relaxed);
    while (seen < list.floor() && !shared.compare_exchange_weak(seen, list.floor(), std::memory_order_relaxed)) {
    }
    list.raise(seen);
    // No pair that is screened next loses less; a logarithm may be off by its last bits.
    const double loss = wanted_.soft.loss(ratio_to(local, largest_norm_)) * (1 - 0x1p-40);
    reach_[at(local)] = bound_[at(local)].reach(list.floor() + loss);
}

// All query panels against one panel of references, a chunk of dimensions at a time, while the next panel is
// brought to the cache bit by bit. Returns the number of pairs.
std::int64_t CpuScan::score_panel(std::int64_t ref_panel, std::int64_t next_panel) {
    const Range ranks = refs_.ranks_of(ref_panel);
    const std::int64_t next_bytes = refs_.screen.num_refs * refs_.panels.padded_dims;
    const std::int64_t share = next_bytes / static_cast<std::int64_t>(block_.panel.size());
    const std::int8_t* ahead = refs_.panels.panel(next_panel, 0).code;
    std::int64_t num_pairs = 0;
    refs_.panels.in_chunks([&](std::int64_t first, std::int64_t length, Chunk chunk) {
        const bool last = chunk == Chunk::only || chunk == Chunk::last;
        const RefPanel refs = refs_.panels.panel(ref_panel, first);
        for (std::size_t p = 0; p < block_.panel.size(); ++p) {
            const QueryPanel& panel = block_.panel[p];
            if (ranks.end <= panel.any.begin || ranks.begin >= panel.any.end) continue;
            if (last) {
                for (std::int64_t b = 0; b < share; b += 64) __builtin_prefetch(ahead + b, 0, 2);
                ahead += share;
            }
            const std::int8_t* const queries = packed_panel(p) + first * refs_.screen.panel_rows(panel.num_queries);
            const std::int64_t local = panel.first - block_.first();
            std::int32_t* const sum = chunk == Chunk::only ? nullptr : sums(p);
            if (refs_.screen.tile[panel.num_queries](queries, refs, length, chunk, sum, &reach_[at(local)], hits_)) {
                collect(&locals_[at(local)], panel.num_queries, ref_panel);
            }
            if (last) num_pairs += panel.num_queries * refs_.screen.num_refs;
        }
    });
    num_screened_ += num_pairs;
    return num_pairs;
}

// Which rows of the panel pass the query's predicate, as bits.
std::uint32_t CpuScan::allowed(std::int64_t local, std::int64_t ref_panel) const {
    const Range& range = stairs_.range[at(block_.first() + local)];
    const Range ranks = refs_.ranks_of(ref_panel);
    if (range.begin <= ranks.begin && ranks.end <= range.end) return ~std::uint32_t{0};
    const std::int64_t first = ref_panel * refs_.screen.num_refs;
    const std::int64_t count = std::min<std::int64_t>(refs_.screen.num_refs, refs_.rows.num_rows - first);
    std::uint32_t bits = 0;
    for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t rank = refs_.rank_of(first + j);
        if (rank >= range.begin && rank < range.end) bits |= std::uint32_t{1} << j;
    }
    return bits;
}

// What the last tile let through, of these queries.
void CpuScan::collect(const std::uint32_t* locals, int count, std::int64_t ref_panel) {
    const RefPanel refs = refs_.panels.panel(ref_panel, 0);
    const std::int64_t num_refs = refs_.screen.num_refs, first = ref_panel * num_refs;
    for (int i = 0; i < count; ++i) {
        const std::int64_t local = locals[i];
        std::uint32_t hit = hits_.hit[i];
        if (hit != 0) hit &= allowed(local, ref_panel);
        if (hit == 0) continue;
        num_passed_ += std::popcount(hit);
        Shortlist& list = list_[at(local)];
        if (!list.has_room(num_refs)) make_room(local);
        for (; hit != 0; hit &= hit - 1) {
            const int j = __builtin_ctz(hit);
            if (wanted_.rank != nullptr && wanted_.rank[refs_.row_of(first + j)] < 0) continue;
            const std::int32_t dot = hits_.dot[i * num_refs + j];
            const double loss = wanted_.soft.loss(ratio_to(local, refs_.rows.norm[refs_.row_of(first + j)]));
            const auto [lower, upper] = bound_[at(local)].around(dot, refs.inverse_scale[j], refs.residual, loss);
            list.add({lower, upper, static_cast<std::uint32_t>(first + j)});
        }
    }
}

// A list without a limit hands over to the pool as it goes; one of the best k is handed over whole.
void CpuScan::make_room(std::int64_t local) {
    Shortlist& list = list_[at(local)];
    exchange_floor(local, bar());
    list.compact(RowScorer(refs_, queries_, wanted_, query(local)));
    if (pool_ != nullptr && wanted_.k == 0) pool_->add(query(local), list.take());
    exchange_floor(local, bar());
}

}  // namespace asl::ratio_search
