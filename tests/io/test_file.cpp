// SPDX-License-Identifier: Apache-2.0
// Whole files: read under a limit, written as a whole or not at all.
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "catch.hpp"
#include "scratch.hpp"

using tenon::errc;
using namespace tenon::io;

namespace {
tenon::failure read_failure(const std::string& path, const file_options& o = {}) {
  tenon::tensor<std::uint8_t> t;
  tenon::failure why;
  CHECK(try_read_file(path.c_str(), t, why, o) == why.code);
  CHECK_FALSE(t.owner());
  return why;
}
}  // namespace

TEST_CASE("what is written is read again, of any size") {
  const scratch here;
  for (const std::size_t n : {0u, 1u, 4096u, 100'000u}) {
    std::vector<unsigned char> v(n);
    for (std::size_t i = 0; i < n; ++i) v[i] = static_cast<unsigned char>(i * 7 >> 3);
    write_file((here / "a").c_str(), v.data(), n);
    const auto t = read_file((here / "a").c_str());
    CHECK(t.numel() == static_cast<std::int64_t>(n));
    CHECK((n == 0 || std::memcmp(t.data(), v.data(), n) == 0));
  }
  CHECK(here.names() == std::vector<std::string>{"a"});  // nothing is left beside it
}

TEST_CASE("a missing file: its name, errno and the caller's remedy") {
  const auto why = read_failure("/nowhere/train.gz", {.remedy = "Install the Debian package dataset-fashion-mnist."});
  CHECK(why.code == errc::file);
  CHECK(why.got == ENOENT);
  CHECK(why.message() ==
        "[read_file] /nowhere/train.gz: file: No such file or directory. Install the Debian package dataset-fashion-mnist.");
  CHECK(read_failure("").code == errc::file);
  tenon::tensor<std::uint8_t> t;
  tenon::failure f;
  CHECK(try_read_file(nullptr, t, f) == errc::file);
}

TEST_CASE("of a long path the end is said") {
  const std::string path = "/nowhere/" + std::string(200, 'x') + "/train-images.gz";
  const std::string said = read_failure(path).argument;
  CHECK(said.size() == 95);
  CHECK(said.substr(0, 3) == "…");
  CHECK(said.substr(said.size() - 18) == "xx/train-images.gz");
  const std::string wide = "/nowhere/" + std::string(30, 'x') + [] {
    std::string s;
    for (int i = 0; i < 60; ++i) s += "é";
    return s;
  }();
  const std::string cut = read_failure(wide).argument;
  CHECK(cut.substr(0, 5) == "…é");
}

TEST_CASE("what is no regular file is refused at once: folders, pipes, devices") {
  const scratch here;
  CHECK(read_failure(here.path).got == EISDIR);
  REQUIRE(::mkfifo((here / "pipe").c_str(), 0600) == 0);
  CHECK(read_failure(here / "pipe").code == errc::file);
  CHECK(read_failure("/dev/zero").code == errc::file);
}

TEST_CASE("a file above the limit is not read") {
  const scratch here;
  write_file((here / "a").c_str(), "0123456789", 10);
  const auto why = read_failure(here / "a", {.bytes = 9});
  CHECK(why.code == errc::limit);
  CHECK(why.got == 10);
  CHECK(why.expected == 9);
  CHECK(read_file((here / "a").c_str(), {.bytes = 10}).numel() == 10);
}

TEST_CASE("a write that fails changes nothing and leaves nothing") {
  const scratch here;
  tenon::failure why;
  CHECK(try_write_file((here / "no/such/folder").c_str(), "x", 1, why) == errc::file);
  CHECK(why.got == ENOENT);
  REQUIRE(::mkdir((here / "taken").c_str(), 0700) == 0);
  CHECK(try_write_file((here / "taken").c_str(), "x", 1, why) == errc::file);  // cannot be renamed over a folder
  CHECK(why.got == EISDIR);
  CHECK(here.names() == std::vector<std::string>{"taken"});
  CHECK(try_write_file(std::string(5000, 'x').c_str(), "x", 1, why) == errc::file);
  CHECK(why.got == ENAMETOOLONG);
  CHECK(try_write_file(nullptr, "x", 1, why) == errc::file);
  CHECK_THROWS_AS(write_file((here / "no/such").c_str(), "x", 1), tenon::error);
}

TEST_CASE("a write replaces the old file as a whole; who has it open still reads the old one") {
  const scratch here;
  write_file((here / "a").c_str(), "old", 3);
  std::FILE* open = std::fopen((here / "a").c_str(), "rb");
  REQUIRE(open);
  write_file((here / "a").c_str(), "newer", 5);
  char text[8] = {};
  CHECK(std::fread(text, 1, 7, open) == 3);
  CHECK(std::string(text) == "old");
  std::fclose(open);
  CHECK(read_file((here / "a").c_str()).numel() == 5);
}
