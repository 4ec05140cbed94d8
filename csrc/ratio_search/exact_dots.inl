// exact_dot.h's order with vectors of eight: compiled once per instruction set.
//
// No function of the standard library is called here: the linker keeps one copy of an inline function,
// and it must not be the one compiled for instructions that another machine lacks.

#include <cstddef>

#include "exact_dot.h"
#include "screen.h"

namespace asl::ratio_search {
namespace {

typedef float Float8 __attribute__((vector_size(32)));
typedef double Double8 __attribute__((vector_size(64)));

inline void load_as_double(const float* value, Double8& out) {
    Float8 loaded;
    __builtin_memcpy(&loaded, value, sizeof loaded);
    out = __builtin_convertvector(loaded, Double8);
}

// kCount dots at once, so that their additions overlap.
template <int kCount>
void exact_dots_of(const float* query, const float* const* ref, std::int64_t num_dims, double* dot) {
    Double8 lane[kCount] = {};
    std::int64_t d = 0;
    for (; d + 8 <= num_dims; d += 8) {
        Double8 q, r;
        load_as_double(query + d, q);
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
            load_as_double(ref[i] + d, r);
            lane[i] += q * r;
        }
    }
    for (int i = 0; i < kCount; ++i) {
        double sum[8];
        __builtin_memcpy(sum, &lane[i], sizeof sum);
        for (std::int64_t rest = d; rest < num_dims; ++rest) {
            sum[rest - d] += static_cast<double>(query[rest]) * static_cast<double>(ref[i][rest]);
        }
        dot[i] = sum_lanes(sum);
    }
}

void exact_dots(const float* query, const float* const* ref, std::int64_t num_refs, std::int64_t num_dims,
                double* dot) {
    std::int64_t i = 0;
    for (; i + 4 <= num_refs; i += 4) exact_dots_of<4>(query, ref + i, num_dims, dot + i);
    for (; i < num_refs; ++i) exact_dots_of<1>(query, ref + i, num_dims, dot + i);
}

}  // namespace
}  // namespace asl::ratio_search
