// Memory for panels that are streamed: on a cache-line boundary, or in large pages if it is large.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace asl {

class AlignedFloats {
   public:
    explicit AlignedFloats(std::int64_t num_floats) {
        const std::size_t num_bytes = static_cast<std::size_t>(num_floats) * sizeof(float);
        const std::size_t alignment = num_bytes >= kLargePage ? kLargePage : kLine;
        const std::size_t rounded = std::max((num_bytes + alignment - 1) / alignment * alignment, alignment);
        data_ = static_cast<float*>(std::aligned_alloc(alignment, rounded));
        if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        // A wish: if the system refuses, only speed is lost.
        if (alignment == kLargePage) (void)madvise(data_, rounded, MADV_HUGEPAGE);
#endif
    }
    ~AlignedFloats() { std::free(data_); }
    AlignedFloats(const AlignedFloats&) = delete;
    AlignedFloats& operator=(const AlignedFloats&) = delete;

    float* data() { return data_; }
    const float* data() const { return data_; }

   private:
    static constexpr std::size_t kLine = 64;
    static constexpr std::size_t kLargePage = std::size_t{2} << 20;
    float* data_;
};

}  // namespace asl
