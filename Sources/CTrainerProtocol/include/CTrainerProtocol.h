// The layouts of memory shared between supervisor and trainer. Everything is little-endian.
//
// Offsets are constants, as neither Swift nor Python guarantees a struct layout. The structs below let the
// compiler check that the constants form a layout without gaps or overlaps.
#ifndef HOLDFAST_TRAINER_PROTOCOL_H
#define HOLDFAST_TRAINER_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#define HF_PROTOCOL_VERSION 1u
#define HF_RING_MAGIC 0x474e4952444c4f48ull  /* the bytes "HOLDRING" */
#define HF_SLOT_MAGIC 0x544f4c53444c4f48ull  /* the bytes "HOLDSLOT" */
#define HF_HEADER_BYTES 4096u

// Ring header: the first page of `ring-<localRank>`. One writer for each line of 128 bytes.
struct hf_ring_header {
  // Written by the supervisor before the trainer starts; constant for the attempt.
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t capacity;  // bytes of the ring after the header, a power of two
  uint8_t job_id[16];
  uint64_t attempt;
  uint64_t generation;
  uint32_t global_rank;
  uint32_t local_rank;
  uint32_t world_size;
  uint32_t local_world_size;
  uint32_t arena_slots;
  uint32_t identity_crc;  // CRC-32 of the 76 bytes before it
  uint8_t reserved0[48];

  // Written by the trainer. 128:
  uint64_t written;         // bytes ever written, padding included
  uint64_t skipped;         // records dropped because the ring was full
  uint64_t last_step;       // newest step, recorded or skipped
  uint64_t acknowledged;    // sequence of the newest answered request
  uint32_t outcome;         // hf_outcome of that request
  uint32_t attached_pid;    // 0 until attached
  uint64_t heartbeat;       // incremented at every step and safe point
  uint32_t restoring;       // hf_restoring
  uint32_t reserved1;
  uint64_t state_bytes;     // size of an image of the state, as far as known; 0: unknown
  uint8_t reserved2[64];

  // Written by the supervisor. 256:
  uint64_t consumed;        // bytes ever consumed
  uint32_t spare_slot;      // slot that finish() may fill without a request, or UINT32_MAX
  uint32_t initial_slot;    // 1 + slot for the state before the first step; 0: none
  uint64_t consumed_sequence;  // sequence expected at `consumed`, written after it
  uint64_t verified;        // bytes of resume points verified while `verdict` is 1
  uint32_t verdict;         // hf_verdict on the resume point
  uint32_t reserved3;
  uint64_t prepared_bytes;  // slots of at least this size have allocated pages; 0: none
  uint8_t reserved5[80];

  // Request, written by the supervisor under a sequence lock (odd while writing). 384:
  uint64_t request_lock;
  uint64_t request_sequence;
  uint32_t request_kind;    // hf_request_kind
  uint32_t request_slot;
  uint8_t request_cut_id[16];
  uint64_t request_target_step;  // 0: the next step, unless request_every_epochs is set
  uint64_t request_generation;
  uint64_t request_deadline_ns;  // CLOCK_MONOTONIC, 0: none
  uint32_t request_every_epochs; // save at the end of each epoch whose number, from 1, is a multiple; 0: none
  uint32_t request_epoch_end;    // hf_epoch_end: which moment is the end of an epoch
  uint8_t reserved4[56];
};

