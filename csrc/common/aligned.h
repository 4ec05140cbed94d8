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

template <typename Number>
class Aligned {
   public:
    explicit Aligned(std::int64_t count) {
        const std::size_t num_bytes = static_cast<std::size_t>(count) * sizeof(Number);
        const std::size_t alignment = num_bytes >= kLargePage ? kLargePage : kLine;
        const std::size_t rounded = std::max((num_bytes + alignment - 1) / alignment * alignment, alignment);
        data_ = static_cast<Number*>(std::aligned_alloc(alignment, rounded));
        if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        // A wish: if the system refuses, only speed is lost.
        if (alignment == kLargePage) (void)madvise(data_, rounded, MADV_HUGEPAGE);
#endif
    }
    ~Aligned() { std::free(data_); }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;

    Number* data() { return data_; }
    const Number* data() const { return data_; }

   private:
    static constexpr std::size_t kLine = 64;
    static constexpr std::size_t kLargePage = std::size_t{2} << 20;
    Number* data_;
};

}  // namespace asl
