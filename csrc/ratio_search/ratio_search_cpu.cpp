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
constexpr std::int64_t kBufferBytes = 64 << 20;  // hits that wait in a block

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

const Screen& choose_screen(const std::string& instructions) {
    for (const Screen* const* screen = kScreens; *screen != nullptr; ++screen) {
        if (!(*screen)->runs_here(cpu_features())) continue;
        if (instructions.empty() || instructions == (*screen)->name) return **screen;
    }
    throw std::invalid_argument("instruction set '" + instructions + "' is unknown or can't run on this CPU");
}

}  // namespace

CpuRefs::CpuRefs(const Rows& refs, int num_threads, const Screen& chosen)
    : rows(refs),
      screen(chosen),
      order(refs),
      num_panels((refs.num_rows + chosen.num_refs - 1) / chosen.num_refs),
      padded_dims(chosen.padded(refs.num_dims)),
      code(num_panels * chosen.num_refs * padded_dims),
      inverse_scale(num_panels * chosen.num_refs),
      start(num_panels * chosen.num_refs),
      bound(at(num_panels)) {
    constexpr std::int64_t kPanelsPerTask = 64;
    Progress progress;
    run_tasks((num_panels + kPanelsPerTask - 1) / kPanelsPerTask, num_threads, progress, nullptr, [&](std::int64_t task) {
        const std::int64_t end = std::min((task + 1) * kPanelsPerTask, num_panels);
        for (std::int64_t p = task * kPanelsPerTask; p < end; ++p) pack_panel(p);
    });
    for (const PanelBound& each : bound) longest = std::max(longest, each.length);
}

void CpuRefs::pack_panel(std::int64_t index) {
    const float* row[kMaxRefs];
    double norm[kMaxRefs];
    const std::int64_t first = index * screen.num_refs;
    const int count = static_cast<int>(std::min<std::int64_t>(screen.num_refs, rows.num_rows - first));
    for (int i = 0; i < count; ++i) {
        const std::int64_t r = order.row[at(first + i)];
        row[i] = rows.value + r * rows.num_dims;
        norm[i] = rows.row_norm[r];
    }
    bound[at(index)] = encode_refs(screen, row, norm, count, rows.num_dims, code.data() + first * padded_dims,
                                   inverse_scale.data() + first, start.data() + first);
}

bool CpuRefs::search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell, Found& found) const {
    const std::int64_t buffer_bytes =
        Shortlist::buffer_size(wanted.k, rows.num_rows) * static_cast<std::int64_t>(sizeof(Hit));
    const Shape shape{screen.num_queries, screen.num_refs,
                      std::min(kBlockBytes / padded_dims, kBufferBytes / buffer_bytes)};
    const Staircase stairs(valid_ranges(order, queries, wanted), shape, num_threads);
    std::vector<Found> answer(stairs.task.size());
    Floors floors(stairs.query.size());
    for (std::size_t i = 0; i < floors.size(); ++i) floors[i] = wanted.min_score[stairs.query[i]];
    Progress progress;
    const auto told = [&] { return !tell || tell(std::min(progress.done.load(), stairs.num_pairs), stairs.num_pairs); };
    const bool finished =
        run_tasks(static_cast<std::int64_t>(stairs.task.size()), num_threads, progress, told, [&](std::int64_t index) {
            const Task& task = stairs.task[at(index)];
            CpuScan scan(*this, queries, wanted, stairs, stairs.block[task.block], floors);
            scan.run(task.ref_panel, progress);
            if (!progress.stop) answer[at(index)] = scan.take();
        });
    if (!finished) return false;
    found.assign(at(queries.num_rows), {});
    for (std::size_t t = 0; t < stairs.task.size();) {
        const Block& block = stairs.block[stairs.task[t].block];
        std::size_t end = t;
        while (end < stairs.task.size() && stairs.task[end].block == stairs.task[t].block) ++end;
        for (std::int64_t i = 0; i < block.size(); ++i) {
            std::vector<std::vector<Pair>> parts;
            for (std::size_t part = t; part < end; ++part) parts.push_back(std::move(answer[part][at(i)]));
            found[at(stairs.query[at(block.first() + i)])] = merged(std::move(parts), wanted.k);
        }
        t = end;
    }
    return !tell || tell(stairs.num_pairs, stairs.num_pairs);
}

std::unique_ptr<Refs> prepare_cpu(const Rows& refs, int num_threads, const std::string& instructions) {
    return std::make_unique<CpuRefs>(refs, num_threads, choose_screen(instructions));
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

void row_norms(const float* value, std::int64_t num_rows, std::int64_t num_dims, int num_threads, double* norm) {
    constexpr std::int64_t kRowsPerTask = 4096;
    const Screen& screen = choose_screen("");
    Progress progress;
    run_tasks((num_rows + kRowsPerTask - 1) / kRowsPerTask, num_threads, progress, nullptr, [&](std::int64_t task) {
        const std::int64_t end = std::min((task + 1) * kRowsPerTask, num_rows);
        for (std::int64_t r = task * kRowsPerTask; r < end; ++r) {
            const float* const row = value + r * num_dims;
            screen.exact_dots(row, &row, 1, num_dims, &norm[r]);
            norm[r] = std::sqrt(norm[r]);
        }
    });
}

}  // namespace asl::ratio_search
