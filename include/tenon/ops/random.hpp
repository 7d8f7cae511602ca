// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: a draw is a function of (seed, forward, layer, index), so backward draws what forward drew and
// no order of evaluation matters. Philox 4×32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once
#include <cstdint>
namespace tenon {
struct random_block {
  std::uint32_t v[4];
};
/// Philox 4×32 with ten rounds.
constexpr random_block philox(random_block counter, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.v[0], b = std::uint64_t{0xCD9E8D57u} * counter.v[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.v[1] ^ k0, static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.v[3] ^ k1, static_cast<std::uint32_t>(a)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}
/// One stream of draws. Equal keys give equal draws.
struct random_key {
  std::uint64_t seed = 0, forward = 0;
  std::uint32_t layer = 0;

  /// The i-th four words: at most 2³² blocks of a stream are distinct for one forward.
  constexpr random_block block(std::uint64_t i) const {
    const std::uint64_t s = seed ^ (i >> 32) * 0x9E3779B97F4A7C15u;
    return philox(
        {{static_cast<std::uint32_t>(i), layer, static_cast<std::uint32_t>(forward), static_cast<std::uint32_t>(forward >> 32)}},
        static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(s >> 32));
  }
  constexpr std::uint32_t bits(std::uint64_t i) const { return block(i / 4).v[i % 4]; }
  /// Uniform in [0, 1), 32 bits of it.
  constexpr double uniform(std::uint64_t i) const { return static_cast<double>(bits(i)) * 0x1p-32; }
};
}  // namespace tenon
