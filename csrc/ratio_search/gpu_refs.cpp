// The host's side of the GPU path: batches of queries, chunks of references, floors that rise between chunks, and lists
// that may overflow but never lose a pair.
//
// Bound: the screen, num_pairs * num_dims multiply-adds at the int8 peak of the tensor cores.
#include "gpu_refs.h"

#include <algorithm>
#include <optional>

#include "best_pairs.h"
#include "gpu_kernels.h"
#include "rows_on_gpu.h"
#include "shortlist.h"

namespace asl::ratio_search {
namespace {

constexpr std::int64_t kQueriesATask = 64;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

Range shared(const Range& a, const Range& b) {
    const std::int64_t begin = std::max(a.begin, b.begin);
    return {begin, std::max(begin, std::min(a.end, b.end))};
}

Range united(const Range& a, const Range& b) { return {std::min(a.begin, b.begin), std::max(a.end, b.end)}; }

// One GPU's share of the references.
struct Part {
    NormOrder order;
    OpenGpu open;
    std::unique_ptr<Gpu> gpu;
    std::optional<RowsOnGpu> rows;

    Part(NormOrder some, OpenGpu open_gpu) : order(std::move(some)), open(std::move(open_gpu)), gpu(open()) {}
};

void refuse_soft(const Wanted& wanted) {
    if (wanted.soft.weight == 0) return;
    throw std::invalid_argument("ratio_search: a search on GPUs knows no soft ratio; use device='cpu'");
}

// What the screen needs of every query, made once for all GPUs.
struct CodedQueries {
    std::int64_t padded_dims;
    float longest_ref;
    std::vector<std::int8_t> code;
    std::vector<ReachTerms> terms;

    CodedQueries(const Rows& queries, const Wanted& wanted, float longest, int num_threads)
        : padded_dims(RowsOnGpu::padded(queries.num_dims)), longest_ref(longest) {
        if (queries.on_gpu != nullptr) return;  // they are coded there, batch by batch
        code.resize(at(queries.num_rows * padded_dims), 0);
        terms.resize(at(queries.num_rows));
        Progress progress;
        run_tasks((queries.num_rows + kQueriesATask - 1) / kQueriesATask, num_threads, progress, nullptr, [&](std::int64_t task) {
            for (std::int64_t q = task * kQueriesATask; q < std::min((task + 1) * kQueriesATask, queries.num_rows); ++q) {
                const CodedRow coded = encode(queries.value + q * queries.num_dims, queries.row_norm[q], queries.num_dims, 127,
                                              &code[at(q * padded_dims)]);
                terms[at(q)] = QueryBound(coded, longest_ref, queries.num_dims, wanted.bias[q], wanted.scale_of(q)).terms();
            }
        });
    }
};

// What is the same on every GPU.
struct Search {
    const Rows& queries;
    const CodedQueries& coded;
    const Wanted& wanted;
    const GpuLimits& limits;
    BestPairs* pool;  // takes what is found, if there is one
    Progress& progress;
};

// Pairs that the kernels scored, where somebody wants to know.
class Scored {
   public:
    explicit Scored(Gpu& gpu) : count_(gpu, 1) {
        const Count none = 0;
        count_.put(&none, 0, 1);
    }
    Count* counter() { return count_.data(); }
    std::int64_t get() const {
        Count count = 0;
        count_.get(&count, 0, 1);
        return static_cast<std::int64_t>(count);
    }

   private:
    GpuArray<Count> count_;
};

// A batch of queries in a GPU's memory.
struct BatchOnGpu {
    GpuArray<std::int8_t> code;
    GpuArray<float> value;
    GpuArray<double> row_norm;
    GpuArray<ReachTerms> terms;
    GpuArray<std::int64_t> row;  // of queries on the GPU: which each is
    GpuArray<CodedRow> coded;
    GpuArray<GpuProbe> probe;
    GpuArray<Range> tile_any;
    GpuArray<std::uint32_t> overflowed;
    ListsOnGpu lists;

