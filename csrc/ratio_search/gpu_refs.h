// References on one or several GPUs.
#pragma once

#include <memory>
#include <vector>

#include "gpu.h"
#include "ratio_search.h"

namespace asl::ratio_search {

// path: a string that stays. Each GPU holds an even share of the rows, dealt out in norm order, so that their work is
// even too. OutOfGpuMemory.
std::unique_ptr<Refs> prepare_gpus(const char* path, const StoredRows& refs, const std::vector<OpenGpu>& gpus,
                                   const GpuLimits& limits, int num_threads);

// A power of 2 with room for the best k and as many again.
std::int64_t list_capacity(std::int64_t k, std::int64_t least);

// make(size) with the most queries that there is room for: `wanted`, or half of them, and so on, which is said.
// std::invalid_argument where there is no room for one.
template <typename Make>
auto with_most_queries(std::int64_t wanted, const Say* say, const Make& make) -> decltype(make(wanted)) {
    for (std::int64_t size = wanted;; size = (size + 1) / 2) {
        try {
            return make(size);
        } catch (const OutOfGpuMemory& error) {
            const std::string what = error.what();
            if (size <= 1) throw std::invalid_argument(what + " for one query; prepare fewer rows, lower k, or use device='cpu'");
            if (say != nullptr) (*say)(what + " for " + std::to_string(size) + " queries at a time; taking half as many");
        }
    }
}

}  // namespace asl::ratio_search
