// SPDX-License-Identifier: Apache-2.0
// PyTorch's default weights, bit for bit, without storing them: what torch.manual_seed(seed) followed by building the
// layers gives (torch 2.13 on the CPU: mt19937, 24 bits a number, one fused multiply-add; checked by the crc32 of
// tests/data/torch_lenet_30_steps.txt). Linear and conv: weight U(-1/sqrt(fan_in), 1/sqrt(fan_in)) by
// kaiming_uniform_(a = sqrt 5), then the bias by the same bound.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>

namespace tenon_test {

class torch_init {
 public:
  explicit torch_init(std::uint32_t seed) : random_(seed) {}

  /// As nn.Linear and nn.Conv2d do: weight is [out, ...] with fan_in numbers an output, bias is [out].
  void layer(float* weight, float* bias, std::size_t out, std::size_t fan_in) {
    const double gain = std::sqrt(2.0 / (1 + std::sqrt(5.0) * std::sqrt(5.0)));
    uniform(weight, out * fan_in, std::sqrt(3.0) * (gain / std::sqrt(double(fan_in))));
    uniform(bias, out, 1 / std::sqrt(double(fan_in)));
  }
  /// As Tensor.uniform_(-bound, bound).
  void uniform(float* values, std::size_t count, double bound) {
    const float low = float(-bound), width = float(bound) - low;
    for (std::size_t i = 0; i < count; ++i) values[i] = std::fma(float(random_() & 0xffffffu) * 0x1p-24f, width, low);
  }

 private:
  std::mt19937 random_;
};

/// Fills net.parameters() (weight and bias in turns, weights [out, ...]) as torch.manual_seed(seed) would.
void fill_like_torch(auto&& parameters, std::uint32_t seed) {
  torch_init init(seed);
  auto p = parameters.begin();
  while (p != parameters.end()) {
    auto& weight = (p++)->value;
    auto& bias = (p++)->value;
    const auto out = std::size_t(bias.numel());
    init.layer(weight.data(), bias.data(), out, std::size_t(weight.numel()) / out);
  }
}

/// The crc32 of zlib and PNG; start with 0, feed the result back in to go on.
inline std::uint32_t crc32(const void* data, std::size_t bytes, std::uint32_t crc = 0) {
  crc = ~crc;
  for (std::size_t i = 0; i < bytes; ++i) {
    crc ^= static_cast<const unsigned char*>(data)[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

}  // namespace tenon_test
