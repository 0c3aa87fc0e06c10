#define _GNU_SOURCE
#include "CFaultGuard.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum region_state { REGION_FREE, REGION_CLAIMED, REGION_ACTIVE };

// Invariant: start and bytes change only while the state is not ACTIVE and no handler uses the region. A handler
// increments `users` before it reads the state, and the owner changes the state before it reads `users`, so one of them
// sees the other.
struct region {
  atomic_int state;
  atomic_int users;
  atomic_bool was_hit;
  uintptr_t start;
  size_t bytes;
};

struct frame {
  sigjmp_buf environment;
  struct frame *outer;
};

static struct region regions[HF_GUARD_REGIONS];
// initial-exec, so that access from the handler never allocates.
static _Thread_local struct frame *innermost __attribute__((tls_model("initial-exec")));
static uintptr_t page_bytes;
static struct sigaction previous_bus;
static struct sigaction previous_segment;

// Replaces the memory from the page of `address` to the end of its region by zeros.
static bool replace(uintptr_t address) {
  for (size_t index = 0; index < HF_GUARD_REGIONS; index++) {
    struct region *region = &regions[index];
    if (atomic_load(&region->state) != REGION_ACTIVE) continue;
    atomic_fetch_add(&region->users, 1);
    bool replaced = false;
    if (atomic_load(&region->state) == REGION_ACTIVE && address >= region->start &&
        address - region->start < region->bytes) {
      uintptr_t from = address & ~(page_bytes - 1);
      size_t bytes = region->start + region->bytes - from;
      // Set the flag first, so that a thread that reads the zeros finds it set.
      atomic_store(&region->was_hit, true);
      // mmap is not in POSIX's list of async-signal-safe functions, but a plain system call on Linux.
      replaced = mmap((void *)from, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                      0) != MAP_FAILED;
    }
    atomic_fetch_sub(&region->users, 1);
    if (replaced) return true;
  }
  return false;
}

// Applies the previous disposition. A fault recurs when the instruction is repeated, and then ends the process; a
// signal that was sent must be raised again.
static void pass_on(int number, siginfo_t *information, void *context) {
  const struct sigaction *previous = number == SIGBUS ? &previous_bus : &previous_segment;
  bool was_sent = information->si_code <= 0;
  bool has_function = (previous->sa_flags & SA_SIGINFO) != 0 ||
                      (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN);
  if (has_function) {
    sigset_t mask = previous->sa_mask, before;
    if ((previous->sa_flags & SA_NODEFER) == 0) sigaddset(&mask, number);
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    if ((previous->sa_flags & SA_SIGINFO) != 0)
      previous->sa_sigaction(number, information, context);
    else
      previous->sa_handler(number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    // Swift's runtime prints a backtrace, sets the default action and relies on the repeated instruction.
    struct sigaction now;
    if (was_sent && sigaction(number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
        now.sa_handler == SIG_DFL)
      raise(number);
    return;
  }
  if (was_sent && previous->sa_handler == SIG_IGN) return;
  struct sigaction standard;
  memset(&standard, 0, sizeof standard);
  standard.sa_handler = SIG_DFL;
  sigaction(number, &standard, NULL);
  if (was_sent) raise(number);
}

static void handle(int number, siginfo_t *information, void *context) {
  int error = errno;
  // Above 0: from the kernel, for a memory access.
  if (information->si_code > 0) {
    if (number == SIGBUS && replace((uintptr_t)information->si_addr)) {
      errno = error;
      return;
    }
    if (innermost != NULL) siglongjmp(innermost->environment, number);
  }
  pass_on(number, information, context);
  errno = error;
}

static int install_error;

static void install_once(void) {
  page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  // NODEFER: the handler does not change the signal mask, so that a guarded call need not save and restore it with
  // system calls.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  // Read the previous actions before the handler can run.
  if (sigaction(SIGBUS, NULL, &previous_bus) != 0 || sigaction(SIGSEGV, NULL, &previous_segment) != 0 ||
      sigaction(SIGBUS, &action, NULL) != 0 || sigaction(SIGSEGV, &action, NULL) != 0)
    install_error = errno;
}

int hf_guard_install(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int error = pthread_once(&once, install_once);
  return error != 0 ? error : install_error;
}

int hf_guard_region_add(void *base, size_t bytes) {
  int error = hf_guard_install();
  if (error != 0) return -error;
  if ((uintptr_t)base % page_bytes != 0 || bytes == 0 || (uintptr_t)base + bytes < (uintptr_t)base) return -EINVAL;
  for (int index = 0; index < HF_GUARD_REGIONS; index++) {
    struct region *region = &regions[index];
    int expected = REGION_FREE;
    if (!atomic_compare_exchange_strong(&region->state, &expected, REGION_CLAIMED)) continue;
    region->start = (uintptr_t)base;
    region->bytes = bytes;
    atomic_store(&region->was_hit, false);
    atomic_store(&region->state, REGION_ACTIVE);
    return index;
  }
  return -ENOSPC;
}

bool hf_guard_region_was_hit(int region) { return atomic_load(&regions[region].was_hit); }

void hf_guard_region_remove(int number) {
  struct region *region = &regions[number];
  atomic_store(&region->state, REGION_CLAIMED);
  while (atomic_load(&region->users) != 0) sched_yield();
  atomic_store(&region->state, REGION_FREE);
}

int hf_guard_call(void (*function)(void *), void *context) {
  int error = hf_guard_install();
  if (error != 0) abort();
  struct frame frame;
  frame.outer = innermost;
  int number = sigsetjmp(frame.environment, 0);
  if (number == 0) {
    innermost = &frame;
    atomic_signal_fence(memory_order_seq_cst);
    function(context);
    atomic_signal_fence(memory_order_seq_cst);
  }
  innermost = frame.outer;
  return number;
}

void hf_guard_leave(int number) {
  if (innermost == NULL) abort();
  siglongjmp(innermost->environment, number);
}

struct copy {
  void *to;
  const void *from;
  size_t bytes;
};

static void copy(void *context) {
  const struct copy *copy = context;
  memcpy(copy->to, copy->from, copy->bytes);
}

int hf_guard_copy(void *to, const void *from, size_t bytes) {
  struct copy arguments = {to, from, bytes};
  return hf_guard_call(copy, &arguments);
}
