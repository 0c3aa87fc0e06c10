#include "CGuardedLMDB.h"

#include "CFaultGuard.h"

#include <lmdb.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>

// Each function passes its arguments in a structure to a callback that runs under guard.
#define GUARDED(run, arguments) \
  do { \
    int number = hf_guard_call(run, arguments); \
    return number == 0 ? (arguments)->code : HF_LMDB_FAULT - number; \
  } while (0)

// Replaces LMDB's abort(3).
static void fail_assertion(MDB_env *environment, const char *message) {
  (void)environment;
  (void)message;
  hf_guard_leave(SIGABRT);
}

struct open {
  const char *path;
  unsigned flags, mode, databases;
  size_t map_bytes;
  MDB_env *environment;
  int code;
};

static void run_open(void *context) {
  struct open *a = context;
  a->code = mdb_env_create(&a->environment);
  if (a->code != MDB_SUCCESS) {
    a->environment = NULL;
    return;
  }
  a->code = mdb_env_set_assert(a->environment, fail_assertion);
  if (a->code == MDB_SUCCESS) a->code = mdb_env_set_maxdbs(a->environment, a->databases);
  if (a->code == MDB_SUCCESS) a->code = mdb_env_set_mapsize(a->environment, a->map_bytes);
  if (a->code == MDB_SUCCESS) a->code = mdb_env_open(a->environment, a->path, a->flags, (mdb_mode_t)a->mode);
}

int hf_lmdb_open(const char *path, unsigned flags, unsigned mode, unsigned databases, size_t map_bytes,
                 struct MDB_env **environment) {
  struct open a = {path, flags, mode, databases, map_bytes, NULL, MDB_SUCCESS};
  int number = hf_guard_call(run_open, &a);
  int code = number == 0 ? a.code : HF_LMDB_FAULT - number;
  if (code != MDB_SUCCESS && a.environment != NULL) {
    hf_lmdb_close(a.environment);
    a.environment = NULL;
  }
  *environment = a.environment;
  return code;
}


struct close {
  struct MDB_env *environment;
  int code;
};

static void run_close(void *context) {
  struct close *a = context;
  mdb_env_close(a->environment);
  a->code = MDB_SUCCESS;
}

int hf_lmdb_close(struct MDB_env *environment) {
  struct close a = {environment, MDB_SUCCESS};
  GUARDED(run_close, &a);
}

struct set_map_bytes {
  struct MDB_env *environment;
  size_t bytes;
  int code;
};

static void run_set_map_bytes(void *context) {
  struct set_map_bytes *a = context;
  a->code = mdb_env_set_mapsize(a->environment, a->bytes);
}

int hf_lmdb_set_map_bytes(struct MDB_env *environment, size_t bytes) {
  struct set_map_bytes a = {environment, bytes, MDB_SUCCESS};
  GUARDED(run_set_map_bytes, &a);
}

struct descriptor {
  struct MDB_env *environment;
  int *descriptor;
  int code;
};

static void run_descriptor(void *context) {
  struct descriptor *a = context;
  a->code = mdb_env_get_fd(a->environment, a->descriptor);
}

int hf_lmdb_descriptor(struct MDB_env *environment, int *descriptor) {
  struct descriptor a = {environment, descriptor, MDB_SUCCESS};
  GUARDED(run_descriptor, &a);
}

struct begin {
  struct MDB_env *environment;
  unsigned flags;
  struct MDB_txn **transaction;
  int code;
};

static void run_begin(void *context) {
  struct begin *a = context;
  a->code = mdb_txn_begin(a->environment, NULL, a->flags, a->transaction);
}

int hf_lmdb_begin(struct MDB_env *environment, unsigned flags, struct MDB_txn **transaction) {
  struct begin a = {environment, flags, transaction, MDB_SUCCESS};
  GUARDED(run_begin, &a);
}

struct commit {
  struct MDB_txn *transaction;
  int code;
};

static void run_commit(void *context) {
  struct commit *a = context;
  a->code = mdb_txn_commit(a->transaction);
}

int hf_lmdb_commit(struct MDB_txn *transaction) {
  struct commit a = {transaction, MDB_SUCCESS};
  GUARDED(run_commit, &a);
}

struct abort {
  struct MDB_txn *transaction;
  int code;
};

static void run_abort(void *context) {
  struct abort *a = context;
  mdb_txn_abort(a->transaction);
  a->code = MDB_SUCCESS;
}

int hf_lmdb_abort(struct MDB_txn *transaction) {
  struct abort a = {transaction, MDB_SUCCESS};
  GUARDED(run_abort, &a);
}

struct database {
  struct MDB_txn *transaction;
  const char *name;
  unsigned flags;
  unsigned *database;
  int code;
};

static void run_database(void *context) {
  struct database *a = context;
  a->code = mdb_dbi_open(a->transaction, a->name, a->flags, a->database);
}

int hf_lmdb_database(struct MDB_txn *transaction, const char *name, unsigned flags, unsigned *database) {
  struct database a = {transaction, name, flags, database, MDB_SUCCESS};
  GUARDED(run_database, &a);
}

struct entries {
  struct MDB_txn *transaction;
  unsigned database;
  size_t *entries;
  int code;
};

static void run_entries(void *context) {
  struct entries *a = context;
  MDB_stat statistics;
  a->code = mdb_stat(a->transaction, a->database, &statistics);
  if (a->code == MDB_SUCCESS) *a->entries = statistics.ms_entries;
}

int hf_lmdb_entries(struct MDB_txn *transaction, unsigned database, size_t *entries) {
  struct entries a = {transaction, database, entries, MDB_SUCCESS};
  GUARDED(run_entries, &a);
}

