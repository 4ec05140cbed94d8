// Which instruction sets this CPU (and its operating system) can run, read from CPUID bits.
#pragma once

#include <string>
#include <vector>

namespace asl {

struct CpuFeatures {
    bool avx2 = false;
    bool fma = false;
    bool avx512f = false;
    bool avx512bw = false;
    bool avx512vnni = false;
    bool avx512bf16 = false;
    bool avxvnni = false;
    bool amxint8 = false;  // with the operating system's leave to use the tiles
    bool neondot = false;  // sdot, of Armv8.2 and later
};

const CpuFeatures& cpu_features();

// The names of the features above that are present, for `asl-fast doctor`.
std::vector<std::string> cpu_feature_names();

}  // namespace asl