    BatchOnGpu(Gpu& gpu, std::int64_t size, const Search& search, std::int64_t capacity)
        : code(gpu, size * search.coded.padded_dims),
          value(gpu, size * search.queries.num_dims),
          row_norm(gpu, size),
          terms(gpu, size),
          row(gpu, search.queries.on_gpu == nullptr ? 0 : size),
          coded(gpu, row.size()),
          probe(gpu, size),
          tile_any(gpu, (size + kTile - 1) / kTile),
          overflowed(gpu, size),
          lists(gpu, size, capacity) {}

    static std::int64_t query_bytes(const Search& search, std::int64_t capacity) {
        const std::int64_t columns = sizeof(double) + sizeof(ReachTerms) + sizeof(GpuProbe) + sizeof(std::uint32_t) +
                                     (search.queries.on_gpu == nullptr ? 0 : sizeof(std::int64_t) + sizeof(CodedRow));
        return search.coded.padded_dims + 4 * search.queries.num_dims + columns + ListsOnGpu::slot_bytes(capacity);
    }

    void load(Gpu& gpu, const Search& search, std::span<const std::int64_t> query) {
        std::vector<double> norms, floors;
        for (const std::int64_t q : query) {
            norms.push_back(search.queries.row_norm[q]);
            floors.push_back(search.wanted.min_score[q]);
        }
        row_norm.put(norms.data(), 0, static_cast<std::int64_t>(query.size()));
        lists.clear(floors);
        search.queries.on_gpu == nullptr ? put(search, query) : encode_in_place(gpu, search, query);
    }

   private:
    void put(const Search& search, std::span<const std::int64_t> query) {
        const std::int64_t count = static_cast<std::int64_t>(query.size()), num_dims = search.queries.num_dims;
        const std::int64_t padded_dims = search.coded.padded_dims;
        std::vector<std::int8_t> codes;
        std::vector<float> values;
        std::vector<ReachTerms> some_terms;
        codes.reserve(at(count * padded_dims));
        values.reserve(at(count * num_dims));
        for (const std::int64_t q : query) {
            const std::int8_t* const from_code = &search.coded.code[at(q * padded_dims)];
            codes.insert(codes.end(), from_code, from_code + padded_dims);
            const float* const from = search.queries.value + q * num_dims;
            values.insert(values.end(), from, from + num_dims);
            some_terms.push_back(search.coded.terms[at(q)]);
        }
        code.put(codes.data(), 0, count * padded_dims);
        value.put(values.data(), 0, count * num_dims);
        terms.put(some_terms.data(), 0, count);
    }

    // Queries on the GPU: what comes to this machine is a few numbers of each.
    void encode_in_place(Gpu& gpu, const Search& search, std::span<const std::int64_t> query) {
        const StoredRows& rows = *search.queries.on_gpu;
        const std::int64_t count = static_cast<std::int64_t>(query.size());
        row.put(query.data(), 0, count);
        gpu.encode({{rows.value, rows.number, rows.num_dims}, row.data(), row_norm.data(), count, search.coded.padded_dims, code.data(),
                    value.data(), coded.data()});
        std::vector<CodedRow> here(query.size());
        coded.get(here.data(), 0, count);
        std::vector<ReachTerms> some_terms;
        for (std::size_t slot = 0; slot < query.size(); ++slot) {
            const QueryBound bound(here[slot], search.coded.longest_ref, rows.num_dims, search.wanted.bias[query[slot]],
                                   search.wanted.scale_of(query[slot]));
            some_terms.push_back(bound.terms());
        }
        terms.put(some_terms.data(), 0, count);
    }
};

// One GPU's part of a search.
class PartSearch {
   public:
    PartSearch(const Part& part, const Search& search)
        : part_(part),
          search_(search),
          gpu_(part.open()),
          capacity_(list_capacity(std::min(search.wanted.k, part.order.size()), search.limits.capacity)),
          range_(valid_ranges(part.order, search.queries, search.wanted)),
          sorted_(by_range(range_)) {}

    std::int64_t num_pairs() const {
        std::int64_t sum = 0;
        for (const Range& each : range_) sum += each.size();
        return sum;
    }

