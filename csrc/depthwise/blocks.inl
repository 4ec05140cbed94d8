// Included once per instruction set, which says how many `lanes` a register has, in a namespace of its own.
//
// A block of `lanes` channels of one image is first laid out as floats, pixel after pixel, with zeros around it,
// so that the loop over taps needs no conditions; the taps of a kernel's row then stay in registers.

typedef float Lanes __attribute__((vector_size(lanes * sizeof(float))));
typedef std::uint16_t Halves __attribute__((vector_size(lanes * sizeof(std::uint16_t))));
typedef std::uint32_t Words __attribute__((vector_size(lanes * sizeof(std::uint32_t))));

inline void load(const float* from, Lanes& to) { std::memcpy(&to, from, sizeof to); }
inline void load(const std::uint16_t* from, Lanes& to) {  // bfloat16 is the upper half of a float
    Halves half;
    std::memcpy(&half, from, sizeof half);
    const Words word = __builtin_convertvector(half, Words) << 16;
    std::memcpy(&to, &word, sizeof to);
}

template <int K, int S, typename Number>
class BlocksOf final : public Blocks {
   public:
    BlocksOf(const Shape& shape, const Number* input, const Number* gradient)
        : shape_(shape), input_(input), gradient_(gradient),
          padded_width_(std::max((shape.out_width - 1) * S + K, shape.left + shape.width)),
          padded_height_(std::max((shape.out_height - 1) * S + K, shape.top + shape.height)),
          num_blocks_((shape.channels + lanes - 1) / lanes) {}

    std::int64_t num_sums() const override { return num_blocks_ * num_taps * lanes; }

    std::int64_t num_scratch() const override {
        return (padded_height_ * padded_width_ + shape_.out_height * shape_.out_width) * lanes;
    }

    void add(std::int64_t image, float* scratch, float* sums) const override {
        const Number* const in = input_ + image * shape_.height * shape_.width * shape_.channels;
        const Number* const out = gradient_ + image * shape_.out_height * shape_.out_width * shape_.channels;
        for (std::int64_t block = 0; block < num_blocks_; ++block) {
            const std::int64_t channel = first_channel(block);
            Lanes sum[num_taps];
            std::memcpy(sum, sums + block * num_taps * lanes, sizeof sum);
            add_block(in + channel, out + channel, reinterpret_cast<Lanes*>(scratch), sum);
            std::memcpy(sums + block * num_taps * lanes, sum, sizeof sum);
        }
    }

    void write(const float* sums, float* weight, float* bias) const override {
        for (std::int64_t block = 0; block < num_blocks_; ++block) {
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                const std::int64_t channel = first_channel(block) + lane;
                const float* const sum = sums + block * num_taps * lanes + lane;
                for (int tap = 0; tap < K * K; ++tap) weight[channel * K * K + tap] = sum[tap * lanes];
                bias[channel] = sum[K * K * lanes];
            }
        }
    }

   private:
    static constexpr int num_taps = K * K + 1;

    // the last block overlaps the one before: its channels are summed twice and come out the same
    std::int64_t first_channel(std::int64_t block) const { return std::min(block * lanes, shape_.channels - lanes); }

    void add_block(const Number* in, const Number* out, Lanes* scratch, Lanes* sum) const {
        Lanes* const padded = scratch;
        Lanes* const of = scratch + padded_height_ * padded_width_;
        for (std::int64_t y = 0; y < shape_.height; ++y) {
            Lanes* const to = padded + (y + shape_.top) * padded_width_ + shape_.left;
            const Number* const from = in + y * shape_.width * shape_.channels;
            for (std::int64_t x = 0; x < shape_.width; ++x) load(from + x * shape_.channels, to[x]);
        }
        Lanes total = sum[K * K];
        for (std::int64_t place = 0; place < shape_.out_height * shape_.out_width; ++place) {
            load(out + place * shape_.channels, of[place]);
            total += of[place];
        }
        sum[K * K] = total;
        for (int tap_y = 0; tap_y < K; ++tap_y) {
            Lanes row_sum[K];
            for (int tap = 0; tap < K; ++tap) row_sum[tap] = sum[tap_y * K + tap];
            for (std::int64_t y = 0; y < shape_.out_height; ++y) {
                const Lanes* const row = padded + (y * S + tap_y) * padded_width_;
                const Lanes* const of_row = of + y * shape_.out_width;
                for (std::int64_t x = 0; x < shape_.out_width; ++x) {
#pragma GCC unroll 8
                    for (int tap = 0; tap < K; ++tap) row_sum[tap] += of_row[x] * row[x * S + tap];
                }
            }
            for (int tap = 0; tap < K; ++tap) sum[tap_y * K + tap] = row_sum[tap];
        }
    }

    Shape shape_;
    const Number* input_;
    const Number* gradient_;
    std::int64_t padded_width_, padded_height_, num_blocks_;
};

template <int K, typename Number>
std::unique_ptr<Blocks> blocks_of(const Shape& shape, const Number* input, const Number* gradient) {
    if (shape.stride == 1) return std::make_unique<BlocksOf<K, 1, Number>>(shape, input, gradient);
    return std::make_unique<BlocksOf<K, 2, Number>>(shape, input, gradient);
}

template <typename Number>
std::unique_ptr<Blocks> make_blocks(const Shape& shape, const Number* input, const Number* gradient) {
    if (shape.kernel == 3) return blocks_of<3>(shape, input, gradient);
    if (shape.kernel == 5) return blocks_of<5>(shape, input, gradient);
    return blocks_of<7>(shape, input, gradient);
}
