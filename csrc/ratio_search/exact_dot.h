// The one summation order that every path and the NumPy reference share.
//
// Eight lanes: lane j adds the products of dimensions j, j + 8, j + 16, ... one after the other; then
// ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)). A product of two floats is exact in double, so a
// fused multiply-add gives the same bits as a multiply and an add. No float32 input over- or underflows:
// products lie between 2^-298 and 2^256.
#pragma once

#if defined(__CUDACC__)
#define ASL_HOST_DEVICE __host__ __device__
#else
#define ASL_HOST_DEVICE
#endif

namespace asl::ratio_search {

// static: each translation unit keeps its own copy, compiled for its own instructions.
ASL_HOST_DEVICE static inline double sum_lanes(const double* lane) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

}  // namespace asl::ratio_search
