// SPDX-License-Identifier: Apache-2.0
// Whole files: read into memory under a limit, or written so that a reader sees the old file or the new one, never half of one.
// POSIX calls only; the memory read into is a tensor of bytes, so that what is parsed from it can share it.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include "tenon/tensor/tensor.hpp"
namespace tenon::io {
struct file_options {
  std::int64_t bytes = std::int64_t{1} << 32;  // a longer file is an error
  const char* remedy = "";                     // said where the file cannot be opened: a string that stays, such as a literal
};

namespace detail {
using tenon::detail::fail;
/// A file's name as an error gives it: of a long one the end, which says more than its beginning.
struct file_name {
  char text[96];
  explicit file_name(const char* path) noexcept {
    std::string_view name = path ? path : "";
    std::size_t cut = name.size() < sizeof text ? 0 : name.size() - (sizeof text - 4);
    while (cut > 0 && cut < name.size() && (static_cast<unsigned char>(name[cut]) & 0xc0u) == 0x80u)
      ++cut;  // not half a character
    std::snprintf(text, sizeof text, "%s%s", cut ? "\xE2\x80\xA6" : "", name.data() + cut);
  }
};
class descriptor {
  int fd_;

 public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { close(); }
  int get() const noexcept { return fd_; }
  bool close() noexcept {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 || ::close(fd) == 0;
  }
};
inline errc fail_file(failure& why, const char* op, const char* path, int number, const char* remedy = "") noexcept {
  return fail(why, errc::file, op, {.argument = file_name(path).text, .got = number, .remedy = remedy});
}
inline bool write_all(int fd, const std::byte* from, std::size_t left) noexcept {
  while (left > 0) {
    const ssize_t n = ::write(fd, from, left < (std::size_t{1} << 30) ? left : std::size_t{1} << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    from += n;
    left -= static_cast<std::size_t>(n);
  }
  return true;
}
}  // namespace detail

/// The bytes of a regular file. Errors: file (got is errno), limit, truncated (it shrank meanwhile), no_memory.
[[nodiscard]] inline errc try_read_file(const char* path, tensor<std::uint8_t>& to, failure& why,
                                        const file_options& o = {}) noexcept {
  constexpr const char* op = "read_file";
  const detail::descriptor file(path ? ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                                     : -1);  // non-blocking: a pipe is refused, not awaited
  if (file.get() < 0) return detail::fail_file(why, op, path, path ? errno : EINVAL, o.remedy);
  struct stat is{};
  if (::fstat(file.get(), &is) != 0) return detail::fail_file(why, op, path, errno);
  if (!S_ISREG(is.st_mode))
    return detail::fail_file(why, op, path, S_ISDIR(is.st_mode) ? EISDIR : EINVAL, "It is no regular file.");
  const std::int64_t size = is.st_size;
  if (size > o.bytes)
    return detail::fail(why, errc::limit, op,
                        {.argument = detail::file_name(path).text, .got = size, .expected = o.bytes, .relation = "at most "});
  storage memory;
  if (const errc c = storage::try_allocate(static_cast<std::size_t>(size), memory, why); c != errc::ok) return c;
  std::int64_t have = 0;
  while (have < size) {
    const std::int64_t most = std::int64_t{1} << 30;
    const ssize_t n = ::read(file.get(), memory.data() + have, static_cast<std::size_t>(size - have < most ? size - have : most));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return detail::fail_file(why, op, path, errno);
    if (n == 0)
      return detail::fail(why, errc::truncated, op, {.argument = detail::file_name(path).text, .got = have, .expected = size});
    have += n;
  }
  auto* p = reinterpret_cast<std::uint8_t*>(memory.data());
  to = tensor<std::uint8_t>(std::move(memory), view<std::uint8_t>(p, {size}));
  return errc::ok;
}

/// Writes `path` as a whole: a file beside it is written, flushed to the disk and renamed. On an error `path` is as it was.
/// Errors: file (got is errno).
[[nodiscard]] inline errc try_write_file(const char* path, const void* data, std::size_t bytes, failure& why) noexcept {
  constexpr const char* op = "write_file";
  static unsigned counter = 0;
  char beside[4096];
  const int length = path ? std::snprintf(beside, sizeof beside, "%s.%ld-%u.tmp", path, static_cast<long>(::getpid()),
                                          __atomic_fetch_add(&counter, 1u, __ATOMIC_RELAXED))
                          : -1;
  if (length < 0 || length >= static_cast<int>(sizeof beside))
    return detail::fail_file(why, op, path, path ? ENAMETOOLONG : EINVAL);
  detail::descriptor file(::open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) return detail::fail_file(why, op, path, errno);
  if (!detail::write_all(file.get(), static_cast<const std::byte*>(data), bytes) || ::fsync(file.get()) != 0 || !file.close() ||
      std::rename(beside, path) != 0) {
    const int number = errno;
    ::unlink(beside);
    return detail::fail_file(why, op, path, number);
  }
  // The new name is on the disk only once its folder is; not every file system can say so, and the data are safe either way.
  std::string_view folder(path);
  const std::size_t slash = folder.rfind('/');
  std::snprintf(beside, sizeof beside, "%.*s", slash == folder.npos ? 1 : static_cast<int>(slash + 1),
                slash == folder.npos ? "." : path);
  if (const detail::descriptor d(::open(beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC)); d.get() >= 0)
    static_cast<void>(::fsync(d.get()));
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// As try_read_file, throwing tenon::error.
[[nodiscard]] inline tensor<std::uint8_t> read_file(const char* path, const file_options& o = {}) {
  tensor<std::uint8_t> t;
  if (failure f; try_read_file(path, t, f, o) != errc::ok) [[unlikely]]
    tenon::detail::raise(f);
  return t;
}
/// As try_write_file, throwing tenon::error.
inline void write_file(const char* path, const void* data, std::size_t bytes) {
  if (failure f; try_write_file(path, data, bytes, f) != errc::ok) [[unlikely]]
    tenon::detail::raise(f);
}
#endif
}  // namespace tenon::io
