// SPDX-License-Identifier: Apache-2.0
// The training loop, for those who do not write their own: epochs over batches, a schedule, progress, check-points, Ctrl-C. What
// it adds to a run needs no heap call a step; a run that stopped and went on gives the bits of one that did not.
#pragma once
#include <bit>
#include <string>
#include <utility>
#include "tenon/core/maths.hpp"
#include "tenon/train/batches.hpp"
#include "tenon/train/checkpoint.hpp"
#include "tenon/train/interrupt.hpp"
#include "tenon/train/progress.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
namespace detail {
struct nobody {};  // watches no training
}  // namespace detail

/// What a call of a trainer did.
struct training_report {
  std::uint64_t steps = 0, samples = 0;  // of this call
  double seconds = 0;                    // of this call, in training steps
  double loss = 0;                       // the mean over the last epoch, or over what was done of it
  bool interrupted = false;              // by Ctrl-C
  double samples_per_second() const { return seconds > 0 ? static_cast<double>(samples) / seconds : 0; }
};

///   tenon::trainer train{.epochs = 5, .checkpoint = "lenet.ckpt"};
///   auto report = train(net, data, tenon::cross_entropy{}, tenon::adamw{}, tenon::one_cycle{.steps = 5 * data.count()});
struct trainer {
  std::uint64_t epochs = 1;   // in all: a resumed run does what is left of them
  std::string checkpoint{};   // written after each epoch and at Ctrl-C; "": none
  bool resume = false;        // go on from the check-point
  FILE* progress = stdout;    // null: silent

  /// Trains `net` over `data` until `epochs` are done. `rule.lr` is rate(step), step counted from 0 over all epochs. A first
  /// Ctrl-C ends it after the current step, a second one ends the process. Errors: not_finite (a loss; names the first parameter
  /// or layer that is not finite; the parameters are those before the step), those of the loss, the model and the check-point,
  /// name and value (the check-point is of another rule, or of other data, batch or seed). `watch` may have step(epoch_state),
  /// called after each update, and epoch(epoch_state), called after each whole epoch and its check-point: time spent in the latter
  /// counts in no report.
  template <class Model, class Batches, class Loss, class Rule, class Rate, class Watch = detail::nobody>
  training_report operator()(Model& net, Batches& data, const Loss& loss, Rule rule, const Rate& rate,
                             Watch&& watch = Watch()) const {
    training_report done;
    const std::uint64_t per_epoch = static_cast<std::uint64_t>(data.count());
    double total = 0;  // Σ loss · rows of this epoch
    std::uint64_t rows = 0;
    if (resume) {
      const checkpoint_note note =
          load_checkpoint(checkpoint, net, [&](const checkpoint_note& n) { expect_same(n, data, Rule::name); });
      data.seek({note.words[at_epoch], note.words[at_batch]});
      total = std::bit_cast<double>(note.words[at_total]);
      rows = note.words[at_rows];
    }
    const interrupt_watch interrupts;
    tenon::progress show(progress);
    epoch_state now{.epochs = epochs, .batches = per_epoch};
    typename Batches::item item;
    while (data.position().epoch < epochs && !done.interrupted) {
      now.epoch = data.position().epoch;
      now.seconds = 0;
      now.samples = 0;
      double start = detail::seconds_now();
      while (!(done.interrupted = interrupts.seen()) && data.next(item)) {
        const std::uint64_t n = static_cast<std::uint64_t>(item.x.shape()[0]),
                            step = now.epoch * per_epoch + data.position().batch - 1;
        {
          auto y = net.forward(item.x);
          auto [l, dy] = loss(y, item.labels);
          if (!detail::maths::is_finite(static_cast<double>(l))) [[unlikely]]
            not_finite(net.first_not_finite(item.x));
          net.backward(dy);
          now.batch_loss = static_cast<double>(l);
          total += now.batch_loss * static_cast<double>(n);
        }
        rule.lr = rate(static_cast<extent>(step));
        net.update(rule);
        rows += n;
        ++done.steps;
        done.samples += n;
        now.samples += n;
        now.seconds = detail::seconds_now() - start;
        now.batch = data.position().batch;
        now.loss = total / static_cast<double>(rows);
        show.step(now);
        if constexpr (requires { watch.step(std::as_const(now)); }) watch.step(std::as_const(now));
      }
      done.seconds += now.seconds;
      done.loss = rows ? total / static_cast<double>(rows) : done.loss;
      if (!done.interrupted) {
        show.epoch(now);
        total = 0;
        rows = 0;
      }
      if (!checkpoint.empty()) {
        checkpoint_note note = describe(data, Rule::name);
        note.words[at_epoch] = data.position().epoch;
        note.words[at_batch] = data.position().batch;
        note.words[at_total] = std::bit_cast<std::uint64_t>(total);
        note.words[at_rows] = rows;
        save_checkpoint(checkpoint, net, note);
      }
      if constexpr (requires { watch.epoch(std::as_const(now)); })
        if (!done.interrupted) watch.epoch(std::as_const(now));
    }
    return done;
  }
  /// The same at the rule's own learning rate.
  template <class Model, class Batches, class Loss, class Rule>
  training_report operator()(Model& net, Batches& data, const Loss& loss, const Rule& rule) const {
    return (*this)(net, data, loss, rule, [lr = rule.lr](extent) { return lr; });
  }

