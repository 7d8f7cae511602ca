// SPDX-License-Identifier: Apache-2.0
// What a training peer exports: plain C, so that it is built apart and loaded only where its framework is installed.
// One step = forward, mean cross entropy, backward, plain SGD, always on the batch given at creation.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

enum peer_kind { peer_conv, peer_relu, peer_pool, peer_flatten, peer_linear };

/// conv: in, out channels, square kernel, padding; pool: kernel = stride; linear: in, out.
struct peer_layer {
  enum peer_kind kind;
  int in, out, kernel, padding;
};

/// "libtorch 2.13.0"
const char* peer_name(void);
/// Ways to run; number 0 is the framework as installed, the others are its documented faster settings.
int peer_settings(void);
const char* peer_setting(int setting);
void peer_threads(int threads);
/// parameters: weight and bias of each layer in turn, weights [out, ...]; copied. x and labels are borrowed.
/// NULL where the setting does not apply, or on an error (told on stderr).
void* peer_create(int setting, const struct peer_layer* layers, int count, int batch, const float* parameters, const float* x,
                  const int* labels);
/// n steps; the loss of the last one (before its update).
float peer_steps(void* model, float lr, long n);
void peer_destroy(void* model);

#ifdef __cplusplus
}
#endif
