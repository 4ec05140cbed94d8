#include "depthwise.h"

#include <algorithm>
#include <stdexcept>

#include "../common/aligned.h"
#include "../common/cpu.h"
#include "../common/threads.h"
#include "blocks.h"

namespace asl::depthwise {

namespace {

constexpr std::int64_t most_parts = 16;  // of the images; each part has sums of its own

template <typename Number>
MakeBlocks<Number> blocks_for(const std::string& instructions) {
    const std::string chosen = instructions.empty() ? paths().front() : instructions;
#if defined(__x86_64__)
    if (chosen == "avx512" && cpu_features().avx512f) return blocks_avx512<Number>;
    if (chosen == "avx2" && cpu_features().avx2 && cpu_features().fma) return blocks_avx2<Number>;
#endif
    if (chosen == "plain") return blocks_plain<Number>;
    throw std::invalid_argument("depthwise: instructions '" + chosen + "' can't run on this CPU");
}

bool fits(const Shape& shape) {
    const bool kernel = shape.kernel == 3 || shape.kernel == 5 || shape.kernel == 7;
    const std::int64_t sizes[] = {shape.images, shape.height, shape.width, shape.out_height, shape.out_width};
    const bool some = std::all_of(std::begin(sizes), std::end(sizes), [](std::int64_t size) { return size > 0; });
    return kernel && (shape.stride == 1 || shape.stride == 2) && some && shape.channels >= least_channels &&
           shape.top >= 0 && shape.left >= 0;
}

}  // namespace

std::vector<std::string> paths() {
    std::vector<std::string> names;
#if defined(__x86_64__)
    if (cpu_features().avx512f) names.push_back("avx512");
    if (cpu_features().avx2 && cpu_features().fma) names.push_back("avx2");
#endif
    names.push_back("plain");
    return names;
}

template <typename Number>
void weight_gradient(const Shape& shape, const Number* input, const Number* gradient, int num_threads,
                     const std::string& instructions, float* weight, float* bias) {
    if (!fits(shape)) throw std::invalid_argument("depthwise: kernels of 3, 5 or 7, strides of 1 or 2, 16 channels");
    const std::int64_t num_parts = std::min(most_parts, shape.images);
    const auto blocks = blocks_for<Number>(instructions)(shape, input, gradient);
    const auto num_sums = static_cast<std::size_t>(blocks->num_sums());
    std::vector<std::vector<float>> part_sums(static_cast<std::size_t>(num_parts));
    Progress progress;
    run_tasks(num_parts, num_threads, progress, [] { return true; }, [&](std::int64_t part) {
        std::vector<float>& sums = part_sums[static_cast<std::size_t>(part)];
        sums.assign(num_sums, 0.0f);
        Aligned<float> scratch(blocks->num_scratch());
        std::fill_n(scratch.data(), blocks->num_scratch(), 0.0f);
        const std::int64_t end = shape.images * (part + 1) / num_parts;
        for (std::int64_t image = shape.images * part / num_parts; image < end; ++image) {
            blocks->add(image, scratch.data(), sums.data());
        }
    });
    std::vector<float>& total = part_sums.front();
    for (std::size_t part = 1; part < part_sums.size(); ++part) {
        for (std::size_t i = 0; i < num_sums; ++i) total[i] += part_sums[part][i];
    }
    blocks->write(total.data(), weight, bias);
}

template void weight_gradient(const Shape&, const float*, const float*, int, const std::string&, float*, float*);
template void weight_gradient(const Shape&, const std::uint16_t*, const std::uint16_t*, int, const std::string&,
                              float*, float*);

}  // namespace asl::depthwise