    // One answer a query, or none where a pool takes them. Returns early when told to stop.
    Found run() {
        Found found(range_.size());
        while (!sorted_.empty() && range_[at(sorted_.back())].size() == 0) sorted_.pop_back();
        if (sorted_.empty()) return found;
        make_place();
        if (search_.queries.on_gpu != nullptr) gpu_->wait_for(search_.queries.on_gpu->stream);
        if (search_.wanted.counts != nullptr) scored_.emplace(*gpu_);
        const std::int64_t num_queries = static_cast<std::int64_t>(sorted_.size());
        const std::int64_t affordable = search_.limits.buffer_bytes / BatchOnGpu::query_bytes(search_, capacity_);
        batch_ = with_most_queries(std::clamp<std::int64_t>(affordable, 1, num_queries), search_.wanted.say, [&](std::int64_t size) {
            batch_size_ = size;
            return std::make_unique<BatchOnGpu>(*gpu_, size, search_, capacity_);
        });
        for (std::int64_t first = 0; first < num_queries && !search_.progress.stop; first += batch_size_) {
            query_ = std::span(sorted_).subspan(at(first), at(std::min(batch_size_, num_queries - first)));
            scan_batch();
            if (search_.wanted.k > 0 && !search_.progress.stop) keep(found);
        }
        if (scored_) count();
        return found;
    }

   private:
    // Every pair that the screen lets through is scored.
    void count() const {
        search_.wanted.counts->screened += num_pairs();
        search_.wanted.counts->passed += scored_->get();
        search_.wanted.counts->scored += scored_->get();
    }

    // Ranks in place of rows, if there are any.
    void make_place() {
        if (search_.wanted.rank == nullptr) return;
        std::vector<std::int64_t> place;
        for (const std::int64_t row : part_.order.row) place.push_back(search_.wanted.rank[row]);
        place_.emplace(*gpu_, part_.order.size());
        place_->put(place.data(), 0, part_.order.size());
    }

    void scan_batch() {
        batch_->load(*gpu_, search_, query_);
        std::vector<std::int64_t> slots;
        Range any = range_of(0);
        for (std::int64_t slot = 0; slot < static_cast<std::int64_t>(query_.size()); ++slot) {
            slots.push_back(slot);
            any = united(any, range_of(slot));
        }
        // A copy's norm is near its original's, and ranges end where the norms meet: from there floors rise soonest.
        const bool backwards = search_.wanted.direction == Direction::copy;
        // Floors are low at first, so the first chunk is no longer than what can't overflow.
        std::int64_t length = std::min(capacity_ / 2, search_.limits.chunk_rows);
        while (any.size() > 0 && !search_.progress.stop) {
            length = std::min(length, any.size());
            const Range chunk = backwards ? Range{any.end - length, any.end} : Range{any.begin, any.begin + length};
            scan(slots, chunk);
            for (const std::int64_t slot : slots) search_.progress.done += shared(range_of(slot), chunk).size();
            any = backwards ? Range{any.begin, chunk.begin} : Range{chunk.end, any.end};
            length = std::min(2 * length, search_.limits.chunk_rows);
        }
    }

    // Queries whose list overflowed are asked again over halves of the chunk, with the floor that the kept entries
    // allow. A chunk of half a list can't overflow, so this ends.
    void scan(std::span<const std::int64_t> slots, const Range& chunk) {
        const std::vector<GpuProbe> probe = probes(slots, chunk);
        if (probe.empty()) return;
        const std::int64_t num_probes = static_cast<std::int64_t>(probe.size());
        std::vector<Range> tile_any;
        for (std::int64_t p = 0; p < num_probes; ++p) {
            if (p % kTile == 0) tile_any.push_back(probe[at(p)].range);
            tile_any.back() = united(tile_any.back(), probe[at(p)].range);
        }
        batch_->probe.put(probe.data(), 0, num_probes);
        batch_->tile_any.put(tile_any.data(), 0, static_cast<std::int64_t>(tile_any.size()));
        const ScanWork work = work_of(num_probes, chunk);
        gpu_->raise_floors(work);
        gpu_->screen(work);
        gpu_->settle(work);
        std::vector<std::uint32_t> flag(probe.size());
        batch_->overflowed.get(flag.data(), 0, num_probes);
        std::vector<std::int64_t> overflowed;
        for (std::int64_t p = 0; p < num_probes; ++p) {
            if (flag[at(p)] != 0) overflowed.push_back(probe[at(p)].slot);
        }
        if (search_.wanted.k == 0) hand_to_pool(overflowed);
        const std::int64_t middle = chunk.begin + chunk.size() / 2;
        const bool backwards = search_.wanted.direction == Direction::copy;
        scan(overflowed, backwards ? Range{middle, chunk.end} : Range{chunk.begin, middle});
        scan(overflowed, backwards ? Range{chunk.begin, middle} : Range{middle, chunk.end});
    }

