/* SPDX-License-Identifier: Apache-2.0
 * What a shared library exports to be tested: four plain C functions, looked up by name. It is loaded once, and each case runs in
 * a forked process. Structs are DLPack's: DLManagedTensorVersioned where `versioned` is not 0, else DLManagedTensor. */
#ifndef DLPACK_CONFORMANCE_TARGET_H
#define DLPACK_CONFORMANCE_TARGET_H
#ifdef __cplusplus
extern "C" {
#endif

/* Takes `managed`. 0: it is taken, `*object` stands for it until target_release. Anything else: it is refused, the deleter has not
 * been called and the struct is the caller's still; `said` (of `room` bytes) may be filled with a text. */
int target_import(int versioned, void* managed, void** object, char* said, unsigned long room);

/* Reads each element once: their sum; and whether they may be written: 1 read-only, 0 writable, -1 not known. Anything but 0: it
 * cannot be read. `sum` is null where only the other is asked: the elements must then not be touched. */
int target_read(void* object, double* sum, int* read_only);

/* Lets go of an object. The deleter runs now, or with the last export. */
void target_release(void* object);

/* Optional: shares an object again. 0: `*managed` is the caller's, who calls its deleter. Anything else: it is refused. */
int target_export(void* object, int versioned, void** managed, char* said, unsigned long room);

/* Optional: its name and version for the table. */
const char* target_name(void);

#ifdef __cplusplus
}
#endif
#endif
