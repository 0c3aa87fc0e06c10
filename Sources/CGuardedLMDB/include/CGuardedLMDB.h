// LMDB's functions as guarded calls. LMDB does not validate its file: if it is damaged, or truncated while it is
// mapped, LMDB accesses invalid addresses. Each function returns the result of LMDB, or HF_LMDB_FAULT minus the number
// of the signal. After a fault, the environment may only be closed, as the changes of the call may be incomplete.
//
// Values are copied from the map under guard, as reading may fault too.
#ifndef HOLDFAST_GUARDED_LMDB_H
#define HOLDFAST_GUARDED_LMDB_H

#include <stddef.h>
#include <stdint.h>

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

// Outside of LMDB's codes and all errnos: -1000 - SIGBUS, and so on.
#define HF_LMDB_FAULT (-1000)

// Creates and opens an environment. On failure, nothing stays open.
int hf_lmdb_open(const char *path, unsigned flags, unsigned mode, unsigned databases, size_t map_bytes,
                 struct MDB_env **environment);
int hf_lmdb_close(struct MDB_env *environment);
int hf_lmdb_set_map_bytes(struct MDB_env *environment, size_t bytes);
int hf_lmdb_descriptor(struct MDB_env *environment, int *descriptor);

int hf_lmdb_begin(struct MDB_env *environment, unsigned flags, struct MDB_txn **transaction);
int hf_lmdb_commit(struct MDB_txn *transaction);
int hf_lmdb_abort(struct MDB_txn *transaction);

int hf_lmdb_database(struct MDB_txn *transaction, const char *name, unsigned flags, unsigned *database);
int hf_lmdb_entries(struct MDB_txn *transaction, unsigned database, size_t *entries);

// Copies at most `capacity` bytes of the value; *bytes is its full size.
int hf_lmdb_get(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, void *buffer,
                size_t capacity, size_t *bytes);
int hf_lmdb_put(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, const void *value,
                size_t bytes, unsigned flags);
// Reserves space for a value; *place is valid until the next change.
int hf_lmdb_reserve(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, size_t bytes,
                    unsigned flags, void **place);
int hf_lmdb_delete(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes);

int hf_lmdb_cursor_open(struct MDB_txn *transaction, unsigned database, struct MDB_cursor **cursor);
int hf_lmdb_cursor_close(struct MDB_cursor *cursor);
// Moves the cursor and copies the key, then the value, at most `capacity` bytes.
int hf_lmdb_cursor_move(struct MDB_cursor *cursor, int operation, const void *key, size_t key_bytes, void *buffer,
                        size_t capacity, size_t *found_key_bytes, size_t *bytes);
int hf_lmdb_cursor_delete(struct MDB_cursor *cursor);

#endif
