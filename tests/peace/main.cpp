// SPDX-License-Identifier: Apache-2.0
// Hands tensors from every part of the header-peace program to every part: PARTS names them, each of which saw another dlpack.h.
#include <cstdio>

#include "part.hpp"

#define DECLARE(name) extern const part name;
PARTS(DECLARE)
#define ADDRESS(name) &name,
static const part* const parts[] = {PARTS(ADDRESS)};

namespace {

int alive = 0;
struct keeper {
  bool holds = true;
  keeper() { ++alive; }
  keeper(keeper&& o) noexcept : holds(o.holds) { o.holds = false; }
  ~keeper() { alive -= holds; }
};
float values[]{1, 2, 3, 4, 5, 6};

template <class T>
tenon::tensor<T> fresh() {
  return tenon::borrow(tenon::view<T>(values, {2, 3}), keeper{});
}
bool as_it_was(const matrix& m) {
  return m.data() == values && m.rank() == 2 && m.shape()[0] == 2 && m.shape()[1] == 3 && m.as<const float>()(1, 2) == 6 &&
         alive == 1;
}
int complain(const char* what, const part& from, const part& to) {
  std::printf("%s: from %s to %s\n", what, from.name, to.name);
  return 1;
}

}  // namespace

int main() {
  int wrong = 0, pairs = 0;
  for (const part* p : parts)
    if (!p->fields()) wrong += complain("fields", *p, *p);
  for (const part* a : parts)
    for (const part* b : parts) {
      ++pairs;
      if (!as_it_was(b->take_legacy(a->give_legacy(fresh<float>())))) wrong += complain("legacy", *a, *b);
      if (alive) wrong += complain("not let go", *a, *b);
      if (!a->give_versioned || !b->take_versioned) continue;
      const matrix m = b->take_versioned(a->give_versioned(fresh<const float>()));
      if (!as_it_was(m) || !m.read_only()) wrong += complain("versioned", *a, *b);
      if (b->take_versioned(a->give_versioned(fresh<float>())).read_only()) wrong += complain("writable", *a, *b);
      if (!as_it_was(a->take_versioned(b->give_versioned(m)))) wrong += complain("and back", *b, *a);
    }
  std::printf("%d pairs, %d wrong\n", pairs, wrong);
  return wrong != 0 || alive != 0;
}
