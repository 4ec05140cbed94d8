// `rescore` on a GPU: its references stay there, and candidates may lie there already.
#pragma once

#include <memory>

#include "../ratio_search/gpu.h"
#include "../ratio_search/ratio_search.h"

namespace asl::rescore {

class GpuRescorer {
   public:
    virtual ~GpuRescorer() = default;
    // As rescore() does. on_gpu: `candidate` is in the GPU's memory, and whatever fills it has been waited for.
    virtual ratio_search::Found best(const ratio_search::Rows& queries, const std::int64_t* candidate, bool on_gpu,
                                     std::int64_t num_candidates, const ratio_search::Wanted& wanted) const = 0;
};

std::unique_ptr<GpuRescorer> prepare_gpu_rescorer(const ratio_search::StoredRows& refs, const ratio_search::OpenGpu& open,
                                                  const ratio_search::GpuLimits& limits, int num_threads);

}  // namespace asl::rescore
