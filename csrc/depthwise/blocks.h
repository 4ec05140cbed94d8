// The sums of one image for all channels, per instruction set.
#pragma once

#include <cstdint>
#include <memory>

#include "depthwise.h"

namespace asl::depthwise {

constexpr std::int64_t least_channels = 16;

// What sums up images, one by one. No std::vector inside: the units of several instruction sets would share its code.
class Blocks {
   public:
    virtual ~Blocks() = default;
    virtual std::int64_t num_sums() const = 0;     // floats, to be 0 at the start
    virtual std::int64_t num_scratch() const = 0;  // floats, aligned to 64 bytes, to be 0 at the start; of one thread
    virtual void add(std::int64_t image, float* scratch, float* sums) const = 0;
    virtual void write(const float* sums, float* weight, float* bias) const = 0;
};

template <typename Number>
using MakeBlocks = std::unique_ptr<Blocks> (*)(const Shape& shape, const Number* input, const Number* gradient);

template <typename Number>
std::unique_ptr<Blocks> blocks_plain(const Shape& shape, const Number* input, const Number* gradient);
#if defined(__x86_64__)
template <typename Number>
std::unique_ptr<Blocks> blocks_avx2(const Shape& shape, const Number* input, const Number* gradient);
template <typename Number>
std::unique_ptr<Blocks> blocks_avx512(const Shape& shape, const Number* input, const Number* gradient);
#endif

}  // namespace asl::depthwise
