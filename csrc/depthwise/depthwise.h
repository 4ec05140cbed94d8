// What a depthwise convolution's weights and bias get in the backward pass. PyTorch's path for this on CPUs
// (oneDNN) has no fast one for 5 x 5 kernels nor for 16 bits: see kernels/depthwise/__init__.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace asl::depthwise {

// Images of height x width x channels, in that order and without gaps; outputs likewise. The kernel's first row lies
// `top` rows above the image's at the first output, `left` is the same for columns.
struct Shape {
    std::int64_t images, height, width, channels, out_height, out_width, top, left;
    int kernel, stride;
};

// Numbers of the input and of the output's gradient: float, or the upper halves of floats (bfloat16).
// weight: channels x kernel x kernel, bias: channels; sums are of float, in an order that doesn't depend on
// num_threads. For kernels of 3, 5 or 7, strides of 1 or 2, 16 channels or more; std::invalid_argument for others,
// and for instructions that this CPU has not.
template <typename Number>
void weight_gradient(const Shape& shape, const Number* input, const Number* gradient, int num_threads,
                     const std::string& instructions, float* weight, float* bias);

// What instructions "" may choose from on this machine, best first.
std::vector<std::string> paths();

}  // namespace asl::depthwise
