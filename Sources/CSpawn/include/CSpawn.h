// Starting the trainer, and the few system calls that Glibc's Swift module does not show.
#ifndef HOLDFAST_SPAWN_H
#define HOLDFAST_SPAWN_H

#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>

// Where a spawn failed.
enum hf_spawn_stage {
  HF_SPAWN_NONE = 0,
  HF_SPAWN_PIPE,
  HF_SPAWN_FORK,
  HF_SPAWN_SESSION,
  HF_SPAWN_PARENT_DEATH_SIGNAL,
  HF_SPAWN_CGROUP,
  HF_SPAWN_DESCRIPTORS,
  HF_SPAWN_DIRECTORY,
  HF_SPAWN_REGISTER,
  HF_SPAWN_EXEC,
};

struct hf_spawn_request {
  const char *path;         // of the executable; no search
  char *const *arguments;   // NULL-terminated
  char *const *environment; // NULL-terminated
  const char *directory;    // or NULL
  int cgroup_procs;         // open descriptor of a cgroup.procs to join, or -1
  int output;               // becomes standard output, with no standard input; or -1: both inherited
  uint64_t ignored;         // signals that it begins with ignored: bit 0 is signal 1
  // Called in the parent before the program may begin, with the child's pid; returns 0, or an errno, and
  // then the program never runs. Whoever dies in between leaves no program behind. Or NULL.
  int (*registered)(pid_t pid, void *context);
  void *context;
};

// Starts the program in a new session with default dispositions (but for those named), an empty signal
// mask, no inherited descriptor above 2, and SIGKILL at the death of the calling thread: call it from a thread that
// lives as long as the process. Returns when exec has succeeded, with the pid and, in *pidfd, its
// pidfd (close-on-exec); or -errno, with *stage naming what failed.
pid_t hf_spawn(const struct hf_spawn_request *request, int *pidfd, int *stage);

int hf_pidfd_open(pid_t pid);
int hf_pidfd_send_signal(int pidfd, int signal);
int hf_set_child_subreaper(void);

// The child that waitid(2) tells of; 0: of none. (A macro of a union, which Swift does not see.)
static inline pid_t hf_siginfo_pid(const siginfo_t *information) { return information->si_pid; }

// When the file was last written, in nanoseconds since 1970, without following a link; -1 and errno on an error.
// (By path: a header that names struct stat takes it away from Glibc's module for all that import this one.)
int64_t hf_modification_nanoseconds(const char *path);

// When an open file was last read, or was said to be, in nanoseconds since 1970; -1 and errno on an error.
int64_t hf_access_nanoseconds(int descriptor);

// Says that the file itself is read now. Returns 0 or an errno: EPERM for anybody but its owner and root.
int hf_set_accessed(const char *path);

// pipe2 with O_CLOEXEC: first the end to read from.
int hf_pipe(int ends[2]);

// renameat2 with RENAME_EXCHANGE.
int hf_exchange(const char *one, const char *other);

// O_DIRECT, which only _GNU_SOURCE shows.
extern const int hf_open_direct;

static inline uint64_t hf_clock_nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Waits until the semaphore is posted or CLOCK_MONOTONIC reaches `deadline` nanoseconds: sem_clockwait(3), which
// only _GNU_SOURCE shows. Returns 0 or an error number.
int hf_semaphore_wait(sem_t *semaphore, uint64_t deadline);

// Columns and rows of the terminal behind a descriptor; -1 where there is none. (ioctl is variadic, which
// Swift cannot call.)
int hf_terminal_size(int descriptor, uint16_t *columns, uint16_t *rows);

// timerfd_settime with an absolute time since boot; 0 and 0 disarm.
int hf_timer_set(int timer, int64_t seconds, int64_t nanoseconds);

#endif