#define HF_RING_MAGIC_AT 0
#define HF_RING_VERSION 8
#define HF_RING_HEADER_BYTES 12
#define HF_RING_CAPACITY 16
#define HF_RING_JOB_ID 24
#define HF_RING_ATTEMPT 40
#define HF_RING_GENERATION 48
#define HF_RING_GLOBAL_RANK 56
#define HF_RING_LOCAL_RANK 60
#define HF_RING_WORLD_SIZE 64
#define HF_RING_LOCAL_WORLD_SIZE 68
#define HF_RING_ARENA_SLOTS 72
#define HF_RING_IDENTITY_CRC 76
#define HF_RING_WRITTEN 128
#define HF_RING_SKIPPED 136
#define HF_RING_LAST_STEP 144
#define HF_RING_ACKNOWLEDGED 152
#define HF_RING_OUTCOME 160
#define HF_RING_ATTACHED_PID 164
#define HF_RING_HEARTBEAT 168
#define HF_RING_RESTORING 176
#define HF_RING_STATE_BYTES 184
#define HF_RING_CONSUMED 256
#define HF_RING_SPARE_SLOT 264
#define HF_RING_INITIAL_SLOT 268
#define HF_RING_CONSUMED_SEQUENCE 272
#define HF_RING_VERIFIED 280
#define HF_RING_VERDICT 288
#define HF_RING_PREPARED_BYTES 296
#define HF_RING_REQUEST_LOCK 384
#define HF_RING_REQUEST_SEQUENCE 392
#define HF_RING_REQUEST_KIND 400
#define HF_RING_REQUEST_SLOT 404
#define HF_RING_REQUEST_CUT_ID 408
#define HF_RING_REQUEST_TARGET_STEP 424
#define HF_RING_REQUEST_GENERATION 432
#define HF_RING_REQUEST_DEADLINE_NS 440
#define HF_RING_REQUEST_EVERY_EPOCHS 448
#define HF_RING_REQUEST_EPOCH_END 452

enum hf_request_kind { HF_REQUEST_NONE = 0, HF_REQUEST_SAVE = 1, HF_REQUEST_SAVE_AND_LEAVE = 2, HF_REQUEST_CANCEL = 3 };
// The end of an epoch: its last step; the beginning of the next epoch, after a validation.
enum hf_epoch_end { HF_EPOCH_END_TRAINING = 1, HF_EPOCH_END_VALIDATION = 2 };
// 5 is reserved for "armed": a rank that has seen a request for a later step.
enum hf_outcome { HF_OUTCOME_NONE = 0, HF_OUTCOME_STAGED = 1, HF_OUTCOME_MISSED = 2, HF_OUTCOME_FAILED = 3, HF_OUTCOME_CANCELLED = 4 };

// A trainer's progress with its resume point. SILENT: it does not report this, and loads the point without waiting for
// a verdict. TAKES: it is loading the state.
enum hf_restoring { HF_RESTORING_SILENT = 0, HF_RESTORING_WAITS = 1, HF_RESTORING_TAKES = 2, HF_RESTORING_DONE = 3 };
// The resume point: nothing to wait for; being verified; intact; replaced in resume.json.
enum hf_verdict { HF_VERDICT_NONE = 0, HF_VERDICT_PENDING = 1, HF_VERDICT_WHOLE = 2, HF_VERDICT_REPLACED = 3 };

// Record in the ring. Begins at a multiple of 8 and never crosses the ring's end: the rest is filled by a padding
// record, or unused if it is smaller than 24 bytes.
struct hf_record_header {
  uint32_t length;    // header and payload, without the padding to 8
  uint16_t kind;      // hf_record_kind
  uint16_t flags;
  uint64_t sequence;  // 1 for the first record of a ring, then incremented
  uint32_t crc;       // CRC-32 (IEEE, as zlib's) of the record with this field zero; of a padding
                      // record, of its header alone
  uint32_t reserved;
};
#define HF_RECORD_HEADER_BYTES 24u
#define HF_RECORD_LENGTH 0
#define HF_RECORD_KIND 4
#define HF_RECORD_FLAGS 6
#define HF_RECORD_SEQUENCE 8
#define HF_RECORD_CRC 16

enum hf_record_kind {
  HF_RECORD_PADDING = 0,
  HF_RECORD_ATTACHED = 1,      // JSON
  HF_RECORD_SNAPSHOT = 2,      // hf_snapshot and what follows it
  HF_RECORD_STAGED = 3,        // hf_staged
  HF_RECORD_FAILURE = 4,       // JSON
  HF_RECORD_FINISHED = 5,      // hf_staged; slot UINT32_MAX when nothing was staged
  HF_RECORD_METRIC_NAMES = 6,  // JSON array, all names so far in the order of their values
  HF_RECORD_METRICS = 7        // JSON object {step, values}: metrics of a step that were computed after it
};