struct get {
  struct MDB_txn *transaction;
  unsigned database;
  const void *key;
  size_t key_bytes;
  void *buffer;
  size_t capacity;
  size_t *bytes;
  int code;
};

static void run_get(void *context) {
  struct get *a = context;
  MDB_val key = {a->key_bytes, (void *)a->key}, value;
  a->code = mdb_get(a->transaction, a->database, &key, &value);
  if (a->code != MDB_SUCCESS) return;
  memcpy(a->buffer, value.mv_data, value.mv_size < a->capacity ? value.mv_size : a->capacity);
  *a->bytes = value.mv_size;
}

int hf_lmdb_get(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, void *buffer,
                size_t capacity, size_t *bytes) {
  struct get a = {transaction, database, key, key_bytes, buffer, capacity, bytes, MDB_SUCCESS};
  GUARDED(run_get, &a);
}

struct put {
  struct MDB_txn *transaction;
  unsigned database;
  const void *key;
  size_t key_bytes;
  const void *value;
  size_t bytes;
  unsigned flags;
  int code;
};

static void run_put(void *context) {
  struct put *a = context;
  MDB_val key = {a->key_bytes, (void *)a->key}, value = {a->bytes, (void *)a->value};
  a->code = mdb_put(a->transaction, a->database, &key, &value, a->flags);
}

int hf_lmdb_put(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, const void
                *value, size_t bytes, unsigned flags) {
  struct put a = {transaction, database, key, key_bytes, value, bytes, flags, MDB_SUCCESS};
  GUARDED(run_put, &a);
}

struct reserve {
  struct MDB_txn *transaction;
  unsigned database;
  const void *key;
  size_t key_bytes;
  size_t bytes;
  unsigned flags;
  void **place;
  int code;
};

static void run_reserve(void *context) {
  struct reserve *a = context;
  MDB_val key = {a->key_bytes, (void *)a->key}, value = {a->bytes, NULL};
  a->code = mdb_put(a->transaction, a->database, &key, &value, a->flags | MDB_RESERVE);
  *a->place = value.mv_data;
}

int hf_lmdb_reserve(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, size_t
                    bytes, unsigned flags, void **place) {
  struct reserve a = {transaction, database, key, key_bytes, bytes, flags, place, MDB_SUCCESS};
  GUARDED(run_reserve, &a);
}

struct delete {
  struct MDB_txn *transaction;
  unsigned database;
  const void *key;
  size_t key_bytes;
  int code;
};

static void run_delete(void *context) {
  struct delete *a = context;
  MDB_val key = {a->key_bytes, (void *)a->key};
  a->code = mdb_del(a->transaction, a->database, &key, NULL);
}

int hf_lmdb_delete(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes) {
  struct delete a = {transaction, database, key, key_bytes, MDB_SUCCESS};
  GUARDED(run_delete, &a);
}

struct cursor_open {
  struct MDB_txn *transaction;
  unsigned database;
  struct MDB_cursor **cursor;
  int code;
};

static void run_cursor_open(void *context) {
  struct cursor_open *a = context;
  a->code = mdb_cursor_open(a->transaction, a->database, a->cursor);
}

int hf_lmdb_cursor_open(struct MDB_txn *transaction, unsigned database, struct MDB_cursor **cursor) {
  struct cursor_open a = {transaction, database, cursor, MDB_SUCCESS};
  GUARDED(run_cursor_open, &a);
}

struct cursor_close {
  struct MDB_cursor *cursor;
  int code;
};

static void run_cursor_close(void *context) {
  struct cursor_close *a = context;
  mdb_cursor_close(a->cursor);
  a->code = MDB_SUCCESS;
}

int hf_lmdb_cursor_close(struct MDB_cursor *cursor) {
  struct cursor_close a = {cursor, MDB_SUCCESS};
  GUARDED(run_cursor_close, &a);
}

struct cursor_move {
  struct MDB_cursor *cursor;
  int operation;
  const void *key;
  size_t key_bytes;
  void *buffer;
  size_t capacity;
  size_t *found_key_bytes;
  size_t *bytes;
  int code;
};

static void run_cursor_move(void *context) {
  struct cursor_move *a = context;
  MDB_val key = {a->key_bytes, (void *)a->key}, value;
  a->code = mdb_cursor_get(a->cursor, &key, &value, (MDB_cursor_op)a->operation);
  if (a->code != MDB_SUCCESS) return;
  *a->found_key_bytes = key.mv_size;
  *a->bytes = value.mv_size;
  size_t room = a->capacity;
  if (key.mv_size > room) return;
  memcpy(a->buffer, key.mv_data, key.mv_size);
  room -= key.mv_size;
  memcpy((char *)a->buffer + key.mv_size, value.mv_data, value.mv_size < room ? value.mv_size : room);
}

int hf_lmdb_cursor_move(struct MDB_cursor *cursor, int operation, const void *key, size_t key_bytes, void *buffer,
                        size_t capacity, size_t *found_key_bytes, size_t *bytes) {
  struct cursor_move a = {cursor, operation, key, key_bytes, buffer, capacity, found_key_bytes, bytes,
    MDB_SUCCESS};
  GUARDED(run_cursor_move, &a);
}

struct cursor_delete {
  struct MDB_cursor *cursor;
  int code;
};

static void run_cursor_delete(void *context) {
  struct cursor_delete *a = context;
  a->code = mdb_cursor_del(a->cursor, 0);
}

int hf_lmdb_cursor_delete(struct MDB_cursor *cursor) {
  struct cursor_delete a = {cursor, MDB_SUCCESS};
  GUARDED(run_cursor_delete, &a);
}
