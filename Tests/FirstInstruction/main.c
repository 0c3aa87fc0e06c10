// Notes the time of its first instruction, as nearly as a program can, and becomes the program named
// after that: FirstInstruction LOG COMMAND [ARG ...]
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (count < 3) return 64;
  int log = open(arguments[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dprintf(log, "%d %lld\n", (int)getpid(), (long long)now.tv_sec * 1000000000 + now.tv_nsec);
  execv(arguments[2], arguments + 2);
  return 127;
}