    std::vector<GpuProbe> probes(std::span<const std::int64_t> slots, const Range& chunk) const {
        const Bar bar = search_.pool == nullptr ? Bar{} : search_.pool->bar();
        std::vector<GpuProbe> probe;
        for (const std::int64_t slot : slots) {
            const Range range = shared(range_of(slot), chunk);
            if (range.size() > 0) probe.push_back({slot, range, bar.floor(query_[at(slot)])});
        }
        return probe;
    }

    ScanWork work_of(std::int64_t num_probes, const Range& chunk) {
        GpuRows refs = part_.rows->view();
        if (place_) refs.place = place_->data();
        const GpuQueries queries{batch_->code.data(), batch_->value.data(), batch_->row_norm.data(), batch_->terms.data()};
        return {refs, queries, batch_->lists.view(search_.wanted.k), batch_->probe.data(), num_probes, batch_->tile_any.data(), chunk,
                batch_->overflowed.data(), scored_ ? scored_->counter() : nullptr};
    }

    // Without a k: all that the lists hold, but of those that overflowed, and empty them.
    void hand_to_pool(std::span<const std::int64_t> overflowed) {
        auto lists = batch_->lists.take(static_cast<std::int64_t>(query_.size()), ListsOnGpu::Which::found);
        for (const std::int64_t slot : overflowed) lists[at(slot)].clear();
        for (std::size_t slot = 0; slot < lists.size(); ++slot) {
            std::vector<Pair> pairs = rows_of(lists[slot]);
            std::erase_if(pairs, [&](const Pair& pair) { return !(pair.score >= search_.wanted.min_score[query_[slot]]); });
            search_.pool->add(query_[slot], pairs);
        }
        batch_->lists.empty(static_cast<std::int64_t>(query_.size()));
    }

    void keep(Found& found) {
        const auto lists = batch_->lists.take(static_cast<std::int64_t>(query_.size()), ListsOnGpu::Which::kept);
        for (std::size_t slot = 0; slot < lists.size(); ++slot) {
            std::vector<Pair> pairs = rows_of(lists[slot]);
            if (search_.pool != nullptr) {
                search_.pool->add(query_[slot], pairs);
            } else {
                found[at(query_[slot])] = std::move(pairs);
            }
        }
    }

    std::vector<Pair> rows_of(const std::vector<Entry>& list) const {
        std::vector<Pair> pairs;
        pairs.reserve(list.size());
        for (const Entry& entry : list) pairs.push_back({entry.score, part_.order.row[at(entry.position)]});
        return pairs;
    }

    const Range& range_of(std::int64_t slot) const { return range_[at(query_[at(slot)])]; }

    const Part& part_;
    const Search& search_;
    std::unique_ptr<Gpu> gpu_;
    std::int64_t capacity_;
    std::vector<Range> range_;
    std::vector<std::int64_t> sorted_;      // queries, longest range first
    std::span<const std::int64_t> query_;   // of this batch, by slot
    std::int64_t batch_size_ = 0;
    std::optional<GpuArray<std::int64_t>> place_;
    std::optional<Scored> scored_;
    std::unique_ptr<BatchOnGpu> batch_;
};

class GpuRefs : public Refs {
   public:
    GpuRefs(const char* path, const StoredRows& refs, const std::vector<OpenGpu>& gpus, const GpuLimits& limits, int num_threads)
        : path_(path), limits_(limits) {
        if (refs.on_gpu && gpus.size() > 1) throw std::invalid_argument("ratio_search: references on one GPU can't be dealt out to several");
        const NormOrder order(refs.norm, refs.num_rows);
        const std::int64_t step = static_cast<std::int64_t>(gpus.size());
        for (std::int64_t g = 0; g < step; ++g) parts_.push_back(std::make_unique<Part>(order.part(g, step), gpus[at(g)]));
        const int threads_each = std::max(num_threads / static_cast<int>(step), 1);
        each_part([&](std::size_t g) { parts_[g]->rows.emplace(*parts_[g]->gpu, refs, parts_[g]->order.row, RowsOnGpu::Wish{true, limits_.rows_on_host}, threads_each); });
    }

