// SPDX-License-Identifier: Apache-2.0
// Values from a model on one device to the same architecture on another, through the host; counted as copied.
#pragma once
#include "tenon/graph/session_runs.hpp"
#if TENON_EXCEPTIONS
namespace tenon::detail {
template <class From, class To>
[[gnu::noinline]] void transfer(const From& from, To& to) {
  std::uint64_t bytes = 0;
  storage host;
  auto all = [&](const auto& a, const auto& b, std::size_t width) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::size_t n = static_cast<std::size_t>(a[i].value.numel()) * width;
      if (host.bytes() < n) host = storage::allocate(n);
      from.device().download(host.data(), a[i].value.data(), n);
      to.device().upload(b[i].value.data(), host.data(), n);
      bytes += n;
    }
  };
  const auto& w = from.bound().planned().width;
  all(from.parameters(), to.parameters(), w.master);
  all(from.states(), to.states(), w.accumulate);
  int i = 0;
  to.multipliers([&](auto, multipliers& m) { m = from.multipliers_of(i++); });
  count(&traffic::copied, bytes);
}
}  // namespace tenon::detail
#endif
