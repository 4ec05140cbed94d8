#include "resize.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "../common/cpu.h"
#include "passes.h"

namespace asl::resize {

namespace {

constexpr double most_scale = 16.0;  // beyond it whole boxes are averaged first, down to half of it

double bicubic(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

std::int64_t box_edge(std::int64_t in, std::int64_t out) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    return scale > most_scale ? static_cast<std::int64_t>(scale / (most_scale / 2)) : 1;
}

// Of an axis with num_in samples, each 1 long but the last, which may be a part of a box: `length` in all.
Taps taps_of(double length, std::int64_t num_in, std::int64_t num_out) {
    const double scale = length / static_cast<double>(num_out), widened = std::max(scale, 1.0);
    const double support = 2.0 * widened, narrowed = 1.0 / widened;
    Taps taps;
    taps.num_taps = (static_cast<std::int64_t>(std::ceil(2.0 * support)) + 1 + 3) / 4 * 4;
    taps.first.resize(static_cast<std::size_t>(num_out));
    taps.num_real.resize(static_cast<std::size_t>(num_out));
    taps.weight.assign(static_cast<std::size_t>(num_out * taps.num_taps), 0);
    std::vector<double> exact(static_cast<std::size_t>(taps.num_taps));
    for (std::int64_t i = 0; i < num_out; ++i) {
        const double center = (static_cast<double>(i) + 0.5) * scale;
        const auto low = std::min(std::max(static_cast<std::int64_t>(std::floor(center - support + 0.5)), std::int64_t{0}),
                                  num_in - 1);
        const auto high =
            std::max(std::min(static_cast<std::int64_t>(std::floor(center + support + 0.5)), num_in), low + 1);
        const std::int64_t count = std::min(high - low, taps.num_taps);
        double total = 0.0;
        for (std::int64_t k = 0; k < count; ++k) {
            const double from = static_cast<double>(low + k), share = std::min(1.0, length - from);
            total += exact[static_cast<std::size_t>(k)] = bicubic((from + 0.5 * share - center) * narrowed) * share;
        }
        std::int16_t* const weight = taps.weight.data() + i * taps.num_taps;
        std::int32_t left = 1 << weight_bits;
        const double unit = (1 << weight_bits) / total;
        for (std::int64_t k = 0; k < count; ++k) {
            const double value = exact[static_cast<std::size_t>(k)] * unit;
            weight[k] = static_cast<std::int16_t>(value < 0.0 ? value - 0.5 : value + 0.5);  // rounded
            left -= weight[k];
        }
        // they sum to one exactly: what is flat stays flat
        std::int16_t& largest = *std::max_element(weight, weight + count);
        largest = static_cast<std::int16_t>(largest + left);
        taps.first[static_cast<std::size_t>(i)] = low;
        taps.num_real[static_cast<std::size_t>(i)] = count;
    }
    return taps;
}

// Mean of every box of box_height x box_width pixels, rounded; boxes at the far edges may be partial.
std::vector<std::uint8_t> boxed(const Picture& picture, std::int64_t box_height, std::int64_t box_width) {
    const std::int64_t height = (picture.height + box_height - 1) / box_height;
    const std::int64_t width = (picture.width + box_width - 1) / box_width;
    std::vector<std::uint8_t> out(static_cast<std::size_t>(3 * height * width));
    std::vector<std::uint64_t> sum(static_cast<std::size_t>(3 * width));
    for (std::int64_t y = 0; y < height; ++y) {
        std::fill(sum.begin(), sum.end(), 0);
        const std::int64_t end = std::min((y + 1) * box_height, picture.height);
        for (std::int64_t row = y * box_height; row < end; ++row) {
            const std::uint8_t* pixel = picture.pixels + row * picture.row_bytes;
            for (std::int64_t x = 0; x < width; ++x) {
                std::uint64_t rgb[3] = {};
                const std::int64_t count = std::min(box_width, picture.width - x * box_width);
                for (std::int64_t i = 0; i < count; ++i, pixel += 3) {
                    for (int c = 0; c < 3; ++c) rgb[c] += pixel[c];
                }
                for (int c = 0; c < 3; ++c) sum[static_cast<std::size_t>(3 * x + c)] += rgb[c];
            }
        }
        for (std::int64_t i = 0; i < 3 * width; ++i) {
            const std::int64_t columns = std::min(box_width, picture.width - i / 3 * box_width);
            const auto area = static_cast<std::uint64_t>((end - y * box_height) * columns);
            out[static_cast<std::size_t>(3 * y * width + i)] =
                static_cast<std::uint8_t>((sum[static_cast<std::size_t>(i)] + area / 2) / area);
        }
    }
    return out;
}

struct Passes {
    Down down;
    Across across;
};

Passes passes_of(const std::string& instructions) {
    const std::string chosen = instructions.empty() ? paths().front() : instructions;
#if defined(__x86_64__)
    if (chosen == "avx2" && cpu_features().avx2) return {down_avx2, across_avx2};
#endif
    if (chosen == "plain") return {down_plain, across_plain};
    throw std::invalid_argument("resize: instructions '" + chosen + "' can't run on this CPU");
}

}  // namespace

std::vector<std::string> paths() {
#if defined(__x86_64__)
    if (cpu_features().avx2) return {"avx2", "plain"};
#endif
    return {"plain"};
}

void resize(const Picture& picture, std::int64_t out_height, std::int64_t out_width, const std::string& instructions,
            std::uint8_t* out) {
    const Passes passes = passes_of(instructions);
    const std::int64_t box_height = box_edge(picture.height, out_height), box_width = box_edge(picture.width, out_width);
    Picture from = picture;
    std::vector<std::uint8_t> small;
    if (box_height > 1 || box_width > 1) {
        small = boxed(picture, box_height, box_width);
        const std::int64_t width = (picture.width + box_width - 1) / box_width;
        from = {small.data(), (picture.height + box_height - 1) / box_height, width, 3 * width};
    }
    const auto length = [](std::int64_t in, std::int64_t box) {
        return static_cast<double>(in) / static_cast<double>(box);
    };
    const Taps down = taps_of(length(picture.height, box_height), from.height, out_height);
    const Taps across = taps_of(length(picture.width, box_width), from.width, out_width);

    const std::int64_t row_bytes = 3 * from.width, out_bytes = 3 * out_width;
    const std::uint8_t* const safe_end = from.pixels + (from.height - 1) * from.row_bytes + row_bytes - row_padding;
    std::vector<std::uint8_t> padded(static_cast<std::size_t>(2 * (row_bytes + row_padding)));
    const auto readable = [&](std::int64_t y, int half) {  // `across` reads behind a row: the last ones are copied
        const std::uint8_t* const row = from.pixels + y * from.row_bytes;
        if (row + row_bytes <= safe_end) return row;
        std::uint8_t* const copy = padded.data() + half * (row_bytes + row_padding);
        std::copy_n(row, row_bytes, copy);
        return static_cast<const std::uint8_t*>(copy);
    };
    // The rows that are in use, in a ring: each is made once, two at a time.
    const std::int64_t ring_rows = down.num_taps + 2;
    std::vector<std::uint8_t> ring(static_cast<std::size_t>(ring_rows * out_bytes));
    const auto slot = [&](std::int64_t row) { return ring.data() + row % ring_rows * out_bytes; };
    std::vector<const std::uint8_t*> rows(static_cast<std::size_t>(down.num_taps));
    std::int64_t made = 0;
    for (std::int64_t y = 0; y < out_height; ++y) {
        const auto i = static_cast<std::size_t>(y);
        for (; made < down.first[i] + down.num_real[i]; made += 2) {
            const std::int64_t second = std::min(made + 1, from.height - 1);  // the last row may be made twice
            passes.across(readable(made, 0), readable(second, 1), across, slot(made), slot(second));
        }
        const std::int64_t count = (down.num_real[i] + 1) / 2 * 2;  // by twos; the weight of one too many is 0
        for (std::int64_t k = 0; k < count; ++k) {
            rows[static_cast<std::size_t>(k)] = slot(down.first[i] + std::min(k, down.num_real[i] - 1));
        }
        passes.down(rows.data(), down.weight.data() + y * down.num_taps, count, out_bytes, out + y * out_bytes);
    }
}

}  // namespace asl::resize
