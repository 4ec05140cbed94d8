// The most int8 multiply-adds a core can do: each instruction set's dot instruction on independent registers,
// nothing loaded, nothing stored. Written as assembly, so that no compiler can hoist or drop it.
// Built and called by int8_peak.py. AMX needs the operating system's leave, which asl_fast._C asks for.
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
namespace {

// Ten sums: enough to hide an instruction's latency at two a cycle.
#define TEN(dot) dot(0) dot(1) dot(2) dot(3) dot(4) dot(5) dot(6) dot(7) dot(8) dot(9)
#define CLOBBERS                                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
        "xmm14", "xmm15"

#define ZMM_DOT(i) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #i "\n"
#define YMM_DOT(i) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n"
#define AVX2_DOT(i)                              \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm10\n"     \
    "vpmaddwd %%ymm13, %%ymm10, %%ymm10\n"       \
    "vpaddd %%ymm10, %%ymm" #i ", %%ymm" #i "\n"

std::int64_t avx512vnni(std::int64_t rounds) {
    for (std::int64_t i = 0; i < rounds; ++i) asm volatile(TEN(ZMM_DOT)::: CLOBBERS);
    return rounds * 10 * 64;
}

std::int64_t avxvnni(std::int64_t rounds) {
    for (std::int64_t i = 0; i < rounds; ++i) asm volatile(TEN(YMM_DOT)::: CLOBBERS);
    return rounds * 10 * 32;
}

std::int64_t avx2(std::int64_t rounds) {
    for (std::int64_t i = 0; i < rounds; ++i) asm volatile(TEN(AVX2_DOT)::: CLOBBERS);
    return rounds * 10 * 32;
}

struct alignas(64) TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t num_rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

std::int64_t amx(std::int64_t rounds) {
    static const TileShapes shapes;
    asm volatile("ldtilecfg %0" : : "m"(shapes));
    for (std::int64_t i = 0; i < rounds; ++i) {
        asm volatile(
            "tdpbssd %tmm7, %tmm6, %tmm0\n"
            "tdpbssd %tmm7, %tmm6, %tmm1\n"
            "tdpbssd %tmm7, %tmm6, %tmm2\n"
            "tdpbssd %tmm7, %tmm6, %tmm3\n");
    }
    asm volatile("tilerelease");
    return rounds * 4 * 16 * 16 * 64;
}

struct Named {
    const char* name;
    std::int64_t (*run)(std::int64_t rounds);
};

constexpr Named kSets[] = {{"amx", amx}, {"avx512vnni", avx512vnni}, {"avxvnni", avxvnni}, {"avx2", avx2}};

}  // namespace
#endif

// Multiply-adds done in `rounds` rounds; 0 for a set that is not known here.
extern "C" std::int64_t multiply_adds(const char* instructions, std::int64_t rounds) {
#if defined(__x86_64__)
    for (const Named& each : kSets) {
        if (std::strcmp(each.name, instructions) == 0) return each.run(rounds);
    }
#else
    (void)instructions, (void)rounds;
#endif
    return 0;
}
