/*
 * The tenant's log: records that are appended to streams and never changed. A stream is named by a tag of 1 to 256 bytes; a record is bytes,
 * in 1 to 16 streams, with a seqnum larger than those of all records before it. Every append happens exactly once, and a call that the
 * host runs again reads again what it read.
 */
#ifndef NEAP_LOGBOOK_H
#define NEAP_LOGBOOK_H

#include "../neap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Above every seqnum: neap_log_prev finds the newest record. */
#define NEAP_MAX_SEQNUM INT64_C(9007199254740991)

/* What a read found. */
typedef struct neap_record {
  /* NULL when there is none, or when it is gone. */
  char *data;
  size_t size;
  int64_t seqnum;
  /* It is the one that closed the stream. */
  bool closes;
  /* Records up to this seqnum were trimmed, and one of them was asked for: go on behind it. Else 0. */
  int64_t gone_up_to;
} neap_record;

typedef struct neap_log_tail {
  /* Records ever appended, also those that were trimmed. */
  int64_t length;
  /* Seqnum of the last one; 0 when there was none. */
  int64_t last;
  int64_t gone_up_to;
  bool closed;
} neap_log_tail;

/* What must hold for an append to happen. */
typedef struct neap_condition {
  const char *tag;
  enum { NEAP_LENGTH_IS = 0, NEAP_LAST_IS = 1 } what;
  /* Records that the stream has had; or seqnum of its last one, 0 for none. */
  int64_t value;
} neap_condition;

/* How an append ended. */
typedef struct neap_appended {
  /* Of the record; 0 when it was refused. */
  int64_t seqnum;
  /* Why it was refused: NEAP_CONFLICT, NEAP_CLOSED or NEAP_GAP; else 0. */
  int32_t refused;
  /* The stream that refused it. */
  const char *tag;
  /* Seqnum of the record that stood in the way; 0 when there is none, or when it was trimmed. */
  int64_t winner;
  /* Of a stream that is shorter than a condition says. */
  int64_t length;
} neap_appended;

#define NEAP_RECORD_MAX_BYTES 262144
#define NEAP_TAG_MAX_BYTES 256
#define NEAP_TAGS_MAX 16
#define NEAP_CONDITIONS_MAX 16

/* A seqnum or a length. */
static inline void neap_check_seqnum(const char *tag, const char *field, int64_t value) {
  if (value < 0 || value > NEAP_MAX_SEQNUM) neap_fail_number("log stream", tag, field, value, "0 to 9007199254740991");
}

static inline void neap_check_record(const char *tag, size_t size) {
  if (size > NEAP_RECORD_MAX_BYTES) neap_fail_number("log stream", tag, "the size of the record", (int64_t)size, "at most 262144 bytes");
}

/* Returns its size. */
static inline size_t neap_check_tag(const char *tag) {
  size_t size = strlen(tag);
  if (size < 1 || size > NEAP_TAG_MAX_BYTES) neap_fail_number("log stream", tag, "the size of the tag", (int64_t)size, "1 to 256 bytes");
  for (size_t at = 0; at < size; at++) {
    unsigned char byte = (unsigned char)tag[at], next = (unsigned char)tag[at + 1];
    if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next < 0xa0)) {
      neap_fail_at("log stream", tag, "is not a tag: it has a control character");
    }
  }
  return size;
}

/* What may not be is looked for before the host is asked: all that is left is bytes that are no text. */
static inline int64_t neap_log_checked(int64_t code, const char *tag) {
  if (code == NEAP_INVALID) neap_fail_at("log stream", tag, "is not a tag: it is not UTF-8");
  return code;
}

/* u16 length and bytes. */
static inline char *neap_put_tag(char *at, const char *tag) {
  size_t size = neap_check_tag(tag);
  uint16_t length = (uint16_t)size;
  memcpy(at, &length, 2);
  memcpy(at + 2, tag, size);
  return at + 2 + size;
}

static inline neap_bytes neap_tags(const char *const *tags, size_t count) {
  size_t size = 0;
  if (count < 1 || count > NEAP_TAGS_MAX) {
    neap_fail_number("log stream", count > 0 ? tags[0] : "", "the number of tags", (int64_t)count, "1 to 16");
  }
  for (size_t at = 0; at < count; at++) {
    size += 2 + strlen(tags[at]);
    for (size_t before = 0; before < at; before++) {
      if (strcmp(tags[at], tags[before]) == 0) neap_fail_at("log stream", tags[at], "is twice among the tags");
    }
  }
  neap_bytes packed = neap_room(size);
  char *end = packed.data;
  for (size_t at = 0; at < count; at++) end = neap_put_tag(end, tags[at]);
  return packed;
}

