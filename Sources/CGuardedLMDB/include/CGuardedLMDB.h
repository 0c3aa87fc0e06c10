// LMDB's functions as guarded calls. LMDB believes its file: one that was damaged, or truncated while it is mapped,
// leads it to addresses that are not there. Each function returns what LMDB returns, or HF_LMDB_FAULT less the number
// of the signal. After that, the environment may only be closed: what the call changed stays half done.
//
// Values are copied out of the map, where reading may fault as well.
#ifndef HOLDFAST_GUARDED_LMDB_H
#define HOLDFAST_GUARDED_LMDB_H

#include <stddef.h>
#include <stdint.h>

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

// Beyond LMDB's codes and every errno. -1000 - SIGBUS, and so on.
#define HF_LMDB_FAULT (-1000)

// Creates and opens. On failure nothing stays open.
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

// Copies as much of the value as there is room for; *bytes is its full size.
int hf_lmdb_get(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, void *buffer,
                size_t capacity, size_t *bytes);
int hf_lmdb_put(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, const void *value,
                size_t bytes, unsigned flags);
// Makes room for a value: *place is valid until the next change.
int hf_lmdb_reserve(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes, size_t bytes,
                    unsigned flags, void **place);
int hf_lmdb_delete(struct MDB_txn *transaction, unsigned database, const void *key, size_t key_bytes);

int hf_lmdb_cursor_open(struct MDB_txn *transaction, unsigned database, struct MDB_cursor **cursor);
int hf_lmdb_cursor_close(struct MDB_cursor *cursor);
// Moves, and copies key and value one after the other, as much as there is room for.
int hf_lmdb_cursor_move(struct MDB_cursor *cursor, int operation, const void *key, size_t key_bytes, void *buffer,
                        size_t capacity, size_t *found_key_bytes, size_t *bytes);
int hf_lmdb_cursor_delete(struct MDB_cursor *cursor);

#endif