// Snapshot payload: this header, metric_count IEEE doubles, part_count parts, each
// {u8 kind, u8 name_length, u16 zero, u32 length, name, bytes}, and image_bytes of a
// full snapshot's state (a safetensors image).
struct hf_snapshot {
  uint64_t step;
  uint64_t epoch;
  uint64_t batch;     // batches consumed in this epoch
  uint64_t samples;   // samples consumed in the whole run, by all ranks
  uint64_t time_ns;   // CLOCK_REALTIME
  uint8_t phase;      // 0 training, 1 validation, 2 other
  uint8_t reserved;
  uint16_t metric_count;
  uint16_t part_count;
  uint16_t reserved1;
  uint64_t image_bytes;  // 0: not a full snapshot
};
#define HF_SNAPSHOT_STEP 0
#define HF_SNAPSHOT_EPOCH 8
#define HF_SNAPSHOT_BATCH 16
#define HF_SNAPSHOT_SAMPLES 24
#define HF_SNAPSHOT_TIME_NS 32
#define HF_SNAPSHOT_PHASE 40
#define HF_SNAPSHOT_METRIC_COUNT 42
#define HF_SNAPSHOT_PART_COUNT 44
#define HF_SNAPSHOT_IMAGE_BYTES 48
#define HF_SNAPSHOT_BYTES 56u

enum hf_part_kind { HF_PART_RNG = 1, HF_PART_SAMPLER = 2, HF_PART_OTHER = 3 };

// Payload of `staged` and `finished`.
struct hf_staged {
  uint64_t request_sequence;  // 0: without a request, by finish()
  uint64_t step;
  uint64_t image_bytes;
  uint8_t cut_id[16];
  uint32_t slot;
  uint32_t outcome;     // hf_outcome
  uint32_t error;       // errno when failed
  uint32_t completed_epochs;  // if saved at the end of an epoch, its number, from 1; else 0
  uint64_t stall_ns;    // time for which the trainer was blocked
  uint64_t preparation_ns;  // the part of it in which the slot was allocated and mapped; absent in older versions
};
#define HF_STAGED_REQUEST_SEQUENCE 0
#define HF_STAGED_STEP 8
#define HF_STAGED_IMAGE_BYTES 16
#define HF_STAGED_CUT_ID 24
#define HF_STAGED_SLOT 40
#define HF_STAGED_OUTCOME 44
#define HF_STAGED_ERROR 48
#define HF_STAGED_COMPLETED_EPOCHS 52
#define HF_STAGED_STALL_NS 56
#define HF_STAGED_PREPARATION_NS 64
#define HF_STAGED_BYTES 72u
#define HF_STAGED_REQUIRED_BYTES 64u  // by older versions

// Slot header: the first page of `arena-<localRank>-<slot>`; the image begins at HF_HEADER_BYTES.
// `complete` is 0 while the image is being written and is set to 1 last, with release order.
struct hf_slot_header {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint8_t job_id[16];
  uint8_t cut_id[16];
  uint64_t attempt;
  uint64_t generation;
  uint32_t global_rank;
  uint32_t world_size;
  uint64_t step;
  uint64_t image_bytes;
  uint32_t header_crc;  // CRC-32 of the 88 bytes before it
  uint32_t complete;
  uint32_t placements;  // 0; for several ranks: bit 0 replicated, 1 sharded, 2 rank-local state inside
  uint32_t completed_epochs;  // the epoch, from 1, at whose end the image was saved; 0: elsewhere, or unknown
};
#define HF_SLOT_BYTES 104u
#define HF_SLOT_JOB_ID 16
#define HF_SLOT_CUT_ID 32
#define HF_SLOT_ATTEMPT 48
#define HF_SLOT_GENERATION 56
#define HF_SLOT_GLOBAL_RANK 64
#define HF_SLOT_WORLD_SIZE 68
#define HF_SLOT_STEP 72
#define HF_SLOT_IMAGE_BYTES 80
#define HF_SLOT_HEADER_CRC 88
#define HF_SLOT_COMPLETE 92
#define HF_SLOT_PLACEMENTS 96
#define HF_SLOT_COMPLETED_EPOCHS 100
#define HF_NO_SLOT 0xffffffffu