static inline neap_appended neap_append_record(const char *const *tags, size_t tag_count, const void *bytes, size_t size,
                                               const neap_condition *when, size_t when_count, bool closes) {
  size_t when_size = 0;
  if (when_count > NEAP_CONDITIONS_MAX) {
    neap_fail_number("log stream", when[0].tag, "the number of conditions", (int64_t)when_count, "at most 16");
  }
  for (size_t at = 0; at < when_count; at++) {
    when_size += 2 + strlen(when[at].tag) + 9;
    neap_check_seqnum(when[at].tag, when[at].what == NEAP_LENGTH_IS ? "length" : "last seqnum", when[at].value);
  }
  neap_bytes names = neap_tags(tags, tag_count), conditions = neap_room(when_size);
  neap_check_record(tags[0], size);
  char *end = conditions.data;
  for (size_t at = 0; at < when_count; at++) {
    end = neap_put_tag(end, when[at].tag);
    *end = (char)when[at].what;
    memcpy(end + 1, &when[at].value, 8);
    end += 9;
  }
  struct {
    int64_t seqnum;
    int64_t length;
    int32_t stream;
  } outcome = {0, 0, 0};
  int64_t code = neap_host_log_append(names.data, (int32_t)names.size, conditions.data, (int32_t)conditions.size, (void *)bytes,
                                      (int32_t)size, closes ? 1 : 0, &outcome);
  free(names.data);
  free(conditions.data);
  neap_log_checked(code, tags[0]);
  neap_appended done = {code, 0, NULL, 0, 0};
  if (code < 0) {
    size_t stream = (size_t)outcome.stream;
    done.seqnum = 0;
    done.refused = (int32_t)code;
    done.tag = stream < when_count ? when[stream].tag : tags[stream - when_count];
    done.winner = outcome.seqnum;
    done.length = outcome.length;
  }
  return done;
}

/* Appends a record to a stream. Refused only when that is closed. */
static inline neap_appended neap_append(const char *tag, const void *bytes, size_t size) {
  return neap_append_record(&tag, 1, bytes, size, NULL, 0, false);
}

/* Appends one record to several streams, if all conditions hold. */
static inline neap_appended neap_append_if(const char *const *tags, size_t tag_count, const void *bytes, size_t size,
                                           const neap_condition *when, size_t when_count) {
  return neap_append_record(tags, tag_count, bytes, size, when, when_count, false);
}

/* Appends a stream's last record: every later append is refused with it. */
static inline neap_appended neap_close(const char *tag, const void *bytes, size_t size) {
  return neap_append_record(&tag, 1, bytes, size, NULL, 0, true);
}

/* Appends a record without waiting to be told. When the stream is closed, nothing happens. */
static inline void neap_post(const char *tag, const void *bytes, size_t size) {
  neap_bytes names = neap_tags(&tag, 1);
  neap_check_record(tag, size);
  neap_log_checked(neap_host_log_post(names.data, (int32_t)names.size, (void *)bytes, (int32_t)size), tag);
  free(names.data);
}

enum neap_log_read { NEAP_READ_PREV, NEAP_READ_NEXT, NEAP_AWAIT_NEXT };

/* One that is larger than there is room for is read again: its seqnum is known then, so that costs no step. */
static inline neap_record neap_read_record(enum neap_log_read how, const char *tag, int64_t asked, int64_t timeout_ms) {
  int32_t tag_size = (int32_t)neap_check_tag(tag);
  neap_check_seqnum(tag, how == NEAP_READ_PREV ? "max" : "min", asked);
  neap_bytes room = neap_room(NEAP_FIRST_ROOM);
  struct {
    int64_t seqnum;
    int32_t closes;
  } head = {0, 0};
  int64_t size;
  for (;;) {
    size = how == NEAP_READ_PREV   ? neap_host_log_read_prev(tag, tag_size, asked, room.data, (int32_t)room.size, &head)
           : how == NEAP_READ_NEXT ? neap_host_log_read_next(tag, tag_size, asked, room.data, (int32_t)room.size, &head)
                                   : neap_host_log_await_next(tag, tag_size, asked, timeout_ms, room.data, (int32_t)room.size, &head);
    neap_log_checked(size, tag);
    if (neap_fits(&room, size)) break;
    how = NEAP_READ_PREV;
    asked = head.seqnum;
  }
  neap_record found = {room.data, room.size, size < 0 ? 0 : head.seqnum, size >= 0 && head.closes != 0,
                       size == NEAP_TRIMMED ? head.seqnum : 0};
  return found;
}

/* The last record with a seqnum up to `max`. */
static inline neap_record neap_log_prev(const char *tag, int64_t max) { return neap_read_record(NEAP_READ_PREV, tag, max, 0); }

/* The first record with a seqnum of `min` or more: one above the last one read goes through a stream without gaps. */
static inline neap_record neap_log_next(const char *tag, int64_t min) { return neap_read_record(NEAP_READ_NEXT, tag, min, 0); }

/* Like neap_log_next, and waits for such a record, for `timeout_ms` but no longer than half of the call's time limit. */
static inline neap_record neap_log_await(const char *tag, int64_t min, int64_t timeout_ms) {
  return neap_read_record(NEAP_AWAIT_NEXT, tag, min, timeout_ms);
}

/* The stream as it is now. */
static inline neap_log_tail neap_tail(const char *tag) {
  struct {
    int64_t length, last, gone_up_to;
    int32_t closed;
  } now;
  neap_log_checked(neap_host_log_tail(tag, (int32_t)neap_check_tag(tag), &now), tag);
  neap_log_tail tail = {now.length, now.last, now.gone_up_to, now.closed != 0};
  return tail;
}

/* Takes the records with a seqnum up to `up_to` away from a stream. In their other streams they stay. */
static inline void neap_trim(const char *tag, int64_t up_to) {
  if (tag[0] == 0) neap_fail("neap_trim: '' is not a tag: neap_trim_all trims all streams");
  neap_check_seqnum(tag, "up_to", up_to);
  neap_log_checked(neap_host_log_trim(tag, (int32_t)neap_check_tag(tag), up_to), tag);
}

/* The same for all streams of the tenant's functions. */
static inline void neap_trim_all(int64_t up_to) {
  neap_check_seqnum("all", "up_to", up_to);
  neap_host_log_trim(NULL, 0, up_to);
}

#ifdef __cplusplus
}
#endif

#endif
