// Starts the trainer, and wraps system calls that Glibc's Swift module does not export.
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

// The step at which a spawn failed.
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
  const char *path;         // of the executable; PATH is not searched
  char *const *arguments;   // NULL-terminated
  char *const *environment; // NULL-terminated
  const char *directory;    // or NULL
  int cgroup_procs;         // open descriptor of a cgroup.procs to join, or -1
  int output;               // becomes standard output; -1: standard input and output are inherited
  int input;                // becomes standard input if there is an output; -1: /dev/null
  int error;                // becomes standard error if there is an output; -1: it is inherited
  uint64_t ignored;         // signals that are ignored at its start: bit 0 is signal 1
  // Called in the parent before exec, with the child's pid, unless NULL. Returns 0, or an errno to cancel the
  // start. If the parent dies during the call, the program is not executed.
  int (*registered)(pid_t pid, void *context);
  void *context;
};

// Starts the program in a new session, with default dispositions (except `ignored`), an empty signal mask, no
// inherited descriptor above 2, and SIGKILL as its parent-death signal. That is sent when the calling thread ends, so
// call it from a thread that lives as long as the process. Returns after a successful exec, with the pid and, in
// *pidfd, its pidfd (close-on-exec); or -errno and the failed step in *stage.
pid_t hf_spawn(const struct hf_spawn_request *request, int *pidfd, int *stage);

int hf_pidfd_open(pid_t pid);
int hf_pidfd_send_signal(int pidfd, int signal);
int hf_set_child_subreaper(void);

// The pid from waitid(2); 0: no child. (A macro of a union, which Swift does not import.)
static inline pid_t hf_siginfo_pid(const siginfo_t *information) { return information->si_pid; }

// Modification time in nanoseconds since 1970, without following a link; -1 and errno on error.
// (By path: a header that mentions struct stat would hide that of Glibc's module from all importers.)
int64_t hf_modification_nanoseconds(const char *path);

// Access time of an open file in nanoseconds since 1970; -1 and errno on error.
int64_t hf_access_nanoseconds(int descriptor);

// dup3 with O_CLOEXEC: `to` refers to the file of `from`. Returns -1 and errno on error.
int hf_duplicate(int from, int to);

// Sets the access time to now, without following a link. Returns 0 or an errno: EPERM for users other than its
// owner and root.
int hf_set_accessed(const char *path);

// pipe2 with O_CLOEXEC; ends[0] is the read end.
int hf_pipe(int ends[2]);

// renameat2 with RENAME_EXCHANGE.
int hf_exchange(const char *one, const char *other);

// O_DIRECT, which requires _GNU_SOURCE.
extern const int hf_open_direct;

static inline uint64_t hf_clock_nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Waits until the semaphore is posted or CLOCK_MONOTONIC reaches `deadline` nanoseconds: sem_clockwait(3), which
// requires _GNU_SOURCE. Returns 0 or an errno.
int hf_semaphore_wait(sem_t *semaphore, uint64_t deadline);

// Columns and rows of a terminal; -1 if the descriptor is not one. (Swift cannot call ioctl, which is variadic.)
int hf_terminal_size(int descriptor, uint16_t *columns, uint16_t *rows);

// timerfd_settime with an absolute time since boot; 0 and 0 disarm.
int hf_timer_set(int timer, int64_t seconds, int64_t nanoseconds);

#endif
