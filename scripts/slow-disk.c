// Preloaded by scripts/test-systemd: simulates a disk on which a large write takes two seconds. A checkpoint is
// written 8 MiB at a time; the store and the output are not slowed down.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t write(int descriptor, const void *bytes, size_t count) {
  ssize_t (*real)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  struct stat status;
  if (count >= 1 << 20 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) sleep(2);
  return real(descriptor, bytes, count);
}
