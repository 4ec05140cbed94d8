// Native checks of csrc/depthwise, for a run under sanitizers (scripts/sanitize.sh): no number outside the arrays is
// read, every instruction set and number of threads gives the sums of the formula. Exit status 1 at the first thing
// that is false.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "../../csrc/depthwise/depthwise.h"
#include "check.h"

int main() {
    using asl::depthwise::Shape;
    std::mt19937 random(1);
    std::uniform_int_distribution<int> edge(1, 9), images(1, 20), channels(16, 50), half(0, 2), zeros(0, 3), level(-4, 4);
    for (int round = 0; round < 60; ++round) {
        Shape shape{images(random), edge(random), edge(random), channels(random), 0, 0, zeros(random), zeros(random),
                    3 + 2 * half(random), 1 + half(random) % 2};
        const auto out_edge = [&](std::int64_t in, std::int64_t before) {
            return (in + 2 * before - shape.kernel) / shape.stride + 1;
        };
        if (shape.height + 2 * shape.top < shape.kernel || shape.width + 2 * shape.left < shape.kernel) continue;
        shape.out_height = out_edge(shape.height, shape.top);
        shape.out_width = out_edge(shape.width, shape.left);
        const std::int64_t C = shape.channels, K = shape.kernel;
        std::vector<float> input(static_cast<std::size_t>(shape.images * shape.height * shape.width * C));
        std::vector<float> gradient(static_cast<std::size_t>(shape.images * shape.out_height * shape.out_width * C));
        for (auto& value : input) value = static_cast<float>(level(random));  // small whole numbers: sums are exact
        for (auto& value : gradient) value = static_cast<float>(level(random));
        std::vector<float> wanted(static_cast<std::size_t>(C * K * K));
        std::size_t place = 0;
        for (std::int64_t b = 0; b < shape.images; ++b)
            for (std::int64_t y = 0; y < shape.out_height; ++y)
                for (std::int64_t x = 0; x < shape.out_width; ++x)
                    for (std::int64_t c = 0; c < C; ++c, ++place)
                        for (std::int64_t tap = 0; tap < K * K; ++tap) {
                            const std::int64_t in_y = y * shape.stride + tap / K - shape.top;
                            const std::int64_t in_x = x * shape.stride + tap % K - shape.left;
                            if (in_y < 0 || in_y >= shape.height || in_x < 0 || in_x >= shape.width) continue;
                            const std::int64_t at = ((b * shape.height + in_y) * shape.width + in_x) * C + c;
                            wanted[static_cast<std::size_t>(c * K * K + tap)] +=
                                input[static_cast<std::size_t>(at)] * gradient[place];
                        }
        for (const std::string& path : asl::depthwise::paths()) {
            for (int num_threads : {1, 3}) {
                std::vector<float> weight(wanted.size(), 7.0f), bias(static_cast<std::size_t>(C));
                asl::depthwise::weight_gradient(shape, input.data(), gradient.data(), num_threads, path, weight.data(),
                                                bias.data());
                CHECK(weight == wanted);
            }
        }
    }
    std::puts("depthwise: native checks passed");
}
