// Ends by an unguarded fault, for tests of the exit signal: FaultyMemory null|bus|sent|chained|leave
#define _GNU_SOURCE
#include "CFaultGuard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void chained(int number, siginfo_t *information, void *context) {
  (void)information;
  (void)context;
  if (write(1, "chained\n", 8) != 8) _exit(3);
  signal(number, SIG_DFL);
}

static void nothing(void *context) { (void)context; }

int main(int count, char **arguments) {
  if (count < 2) return 2;
  if (strcmp(arguments[1], "chained") == 0) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = chained;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
  }
  if (hf_guard_install() != 0 || hf_guard_call(nothing, NULL) != 0) return 2;
  if (strcmp(arguments[1], "bus") == 0) {
    int file = memfd_create("empty", MFD_CLOEXEC);
    volatile char *bytes = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    return bytes[0];
  }
  if (strcmp(arguments[1], "sent") == 0) {
    kill(getpid(), SIGSEGV);
    return 0;
  }
  if (strcmp(arguments[1], "leave") == 0) hf_guard_leave(SIGABRT);
  return *(volatile int *)NULL;
}