    const char* path() const override { return path_; }

    bool search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell, Found& found) const override {
        refuse_soft(wanted);
        std::vector<Found> answer;
        if (!scan(queries, wanted, num_threads, tell, nullptr, answer)) return false;
        found.assign(at(queries.num_rows), {});
        for (std::size_t q = 0; q < found.size(); ++q) {
            std::vector<std::vector<Pair>> lists;
            for (Found& each : answer) lists.push_back(std::move(each[q]));
            found[q] = merged(std::move(lists), wanted.k, Better{wanted.rank});
        }
        return true;
    }

    bool best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int num_threads, const Tell& tell,
                    std::vector<QueryPair>& best) const override {
        refuse_soft(wanted);
        BestPairs pool(num_pairs, wanted.k, Better{wanted.rank});
        std::vector<Found> none;
        if (!scan(queries, wanted, num_threads, tell, &pool, none)) return false;
        best = pool.take();
        return true;
    }

   private:
    void each_part(const std::function<void(std::size_t)>& use) const {
        Progress progress;
        run_tasks(static_cast<std::int64_t>(parts_.size()), static_cast<int>(parts_.size()), progress, nullptr,
                  [&](std::int64_t g) { use(at(g)); });
    }

    // All GPUs at the same time. False if `tell` asked to stop.
    bool scan(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell, BestPairs* pool,
              std::vector<Found>& answer) const {
        if (queries.on_gpu != nullptr && parts_.size() > 1) throw std::invalid_argument("ratio_search: queries on one GPU can't be asked of several");
        float longest = 0;
        for (const auto& part : parts_) longest = std::max(longest, part->rows->longest());
        const CodedQueries coded(queries, wanted, longest, num_threads);
        Progress progress;
        const Search search{queries, coded, wanted, limits_, pool, progress};
        std::vector<std::unique_ptr<PartSearch>> parts;
        std::int64_t num_pairs = 0;
        for (const auto& part : parts_) {
            parts.push_back(std::make_unique<PartSearch>(*part, search));
            num_pairs += parts.back()->num_pairs();
        }
        answer.resize(parts.size());
        const auto told = [&] { return !tell || tell(std::min(progress.done.load(), num_pairs), num_pairs); };
        const int num_gpus = static_cast<int>(parts.size());
        const bool finished = run_tasks(num_gpus, num_gpus, progress, told, [&](std::int64_t g) { answer[at(g)] = parts[at(g)]->run(); });
        return finished && (!tell || tell(num_pairs, num_pairs));
    }

    const char* path_;
    GpuLimits limits_;
    std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace

std::int64_t list_capacity(std::int64_t k, std::int64_t least) {
    std::int64_t capacity = 2;
    while (capacity < std::max(2 * k, least)) capacity *= 2;
    return capacity;
}

std::unique_ptr<Refs> prepare_gpus(const char* path, const StoredRows& refs, const std::vector<OpenGpu>& gpus, const GpuLimits& limits,
                                   int num_threads) {
    try {
        return std::make_unique<GpuRefs>(path, refs, gpus, limits, num_threads);
    } catch (const OutOfGpuMemory& error) {
        throw std::invalid_argument(std::string(error.what()) + " for the references; give a memory budget, or use device='cpu'");
    }
}

std::unique_ptr<Refs> prepare_emulated(const StoredRows& refs, int num_gpus, std::int64_t gpu_bytes, const GpuLimits& limits,
                                       int num_threads, unsigned seed) {
    std::vector<OpenGpu> gpus;
    for (int g = 0; g < num_gpus; ++g) gpus.push_back(emulated_gpu(gpu_bytes, seed));
    return prepare_gpus("emulated", refs, gpus, limits, num_threads);
}

}  // namespace asl::ratio_search
