// 8-bit RGB pictures to another size: bicubic (a = -1/2), widened by the scale where the picture shrinks, so
// that nothing aliases. The definition is kernels/resize/reference.py; weights here have 14 bits, so that an
// answer is within 2 levels of it, and the same on every instruction set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace asl::resize {

struct Picture {  // height rows of width RGB pixels, row_bytes apart
    const std::uint8_t* pixels;
    std::int64_t height, width, row_bytes;
};

// out: out_height x out_width x 3, without gaps. instructions: "avx2", "plain", or "" for the best there is.
void resize(const Picture& picture, std::int64_t out_height, std::int64_t out_width, const std::string& instructions,
            std::uint8_t* out);

// What "" may choose from on this machine, best first.
std::vector<std::string> paths();

}  // namespace asl::resize
