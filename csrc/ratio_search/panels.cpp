#include "panels.h"

#include "../common/threads.h"

namespace asl::ratio_search {
namespace {

// Chunks of like length, none above kChunkDims, each a whole number of steps.
std::int64_t even_chunk(std::int64_t padded_dims, std::int64_t step) {
    const std::int64_t num_chunks = (padded_dims + kChunkDims - 1) / kChunkDims;
    return (padded_dims / step + num_chunks - 1) / num_chunks * step;
}

}  // namespace

Panels::Panels(const Screen& chosen, std::int64_t rows, std::int64_t dims)
    : screen(chosen),
      num_rows(rows),
      num_dims(dims),
      num_panels((rows + chosen.num_refs - 1) / chosen.num_refs),
      padded_dims(chosen.padded(dims)),
      chunk_dims(even_chunk(padded_dims, chosen.dims_step)),
      code(num_panels * chosen.num_refs * padded_dims),
      inverse_scale(num_panels * chosen.num_refs),
      start(num_panels * chosen.num_refs),
      bound(static_cast<std::size_t>(num_panels)) {
    const std::int64_t num_padded = num_panels * chosen.num_refs;
    std::fill(row(num_rows), row(num_padded), std::int8_t{0});
    std::fill(inverse_scale.data() + num_rows, inverse_scale.data() + num_padded, 0.0F);
}

void Panels::interleave(const float* residual, int num_threads) {
    constexpr std::int64_t kPanelsPerTask = 64;
    Progress progress;
    run_tasks((num_panels + kPanelsPerTask - 1) / kPanelsPerTask, num_threads, progress, nullptr, [&](std::int64_t task) {
        const std::int64_t end = std::min((task + 1) * kPanelsPerTask, num_panels);
        for (std::int64_t p = task * kPanelsPerTask; p < end; ++p) {
            const std::int64_t first = p * screen.num_refs;
            const int count = static_cast<int>(std::min<std::int64_t>(screen.num_refs, num_rows - first));
            bound[static_cast<std::size_t>(p)] = interleave_refs(screen, count, num_dims, row(first), inverse_scale.data() + first,
                                                                 residual + first, start.data() + first);
        }
    });
    for (const PanelBound& each : bound) longest = std::max(longest, each.length);
}

}  // namespace asl::ratio_search
