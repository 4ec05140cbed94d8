// The CPU path: a staircase of tiles through the certified screen, survivors scored exactly.
//
// Bound: the screen, num_pairs * num_dims multiply-adds at the int8 peak; references stream from
// memory once per block of queries. Which thread runs a task, and how far thresholds have risen by then,
// changes what is screened out but never the answer: every list ends with exact scores in a strict order.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cpu_scan.h"

namespace asl::ratio_search {
namespace {

constexpr std::int64_t kBlockBytes = 512 << 10;  // packed queries of a block: they stay in the L2 cache

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

const Screen& choose_screen(const std::string& instructions) {
    for (const Screen* const* screen = kScreens; *screen != nullptr; ++screen) {
        if (!(*screen)->runs_here(cpu_features())) continue;
        if (instructions.empty() || instructions == (*screen)->name) return **screen;
    }
    throw std::invalid_argument("instruction set '" + instructions + "' is unknown or can't run on this CPU");
}

}  // namespace

Staircase CpuRefs::staircase(const Rows& queries, const Wanted& wanted, int num_threads) const {
    const std::int64_t buffer_bytes =
        Shortlist::buffer_size(wanted.k, rows.num_rows) * static_cast<std::int64_t>(sizeof(Hit));
    const Shape shape{screen.num_queries, screen.num_refs,
                      std::min(kBlockBytes / panels.padded_dims, hit_bytes / buffer_bytes), balls == nullptr ? 0 : panels.num_panels};
    return {valid_ranges(order, queries, wanted), shape, num_threads};
}

bool CpuRefs::scan(const Rows& queries, const Wanted& wanted, const Staircase& stairs, int num_threads, const Tell& tell,
                   BestPairs* pool, std::vector<Found>& answer) const {
    Floors floors(stairs.query.size());
    for (std::size_t i = 0; i < floors.size(); ++i) floors[i] = wanted.min_score[stairs.query[i]];
    Progress progress;
    answer.resize(stairs.task.size());
    const auto told = [&] { return !tell || tell(std::min(progress.done.load(), stairs.num_pairs), stairs.num_pairs); };
    const bool finished =
        run_tasks(static_cast<std::int64_t>(stairs.task.size()), num_threads, progress, told, [&](std::int64_t index) {
            const Task& task = stairs.task[at(index)];
            CpuScan scan(*this, queries, wanted, stairs, stairs.block[task.block], floors, pool);
            scan.run(task.ref_panel, progress);
            if (!progress.stop) answer[at(index)] = scan.take();
        });
    return finished && (!tell || tell(stairs.num_pairs, stairs.num_pairs));
}

bool CpuRefs::search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell, Found& found) const {
    const Staircase stairs = staircase(queries, wanted, num_threads);
    std::vector<Found> answer;
    if (!scan(queries, wanted, stairs, num_threads, tell, nullptr, answer)) return false;
    found.assign(at(queries.num_rows), {});
    for (std::size_t t = 0; t < stairs.task.size();) {
        const Block& block = stairs.block[stairs.task[t].block];
        std::size_t end = t;
        while (end < stairs.task.size() && stairs.task[end].block == stairs.task[t].block) ++end;
        for (std::int64_t i = 0; i < block.size(); ++i) {
            std::vector<std::vector<Pair>> parts;
            for (std::size_t part = t; part < end; ++part) parts.push_back(std::move(answer[part][at(i)]));
            found[at(stairs.query[at(block.first() + i)])] = merged(std::move(parts), wanted.k, Better{wanted.rank});
        }
        t = end;
    }
    return true;
}

bool CpuRefs::best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int num_threads,
                         const Tell& tell, std::vector<QueryPair>& best) const {
    BestPairs pool(num_pairs, wanted.k, Better{wanted.rank});
    std::vector<Found> none;
    if (!scan(queries, wanted, staircase(queries, wanted, num_threads), num_threads, tell, &pool, none)) return false;
    best = pool.take();
    return true;
}

std::unique_ptr<Refs> prepare_cpu(const StoredRows& refs, const StoredCodes* codes, std::int64_t hit_bytes,
                                  int num_threads, const std::string& instructions, Grouping grouping) {
    return std::make_unique<CpuRefs>(refs, codes, hit_bytes, num_threads, choose_screen(instructions), grouping);
}

std::vector<std::string> compiled_paths() {
    std::vector<std::string> names;
    for (const Screen* const* screen = kScreens; *screen != nullptr; ++screen) names.emplace_back((*screen)->name);
    return names;
}

std::vector<std::string> cpu_paths() {
    std::vector<std::string> names;
    for (const Screen* const* screen = kScreens; *screen != nullptr; ++screen) {
        if ((*screen)->runs_here(cpu_features())) names.emplace_back((*screen)->name);
    }
    return names;
}

void row_norms(const StoredRows& rows, int num_threads, double* norm) {
    const Screen& screen = choose_screen("");
    const MappedPages pages(rows.value, rows.num_bytes());
    read_blocks(rows, pages, num_threads, [&](std::int64_t first, std::int64_t count, const float* block) {
        for (std::int64_t r = first; r < first + count; ++r, block += rows.num_dims) {
            screen.exact_dots(block, &block, 1, rows.num_dims, &norm[r]);
            norm[r] = std::sqrt(norm[r]);
        }
    });
}

void encode_rows(const StoredRows& rows, int num_threads, std::int8_t* code, float* inverse_scale, float* residual) {
    const MappedPages pages(rows.value, rows.num_bytes());
    read_blocks(rows, pages, num_threads, [&](std::int64_t first, std::int64_t count, const float* block) {
        for (std::int64_t r = first; r < first + count; ++r, block += rows.num_dims) {
            const CodedRow coded = encode(block, rows.row_norm[r], rows.num_dims, 127, code + r * rows.num_dims);
            inverse_scale[r] = coded.inverse_scale;
            residual[r] = coded.residual;
        }
    });
}

}  // namespace asl::ratio_search