 private:
  enum word : int {
    at_epoch,
    at_batch,
    at_total,
    at_rows,
    at_samples,
    at_batch_size,
    at_seed,
    at_shuffle
  };  // in checkpoint_note

  template <class Batches>
  static checkpoint_note describe(const Batches& data, const char* rule) {
    checkpoint_note n;
    detail::copy_text(n.rule, sizeof n.rule, rule);
    n.words[at_samples] = static_cast<std::uint64_t>(data.samples());
    n.words[at_batch_size] = static_cast<std::uint64_t>(extent{data.options().batch});
    n.words[at_seed] = data.options().seed;
    n.words[at_shuffle] = data.options().shuffle ? 1 : 0;
    return n;
  }
  template <class Batches>
  static void expect_same(const checkpoint_note& note, const Batches& data, const char* rule) {
    expect_same_words(note, describe(data, rule), static_cast<std::uint64_t>(data.count()));
  }
  [[gnu::noinline]] static void expect_same_words(const checkpoint_note& got, const checkpoint_note& want,
                                                  std::uint64_t per_epoch) {
    constexpr const char* op = "resume";
    if (std::string_view(got.rule) != want.rule)
      detail::raise(
          errc::name, op,
          {.argument = detail::concat("rule ", got.rule), .remedy = "The check-point was made with another optimizer."});
    constexpr const char* names[] = {"samples", "batch size", "seed of the batches", "shuffling"};
    for (int i = 0; i < 4; ++i)
      if (got.words[at_samples + i] != want.words[at_samples + i])
        detail::raise(errc::value, op,
                      {.argument = names[i],
                       .got = static_cast<std::int64_t>(want.words[at_samples + i]),
                       .expected = static_cast<std::int64_t>(got.words[at_samples + i]),
                       .remedy = "The check-point was made with that."});
    if (got.words[at_batch] > per_epoch)
      detail::raise(errc::value, op,
                    {.argument = "batch",
                     .got = static_cast<std::int64_t>(got.words[at_batch]),
                     .expected = static_cast<std::int64_t>(per_epoch),
                     .relation = "at most "});
  }
  [[noreturn, gnu::cold]] static void not_finite(const std::string& where) {
    detail::raise(errc::not_finite, "train",
                  {.argument = where.empty() ? "loss" : where,
                   .remedy = "The loss is not a number: try a smaller rate. The parameters are those before this step."});
  }
};

/// The part of the samples whose largest output is that of their label; a NaN is never the largest. Goes over all of `data` once,
/// and leaves its position where it was. Errors: those of the model.
template <class Model, class Batches>
double evaluate(const Model& net, Batches& data) {
  const batch_position before = data.position();
  data.seek({});
  std::uint64_t right = 0;
  for (const auto& [x, labels] : data) {
    const auto y = net(x);
    const array_ref a = y.describe();
    const detail::numbers values(a);
    const extent classes = a.shape[-1];
    for (extent i = 0; i < labels.numel(); ++i) {
      extent best = -1;
      double top = -detail::maths::infinity;
      for (extent j = 0; j < classes; ++j)
        if (const double v = values.real(i * classes + j); v > top) {
          top = v;
          best = j;
        }
      right += best == labels[i];
    }
  }
  data.seek(before);
  return static_cast<double>(right) / static_cast<double>(data.samples());
}
#endif
}  // namespace tenon
