// Native checks of csrc/resize, for a run under sanitizers (scripts/sanitize.sh): no byte outside the picture is
// touched, every instruction set gives the same bits, flat pictures stay flat. Exit status 1 at the first thing
// that is false.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "../../csrc/resize/resize.h"
#include "check.h"

int main() {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> edge(1, 70), level(0, 255), gap(0, 5), kind(0, 9);
    for (int round = 0; round < 400; ++round) {
        const int far = kind(random) == 0 ? 30 : 1;
        const std::int64_t height = edge(random) * far, width = edge(random), row_bytes = 3 * width + gap(random);
        const std::int64_t out_height = edge(random), out_width = edge(random);
        // exactly as long as the picture needs: the last row has no gap behind it
        std::vector<std::uint8_t> pixels(static_cast<std::size_t>((height - 1) * row_bytes + 3 * width));
        const bool flat = kind(random) < 3;
        for (auto& value : pixels) value = static_cast<std::uint8_t>(flat ? 77 : level(random));
        const asl::resize::Picture picture{pixels.data(), height, width, row_bytes};
        std::vector<std::uint8_t> first, out(static_cast<std::size_t>(3 * out_height * out_width));
        for (const std::string& path : asl::resize::paths()) {
            asl::resize::resize(picture, out_height, out_width, path, out.data());
            if (first.empty()) first = out;
            CHECK(out == first);
            for (const auto value : out) CHECK(!flat || value == 77);
        }
    }
    std::puts("native checks of resize passed");
}
