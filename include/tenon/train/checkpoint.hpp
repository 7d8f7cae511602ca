// SPDX-License-Identifier: Apache-2.0
// Check-points: all that the continuation of a training needs to give the same bits. Parameters, states, optimizer slots and
// counters of a model, and a note. Written to a new file that takes the old one's place when it is whole; gradients are not in
// it: save between an update and the next backward. The format is in checkpoint_format.hpp.
#pragma once
#include <string>
#include <vector>
#include "tenon/graph/session.hpp"
#include "tenon/io/crc32.hpp"
#include "tenon/io/file.hpp"
#include "tenon/train/checkpoint_format.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
namespace detail {
/// The arrays of a model in the file's order, as if it had `slots` slots a parameter; their data is null.
template <class Model>
std::vector<checkpoint_array> checkpoint_arrays(const Model& m, int slots) {
  std::vector<checkpoint_array> all;
  const auto parameters = m.parameters();
  for (const auto& p : parameters) all.push_back({0, p.name, p.value.describe()});
  for (const auto& s : m.states()) all.push_back({1, s.name, s.value.describe()});
  for (int k = 0; k < slots; ++k)
    for (const auto& p : parameters) {
      all.push_back({2, concat(p.name, ".", std::to_string(k)), p.value.describe()});
      all.back().array.data = nullptr;
    }
  return all;
}
/// Where the slots are, once there are any.
template <class Model>
void find_slots(const Model& m, std::vector<checkpoint_array>& all) {
  const auto slots = m.slots();
  for (std::size_t i = 0, first = all.size() - slots.size(); i < slots.size(); ++i)
    all[first + i].array = slots[i].value.describe();
}
}  // namespace detail

/// Writes everything to `path`. Errors: file (cannot be written; an earlier file is then as it was), no_memory.
template <class Model>
void save_checkpoint(const std::string& path, const Model& m, checkpoint_note note = {}) {
  auto all = detail::checkpoint_arrays(m, m.slot_count());
  detail::find_slots(m, all);
  if (!note.rule[0]) detail::copy_text(note.rule, sizeof note.rule, m.rule());
  const counters c = m.counters();
  detail::checkpoint_head h;
  h.slots = static_cast<std::uint32_t>(m.slot_count());
  h.bytes = detail::checkpoint_bytes(all);
  h.seed = c.seed;
  h.forwards = c.forwards;
  h.steps = c.steps;
  h.note = note;
  h.arrays = static_cast<std::uint32_t>(all.size());
  const storage image = storage::allocate(h.bytes);
  detail::byte_writer w{image.data()};
  detail::write_head(w, h);
  for (const auto& a : all) {
    detail::write_array_head(w, a);
    m.device().download(w.at, a.array.data, a.data_bytes());
    w.at += a.data_bytes();
  }
  w.number(io::crc32(image.data(), h.bytes - 4), 4);
  io::write_file(path.c_str(), image.data(), h.bytes);
}

/// Brings a model to where the file says, and gives the note. `accept(note)` may refuse by throwing. Everything is checked
/// before the first byte of the model changes. Errors: file, truncated, corrupt (magic number, check sum, bytes behind the end),
/// version, limit (far larger than this model's, or slots), name, dtype, rank, extent (the arrays are of another network),
/// no_memory.
template <class Model, class Accept>
checkpoint_note load_checkpoint(const std::string& path, Model& m, const Accept& accept) {
  constexpr const char* op = "load_checkpoint";
  using detail::raise;
  auto all = detail::checkpoint_arrays(m, max_slots);
  const auto limit =
      static_cast<std::int64_t>(detail::checkpoint_bytes(all)) + (1 << 24);  // of another network: room to say what differs
  const auto file = io::read_file(path.c_str(), {.bytes = limit, .remedy = "There is no check-point to go on from."});
  const std::int64_t size = file.numel(), least = detail::checkpoint_header + 4;
  const auto* bytes = reinterpret_cast<const std::byte*>(file.data());
  if (size < least) raise(errc::truncated, op, {.argument = path, .got = size, .expected = least, .relation = "at least "});
  const detail::checkpoint_head h = detail::read_head(bytes, path);
  if (size != static_cast<std::int64_t>(h.bytes))
    raise(size < static_cast<std::int64_t>(h.bytes) ? errc::truncated : errc::corrupt, op,
          {.argument = path, .got = size, .expected = static_cast<std::int64_t>(h.bytes)});
  const auto inside = static_cast<std::size_t>(size) - 4;
  detail::byte_reader r{bytes + inside};
  if (const std::uint64_t said = r.number(4), is = io::crc32(bytes, inside); said != is)
    raise(errc::corrupt, op,
          {.argument = path,
           .got = static_cast<std::int64_t>(is),
           .expected = static_cast<std::int64_t>(said),
           .relation = "the check sum "});
  if (h.slots > static_cast<std::uint32_t>(max_slots))
    raise(errc::limit, op, {.argument = "slots", .got = h.slots, .expected = max_slots, .relation = "at most "});
  all = detail::checkpoint_arrays(m, static_cast<int>(h.slots));
  r.at = bytes + detail::checkpoint_header;
  for (const auto& a : all) detail::expect_array(r, static_cast<std::size_t>(bytes + inside - r.at), a);
  if (h.arrays != all.size() || r.at != bytes + inside)
    raise(errc::extent, op,
          {.argument = "number of arrays",
           .got = h.arrays,
           .expected = static_cast<std::int64_t>(all.size()),
           .remedy = "The check-point is of another network."});
  accept(h.note);

  m.ensure_slots(static_cast<int>(h.slots), h.note.rule);
  detail::find_slots(m, all);
  r.at = bytes + detail::checkpoint_header;
  for (const auto& a : all) {
    r.at += a.head_bytes();
    m.device().upload(a.array.data, r.at, a.data_bytes());
    r.at += a.data_bytes();
  }
  m.restore_counters({h.seed, h.forwards, h.steps});
  m.clear_gradients();
  return h.note;
}
template <class Model>
checkpoint_note load_checkpoint(const std::string& path, Model& m) {
  return load_checkpoint(path, m, [](const checkpoint_note&) {});
}
#endif
}  // namespace tenon
