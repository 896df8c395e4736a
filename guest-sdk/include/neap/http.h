/*
 * Requests to other systems, as far as the operator allows (docs/guides/outside.md). What happens there may happen more than once; what came
 * of it is fixed once.
 */
#ifndef NEAP_HTTP_H
#define NEAP_HTTP_H

#include <strings.h>

#include "../neap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What came of a request: an answer of whatever status, or why there is none. */
typedef struct neap_http_response {
  /* 0 when there is no answer. */
  int status;
  /* Lines "name: value", as they came. */
  neap_bytes headers;
  /* As it came: a compressed body is still compressed. */
  neap_bytes body;
  /* Why there is no answer: EGRESS_DENIED, EGRESS_TIMEOUT … (docs/reference/errors.md), and the same for people; else "". */
  neap_bytes error;
  neap_bytes message;
} neap_http_response;

enum { NEAP_HTTP_HEAD = 0, NEAP_HTTP_BODY = 1, NEAP_HTTP_ONCE = 1 };

/* The size is known only when the beginning was read. */
static inline neap_bytes neap_http_part(int part) {
  neap_bytes room = neap_room(NEAP_FIRST_ROOM);
  int64_t size;
  do {
    size = neap_host_http_read(part, 0, room.data, (int32_t)room.size);
  } while (!neap_fits(&room, size < 0 ? 0 : size));
  return room;
}

static inline neap_http_response neap_http_send(const char *method, const char *url, const char *headers, const void *body,
                                                size_t size, int flags) {
  int32_t status = neap_host_http_request(method, (int32_t)strlen(method), url, (int32_t)strlen(url), headers,
                                          (int32_t)strlen(headers), body, (int32_t)size, flags);
  if (status < 0 && status != NEAP_NO_ANSWER) {
    neap_fail_at("request", url,
                 status == NEAP_NOT_IN_PART      ? "is not possible inside a storage part"
                 : status == NEAP_IN_TRANSACTION ? "is not possible in a transaction, as it cannot be taken back"
                 : status == NEAP_TOO_LARGE      ? "is not possible: its body is larger than 1 MiB"
                                                 : "is not possible: method, URL or headers are too long");
  }
  neap_bytes head = neap_http_part(NEAP_HTTP_HEAD), rest = neap_http_part(NEAP_HTTP_BODY);
  if (status == NEAP_NO_ANSWER) {
    neap_http_response none = {0, neap_room(0), neap_room(0), head, rest};
    return none;
  }
  neap_http_response response = {status, head, rest, neap_room(0), neap_room(0)};
  return response;
}

/*
 * Sends a request and waits for its answer. `headers`: lines "name: value". The host follows redirects, and adds the header Idempotency-Key
 * unless it is there. When this call is cut off before the answer is logged, the request is sent again, with the same key: a system that
 * knows such keys does it once. Whoever asks again after a failure gives a key of their own, made of random bytes: the failed request may
 * have been carried out. Not inside a storage part, nor in a transaction.
 */
static inline neap_http_response neap_http_request(const char *method, const char *url, const char *headers, const void *body,
                                                   size_t size) {
  return neap_http_send(method, url, headers, body, size, 0);
}

/* For systems that do not know such keys: it is not sent again, and the error is EGRESS_UNKNOWN_OUTCOME then. */
static inline neap_http_response neap_http_request_once(const char *method, const char *url, const char *headers, const void *body,
                                                        size_t size) {
  return neap_http_send(method, url, headers, body, size, NEAP_HTTP_ONCE);
}

static inline neap_http_response neap_http_get(const char *url) { return neap_http_request("GET", url, "", NULL, 0); }

static inline neap_http_response neap_http_post(const char *url, const char *text) {
  return neap_http_request("POST", url, "Content-Type: text/plain; charset=utf-8", text, strlen(text));
}

/* The value of a header; data is NULL when there is none. The case of names does not count; of several the first. */
static inline neap_bytes neap_http_header(const neap_http_response *response, const char *name) {
  size_t name_size = strlen(name);
  for (const char *line = response->headers.data; *line != 0;) {
    const char *end = strchr(line, '\n');
    if (end == NULL) end = line + strlen(line);
    if (strncasecmp(line, name, name_size) == 0 && line[name_size] == ':') {
      const char *from = line + name_size + 1, *to = end;
      while (from < to && (*from == ' ' || *from == '\t')) from++;
      while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r')) to--;
      neap_bytes value = neap_room((size_t)(to - from));
      memcpy(value.data, from, value.size);
      return value;
    }
    line = *end == 0 ? end : end + 1;
  }
  neap_bytes none = {NULL, 0};
  return none;
}

#ifdef __cplusplus
}
#endif

#endif