#define HF_AT(type, field, offset) \
  _Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
HF_AT(hf_ring_header, identity_crc, HF_RING_IDENTITY_CRC);
HF_AT(hf_ring_header, magic, HF_RING_MAGIC_AT);
HF_AT(hf_ring_header, version, HF_RING_VERSION);
HF_AT(hf_ring_header, header_bytes, HF_RING_HEADER_BYTES);
HF_AT(hf_ring_header, capacity, HF_RING_CAPACITY);
HF_AT(hf_ring_header, job_id, HF_RING_JOB_ID);
HF_AT(hf_ring_header, attempt, HF_RING_ATTEMPT);
HF_AT(hf_ring_header, global_rank, HF_RING_GLOBAL_RANK);
HF_AT(hf_ring_header, local_rank, HF_RING_LOCAL_RANK);
HF_AT(hf_ring_header, world_size, HF_RING_WORLD_SIZE);
HF_AT(hf_ring_header, local_world_size, HF_RING_LOCAL_WORLD_SIZE);
HF_AT(hf_ring_header, generation, HF_RING_GENERATION);
HF_AT(hf_ring_header, arena_slots, HF_RING_ARENA_SLOTS);
HF_AT(hf_ring_header, written, HF_RING_WRITTEN);
HF_AT(hf_ring_header, heartbeat, HF_RING_HEARTBEAT);
HF_AT(hf_ring_header, consumed_sequence, HF_RING_CONSUMED_SEQUENCE);
HF_AT(hf_ring_header, skipped, HF_RING_SKIPPED);
HF_AT(hf_ring_header, last_step, HF_RING_LAST_STEP);
HF_AT(hf_ring_header, acknowledged, HF_RING_ACKNOWLEDGED);
HF_AT(hf_ring_header, outcome, HF_RING_OUTCOME);
HF_AT(hf_ring_header, attached_pid, HF_RING_ATTACHED_PID);
HF_AT(hf_ring_header, restoring, HF_RING_RESTORING);
HF_AT(hf_ring_header, state_bytes, HF_RING_STATE_BYTES);
HF_AT(hf_ring_header, consumed, HF_RING_CONSUMED);
HF_AT(hf_ring_header, initial_slot, HF_RING_INITIAL_SLOT);
HF_AT(hf_ring_header, verified, HF_RING_VERIFIED);
HF_AT(hf_ring_header, verdict, HF_RING_VERDICT);
HF_AT(hf_ring_header, prepared_bytes, HF_RING_PREPARED_BYTES);
HF_AT(hf_ring_header, spare_slot, HF_RING_SPARE_SLOT);
HF_AT(hf_ring_header, request_lock, HF_RING_REQUEST_LOCK);
HF_AT(hf_ring_header, request_sequence, HF_RING_REQUEST_SEQUENCE);
HF_AT(hf_ring_header, request_kind, HF_RING_REQUEST_KIND);
HF_AT(hf_ring_header, request_slot, HF_RING_REQUEST_SLOT);
HF_AT(hf_ring_header, request_cut_id, HF_RING_REQUEST_CUT_ID);
HF_AT(hf_ring_header, request_target_step, HF_RING_REQUEST_TARGET_STEP);
HF_AT(hf_ring_header, request_generation, HF_RING_REQUEST_GENERATION);
HF_AT(hf_ring_header, request_deadline_ns, HF_RING_REQUEST_DEADLINE_NS);
HF_AT(hf_ring_header, request_every_epochs, HF_RING_REQUEST_EVERY_EPOCHS);
HF_AT(hf_ring_header, request_epoch_end, HF_RING_REQUEST_EPOCH_END);
_Static_assert(sizeof(struct hf_ring_header) == 512, "ring header");
_Static_assert(sizeof(struct hf_record_header) == HF_RECORD_HEADER_BYTES, "record header");
HF_AT(hf_record_header, length, HF_RECORD_LENGTH);
HF_AT(hf_record_header, kind, HF_RECORD_KIND);
HF_AT(hf_record_header, flags, HF_RECORD_FLAGS);
HF_AT(hf_record_header, sequence, HF_RECORD_SEQUENCE);
HF_AT(hf_record_header, crc, HF_RECORD_CRC);
HF_AT(hf_snapshot, step, HF_SNAPSHOT_STEP);
HF_AT(hf_snapshot, epoch, HF_SNAPSHOT_EPOCH);
HF_AT(hf_snapshot, batch, HF_SNAPSHOT_BATCH);
HF_AT(hf_snapshot, samples, HF_SNAPSHOT_SAMPLES);
HF_AT(hf_snapshot, time_ns, HF_SNAPSHOT_TIME_NS);
HF_AT(hf_snapshot, phase, HF_SNAPSHOT_PHASE);
HF_AT(hf_snapshot, metric_count, HF_SNAPSHOT_METRIC_COUNT);
HF_AT(hf_snapshot, part_count, HF_SNAPSHOT_PART_COUNT);
HF_AT(hf_snapshot, image_bytes, HF_SNAPSHOT_IMAGE_BYTES);
_Static_assert(sizeof(struct hf_snapshot) == HF_SNAPSHOT_BYTES, "snapshot");
HF_AT(hf_staged, request_sequence, HF_STAGED_REQUEST_SEQUENCE);
HF_AT(hf_staged, step, HF_STAGED_STEP);
HF_AT(hf_staged, image_bytes, HF_STAGED_IMAGE_BYTES);
HF_AT(hf_staged, cut_id, HF_STAGED_CUT_ID);
HF_AT(hf_staged, slot, HF_STAGED_SLOT);
HF_AT(hf_staged, outcome, HF_STAGED_OUTCOME);
HF_AT(hf_staged, error, HF_STAGED_ERROR);
HF_AT(hf_staged, completed_epochs, HF_STAGED_COMPLETED_EPOCHS);
HF_AT(hf_staged, stall_ns, HF_STAGED_STALL_NS);
HF_AT(hf_staged, preparation_ns, HF_STAGED_PREPARATION_NS);
_Static_assert(sizeof(struct hf_staged) == HF_STAGED_BYTES, "staged");
HF_AT(hf_slot_header, job_id, HF_SLOT_JOB_ID);
HF_AT(hf_slot_header, cut_id, HF_SLOT_CUT_ID);
HF_AT(hf_slot_header, attempt, HF_SLOT_ATTEMPT);
HF_AT(hf_slot_header, generation, HF_SLOT_GENERATION);
HF_AT(hf_slot_header, global_rank, HF_SLOT_GLOBAL_RANK);
HF_AT(hf_slot_header, world_size, HF_SLOT_WORLD_SIZE);
HF_AT(hf_slot_header, step, HF_SLOT_STEP);
HF_AT(hf_slot_header, image_bytes, HF_SLOT_IMAGE_BYTES);
HF_AT(hf_slot_header, header_crc, HF_SLOT_HEADER_CRC);
HF_AT(hf_slot_header, complete, HF_SLOT_COMPLETE);
HF_AT(hf_slot_header, placements, HF_SLOT_PLACEMENTS);
HF_AT(hf_slot_header, completed_epochs, HF_SLOT_COMPLETED_EPOCHS);
_Static_assert(sizeof(struct hf_slot_header) == HF_SLOT_BYTES, "slot header");
#undef HF_AT

// CRC-32 of whole 16-byte blocks (count a multiple of 16, at least 16), on an inverted remainder as
// tables use it. Only where hf_crc32_is_fast.
int hf_crc32_is_fast(void);
uint32_t hf_crc32_blocks(uint32_t crc, const uint8_t *bytes, size_t count);

#endif
