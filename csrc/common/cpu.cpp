#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace asl {
namespace {

#if defined(__x86_64__)
// Linux saves the tiles of a process only after it asked (arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA).
bool may_use_tiles() {
#if defined(__linux__)
    constexpr long kRequest = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
    return false;
#endif
}
#endif

CpuFeatures detect() {
    CpuFeatures found;
#if defined(__x86_64__)
    // The compiler's own check also asks XGETBV whether the operating system saves the wide registers.
    __builtin_cpu_init();
    found.avx2 = __builtin_cpu_supports("avx2") != 0;
    found.fma = __builtin_cpu_supports("fma") != 0;
    found.avx512f = __builtin_cpu_supports("avx512f") != 0;
    found.avx512bw = __builtin_cpu_supports("avx512bw") != 0;
    found.avx512vnni = __builtin_cpu_supports("avx512vnni") != 0;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (found.avx2 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
        found.avxvnni = (eax >> 4 & 1u) != 0;
        found.avx512bf16 = found.avx512f && (eax >> 5 & 1u) != 0;
    }
    if (found.avx512f && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
        const bool tiles = (edx >> 24 & 1u) != 0, int8 = (edx >> 25 & 1u) != 0;
        found.amxint8 = tiles && int8 && may_use_tiles();
    }
#elif defined(__aarch64__) && defined(__linux__)
    found.neondot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
    found.neondot = true;  // every Mac with Apple's chips
#endif
    return found;
}

}  // namespace

const CpuFeatures& cpu_features() {
    static const CpuFeatures features = detect();
    return features;
}

std::vector<std::string> cpu_feature_names() {
    const CpuFeatures& cpu = cpu_features();
    std::vector<std::string> names;
    if (cpu.avx2) names.emplace_back("avx2");
    if (cpu.fma) names.emplace_back("fma");
    if (cpu.avx512f) names.emplace_back("avx512f");
    if (cpu.avx512bw) names.emplace_back("avx512bw");
    if (cpu.avx512vnni) names.emplace_back("avx512vnni");
    if (cpu.avx512bf16) names.emplace_back("avx512bf16");
    if (cpu.avxvnni) names.emplace_back("avxvnni");
    if (cpu.amxint8) names.emplace_back("amxint8");
    if (cpu.neondot) names.emplace_back("neondot");
    return names;
}

}  // namespace asl
