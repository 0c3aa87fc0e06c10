// Survives faults in memory that is mapped from a file which another process can truncate or damage.
//
// Reading a page of a mapping that the file no longer covers raises SIGBUS, and a structure that holds offsets
// leads, once damaged, to addresses that are not mapped: SIGSEGV. There is one handler per process for both.
// It knows two kinds of faults that are expected, and passes every other one to the disposition that was there
// before it: a fault that is a mistake of ours still ends the process by its signal, with a backtrace where
// Swift's runtime makes one.
//
// - A guarded region is a mapping that stays readable whatever happens to its file. The part from the page
//   that faulted to the end of the region is replaced by anonymous memory of zeros, and the thread goes on.
//   The owner asks hf_guard_region_was_hit, and gives up what the region held.
// - A guarded call runs a C function that may fault anywhere. It is then left by siglongjmp and the call
//   returns the signal. What the function changed stays half done: let go of what it worked on. Only frames
//   of C may lie between the call and the fault: a Swift frame would not be cleaned up.
//
// Everything here may be called from any thread.
#ifndef HOLDFAST_FAULT_GUARD_H
#define HOLDFAST_FAULT_GUARD_H

#include <stdbool.h>
#include <stddef.h>

// Regions that can be registered at the same time.
#define HF_GUARD_REGIONS 256

// Installs the handler; done once per process, by the two calls below as well. Returns 0 or an errno.
// Call it before the process sets its own handlers for the two signals, never after fork in the child.
int hf_guard_install(void);

// Guards [base, base + bytes); base is the start of a page. Returns the region's number, or -errno: ENOSPC
// when all are in use.
int hf_guard_region_add(void *base, size_t bytes);

// Whether a part of the region was replaced by zeros. Ask after what was read from it was read.
bool hf_guard_region_was_hit(int region);

// To be called before munmap: a handler that is at work on the region, in another thread, is waited for.
void hf_guard_region_remove(int region);

// Calls function(context). Returns 0, or the signal that ended it. Calls may be nested.
int hf_guard_call(void (*function)(void *), void *context);

// Copies as memcpy, between memory that does not overlap. Returns 0, or the signal that ended it.
int hf_guard_copy(void *to, const void *from, size_t bytes);

// Inside a guarded call: leaves it, which then returns `signal`. Outside of one: aborts the process.
void hf_guard_leave(int signal) __attribute__((noreturn));

#endif
