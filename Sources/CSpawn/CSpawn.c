#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

struct report {
  int error;
  int stage;
};

static void fail(int pipe, int stage, int error) {
  struct report report = {error, stage};
  // If this fails, the parent sees only the exit status.
  ssize_t ignored = write(pipe, &report, sizeof report);
  (void)ignored;
  _exit(127);
}

static void close_between(unsigned first, unsigned last) {
  if (first > last) return;
  if (syscall(SYS_close_range, first, last, 0u) == 0) return;
  long limit = sysconf(_SC_OPEN_MAX);
  for (unsigned number = first; limit > 0 && number < (unsigned long)limit && number <= last; number++)
    close((int)number);
}

// Closes every descriptor above 2 except these; negative ones are ignored.
static void close_all_except(const int *descriptors, int count) {
  unsigned first = 3;
  for (;;) {
    unsigned next = ~0u;
    for (int index = 0; index < count; index++) {
      unsigned number = (unsigned)descriptors[index];
      if (descriptors[index] >= 0 && number >= first && number < next) next = number;
    }
    if (next == ~0u) return close_between(first, ~0u);
    if (next > first) close_between(first, next - 1);
    first = next + 1;
  }
}

// Between fork and exec: async-signal-safe calls only. The order matters.
static void run_child(const struct hf_spawn_request *request, int pipe, int gate, pid_t parent) {
  // 0. Close its copies of the parent's descriptors first, so that it holds none of the parent's locks if anything
  //    below blocks.
  const int kept[] = {pipe, gate, request->cgroup_procs, request->output, request->input, request->error};
  const int kept_count = sizeof kept / sizeof *kept;
  close_all_except(kept, kept_count);

  // 1. Reset dispositions while all signals are blocked: no handler of the parent may run in this process, and
  //    signals that the parent ignores would stay ignored across exec.
  struct sigaction action;
  memset(&action, 0, sizeof action);
  for (int number = 1; number < NSIG; number++) {
    action.sa_handler = request->ignored >> (number - 1) & 1 ? SIG_IGN : SIG_DFL;
    sigaction(number, &action, NULL);
  }

  // 2. A new session: Ctrl-C at the terminal reaches only the supervisor, and the whole process group can be
  //    killed at once.
  if (setsid() < 0) fail(pipe, HF_SPAWN_SESSION, errno);

  // 3. Die with the supervisor. If it has died already, the signal will never come, hence the check. It compares
  //    with the saved pid, not with 1, as the new parent may be any subreaper.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail(pipe, HF_SPAWN_PARENT_DEATH_SIGNAL, errno);
  if (getppid() != parent) _exit(127);

  // 4. Join the cgroup before it can have children.
  if (request->cgroup_procs >= 0 && write(request->cgroup_procs, "0", 1) < 0)
    fail(pipe, HF_SPAWN_CGROUP, errno);

  // 5. A supervisor that is protected from the OOM killer (OOMScoreAdjust= of its unit) must not protect its
  //    trainer too. Raising the score needs no privilege.
  int score = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  char sign = 0;
  if (score >= 0 && read(score, &sign, 1) == 1 && sign == '-') {
    // If this fails, the trainer is protected too; start it anyway.
    ssize_t ignored = pwrite(score, "0", 1, 0);
    (void)ignored;
  }
  if (score >= 0) close(score);

  // 6. A helper whose output is read must not read the supervisor's standard input.
  if (request->output >= 0) {
    int null = request->input < 0 ? open("/dev/null", O_RDONLY) : -1;
    if (dup2(request->input < 0 ? null : request->input, 0) < 0 || dup2(request->output, 1) < 0)
      fail(pipe, HF_SPAWN_DESCRIPTORS, errno);
    if (request->error >= 0 && dup2(request->error, 2) < 0) fail(pipe, HF_SPAWN_DESCRIPTORS, errno);
    if (null > 2) close(null);
  }

  // 7. Close the remaining ones at exec. That of the report pipe tells the parent that exec succeeded.
  for (int index = 0; index < kept_count; index++)
    if (kept[index] > 2) fcntl(kept[index], F_SETFD, FD_CLOEXEC);

  if (request->directory && chdir(request->directory) < 0) fail(pipe, HF_SPAWN_DIRECTORY, errno);

  // 8. Wait until the pid is recorded: after exec, the program may change its parent-death signal and environment.
  //    If the parent dies meanwhile, so does this process (3).
  uint64_t open_gate;
  ssize_t count = 0;
  while (gate >= 0 && (count = read(gate, &open_gate, sizeof open_gate)) < 0 && errno == EINTR) {}
  if (gate >= 0 && count != sizeof open_gate) fail(pipe, HF_SPAWN_REGISTER, errno);

  // 9. Unblock signals last.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  execve(request->path, request->arguments, request->environment);
  fail(pipe, HF_SPAWN_EXEC, errno);
}

