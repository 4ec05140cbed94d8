#include <algorithm>
#include <cstring>

#include "blocks.h"

namespace asl::depthwise {

namespace avx512 {
constexpr std::int64_t lanes = 16;
#include "blocks.inl"
}  // namespace avx512

template <typename Number>
std::unique_ptr<Blocks> blocks_avx512(const Shape& shape, const Number* input, const Number* gradient) {
    return avx512::make_blocks(shape, input, gradient);
}

template std::unique_ptr<Blocks> blocks_avx512(const Shape&, const float*, const float*);
template std::unique_ptr<Blocks> blocks_avx512(const Shape&, const std::uint16_t*, const std::uint16_t*);

}  // namespace asl::depthwise
