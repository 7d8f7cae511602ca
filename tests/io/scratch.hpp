// SPDX-License-Identifier: Apache-2.0
// A folder of its own for a test, gone with it; and what an io call answered.
#pragma once
#include <dirent.h>
#include <unistd.h>
#include <tenon/io/file.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

struct scratch {
  std::string path;
  scratch() {
    const char* base = std::getenv("TMPDIR");
    path = std::string(base ? base : "/tmp") + "/tenon_io_XXXXXX";
    if (!::mkdtemp(path.data())) std::abort();
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    for (const auto& name : names()) std::remove((path + "/" + name).c_str());
    ::rmdir(path.c_str());
  }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    DIR* d = ::opendir(path.c_str());
    while (const dirent* e = ::readdir(d))
      if (const std::string n = e->d_name; n != "." && n != "..") found.push_back(n);
    ::closedir(d);
    return found;
  }
};
/// The bytes as a tensor that owns them.
inline tenon::tensor<std::uint8_t> bytes_of(std::vector<std::uint8_t> v) {
  const auto view = tenon::view<std::uint8_t>(v, {v.size()});
  return tenon::borrow(view, std::move(v));
}
