#include "stored_rows.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "../common/threads.h"

namespace asl::ratio_search {
namespace {

constexpr std::int64_t kBlockBytes = 1 << 20;  // as float32: a block stays in the L2 cache

template <typename Stored, typename Convert>
void convert(const void* value, std::int64_t count, float* out, const Convert& as_float) {
    const std::byte* const from = static_cast<const std::byte*>(value);
    for (std::int64_t i = 0; i < count; ++i) {
        Stored one;
        std::memcpy(&one, from + i * static_cast<std::int64_t>(sizeof one), sizeof one);
        out[i] = as_float(one);
    }
}

}  // namespace

void as_floats(const void* value, Number number, std::int64_t count, float* out) {
    switch (number) {
        case Number::f16: return convert<std::uint16_t>(value, count, out, from_f16);
        case Number::bf16: return convert<std::uint16_t>(value, count, out, from_bf16);
        case Number::f32: return convert<float>(value, count, out, [](float x) { return x; });
        case Number::f64: return convert<double>(value, count, out, [](double x) { return static_cast<float>(x); });
    }
}

void in_blocks(const StoredRows& rows, int num_threads, const std::function<void(std::int64_t first, std::int64_t count)>& use) {
    const std::int64_t step = std::max<std::int64_t>(kBlockBytes / 4 / rows.num_dims, 1);
    Progress progress;
    run_tasks((rows.num_rows + step - 1) / step, num_threads, progress, nullptr, [&](std::int64_t task) {
        use(task * step, std::min(step, rows.num_rows - task * step));
    });
}

void read_blocks(const StoredRows& rows, const MappedPages& pages, int num_threads, const UseBlock& use) {
    pages.expect_sequential();
    in_blocks(rows, num_threads, [&](std::int64_t first, std::int64_t count) {
        const std::byte* const begin = rows.stored(first);
        if (rows.number == Number::f32) {
            use(first, count, reinterpret_cast<const float*>(begin));
        } else {
            std::vector<float> block(static_cast<std::size_t>(count * rows.num_dims));
            as_floats(begin, rows.number, count * rows.num_dims, block.data());
            use(first, count, block.data());
        }
        pages.give_back(begin, count * rows.row_bytes());
    });
    pages.expect_random();
}

}  // namespace asl::ratio_search
