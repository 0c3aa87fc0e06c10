// Survives faults in memory mapped from a file that another process can truncate or damage.
//
// Reading a mapped page beyond the end of its file raises SIGBUS, and damaged offsets lead to unmapped addresses:
// SIGSEGV. One handler per process handles both signals. It recovers from two kinds of expected faults and passes all
// others to the previous disposition: a bug in this program still ends the process by its signal, with a backtrace if
// Swift's runtime prints one.
//
// - A guarded region is a mapping that stays readable whatever happens to its file. After a fault, the part from the
//   faulting page to the end of the region is replaced by anonymous zero memory, and the thread continues. The owner
//   checks hf_guard_region_was_hit and discards what it read.
// - A guarded call runs a C function that may fault anywhere. A fault ends it by siglongjmp, and the call returns the
//   signal. Changes of the function may be incomplete: discard the data that it worked on. Only C frames may be
//   between the call and the fault, as Swift frames would not be cleaned up.
//
// All functions are thread-safe.
#ifndef HOLDFAST_FAULT_GUARD_H
#define HOLDFAST_FAULT_GUARD_H

#include <stdbool.h>
#include <stddef.h>

// Regions that can be registered at the same time.
#define HF_GUARD_REGIONS 256

// Installs the handler, once per process. The calls below do this too. Returns 0 or an errno. Call it before the
// process sets its own handlers for the two signals, and never in a child after fork.
int hf_guard_install(void);

// Guards [base, base + bytes); base must be page-aligned. Returns the region's number, or -errno: ENOSPC when all are
// in use.
int hf_guard_region_add(void *base, size_t bytes);

// Whether a part of the region was replaced by zeros. Check it after reading.
bool hf_guard_region_was_hit(int region);

// Must be called before munmap. Waits for a handler that is using the region in another thread.
void hf_guard_region_remove(int region);

// Calls function(context). Returns 0, or the number of the signal that ended it. Calls may be nested.
int hf_guard_call(void (*function)(void *), void *context);

// A guarded memcpy. Returns 0, or the number of the signal that ended it.
int hf_guard_copy(void *to, const void *from, size_t bytes);

// Ends the current guarded call, which then returns `signal`. Aborts the process if there is none.
void hf_guard_leave(int signal) __attribute__((noreturn));

#endif
