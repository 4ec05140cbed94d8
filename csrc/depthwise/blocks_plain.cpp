#include <algorithm>
#include <cstring>

#include "blocks.h"

namespace asl::depthwise {

namespace plain {
constexpr std::int64_t lanes = 8;
#include "blocks.inl"
}  // namespace plain

template <typename Number>
std::unique_ptr<Blocks> blocks_plain(const Shape& shape, const Number* input, const Number* gradient) {
    return plain::make_blocks(shape, input, gradient);
}

template std::unique_ptr<Blocks> blocks_plain(const Shape&, const float*, const float*);
template std::unique_ptr<Blocks> blocks_plain(const Shape&, const std::uint16_t*, const std::uint16_t*);

}  // namespace asl::depthwise