pid_t hf_spawn(const struct hf_spawn_request *request, int *pidfd, int *stage) {
  int ends[2];
  *stage = HF_SPAWN_PIPE;
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  int gate = request->registered ? eventfd(0, EFD_CLOEXEC) : -1;
  if (request->registered && gate < 0) {
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return -error;
  }

  // The child must not handle a signal before its dispositions are reset.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);

  pid_t parent = getpid();
  int descriptor = -1;
  // Not clone3: seccomp filters cannot inspect its structure, so systemd's RestrictNamespaces= and container
  // runtimes return ENOSYS for it. clone(2) stores the pidfd at parent_tid.
  long child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &descriptor, NULL, NULL);
  if (child == 0) run_child(request, ends[1], gate, parent);
  int error = errno;

  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(ends[1]);
  int refusal = 0;
  if (child >= 0 && gate >= 0) {
    refusal = request->registered((pid_t)child, request->context);
    uint64_t one = 1;
    if (refusal == 0 && write(gate, &one, sizeof one) != sizeof one) refusal = errno;
    if (refusal != 0) hf_pidfd_send_signal(descriptor, SIGKILL);
  }
  if (gate >= 0) close(gate);
  if (child < 0) {
    close(ends[0]);
    *stage = HF_SPAWN_FORK;
    return -error;
  }

  // End of file: exec closed the other end.
  struct report report = {0, HF_SPAWN_NONE};
  ssize_t count;
  do count = read(ends[0], &report, sizeof report);
  while (count < 0 && errno == EINTR);
  close(ends[0]);
  if (refusal != 0) report = (struct report){refusal, HF_SPAWN_REGISTER};
  if (refusal != 0 || count == (ssize_t)sizeof report) {
    int status;
    while (waitpid((pid_t)child, &status, 0) < 0 && errno == EINTR) {}
    close(descriptor);
    *stage = report.stage;
    return -report.error;
  }
  *stage = HF_SPAWN_NONE;
  *pidfd = descriptor;
  return (pid_t)child;
}

int hf_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int hf_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int hf_set_child_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int hf_timer_set(int timer, int64_t seconds, int64_t nanoseconds) {
  struct itimerspec value = {.it_value = {seconds, nanoseconds}};
  return timerfd_settime(timer, TFD_TIMER_ABSTIME, &value, NULL);
}

int64_t hf_modification_nanoseconds(const char *path) {
  struct stat status;
  if (lstat(path, &status) != 0) return -1;
  return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

int64_t hf_access_nanoseconds(int descriptor) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return -1;
  return (int64_t)status.st_atim.tv_sec * 1000000000 + status.st_atim.tv_nsec;
}

int hf_duplicate(int from, int to) { return dup3(from, to, O_CLOEXEC); }

int hf_set_accessed(const char *path) {
  struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
  return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

int hf_semaphore_wait(sem_t *semaphore, uint64_t deadline) {
  struct timespec end = {.tv_sec = deadline / 1000000000u, .tv_nsec = deadline % 1000000000u};
  while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &end) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int hf_terminal_size(int descriptor, uint16_t *columns, uint16_t *rows) {
  struct winsize size;
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return -1;
  *columns = size.ws_col;
  *rows = size.ws_row;
  return 0;
}

const int hf_open_direct = O_DIRECT;

int hf_exchange(const char *one, const char *other) {
  return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

int hf_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
