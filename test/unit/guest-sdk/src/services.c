// Uses all of neap/transaction.h, lock.h, logbook.h and http.h, one line of output per thing.
#include <stdio.h>

#include "neap/http.h"
#include "neap/lock.h"
#include "neap/logbook.h"
#include "neap/transaction.h"

static int runs;

static void move(void *context) {
  neap_bytes from = neap_get("from");
  runs++;
  char text[24];
  int size = snprintf(text, sizeof text, "%d", atoi(from.data) + *(int *)context);
  neap_put("from", text, (size_t)size);
  neap_put("to", text, (size_t)size);
}

static void nested(void *context) { neap_transact(NEAP_SNAPSHOT, move, context); }

static void transactions(void) {
  neap_put("from", "10", 2);
  int amount = 5;
  neap_transact(NEAP_SERIALIZABLE, move, &amount);
  printf("run: %s %s %d\n", neap_get("from").data, neap_get("to").data, runs);
  neap_transact(NEAP_READ_ATOMIC, nested, &amount);
  printf("nested: %s\n", neap_get("to").data);
  neap_begin(NEAP_SNAPSHOT);
  neap_put("to", "0", 1);
  neap_abort();
  printf("aborted: %s '%s'\n", neap_get("to").data, neap_conflict().data);
}

/* Another call changes what this one rests on: it writes "x" when "ready" says so, and then "go". */
static void contend(void *context) {
  runs++;
  neap_bytes x = neap_get("x");
  *(bool *)context = x.data != NULL;
  neap_post("ready", "", 0);
  neap_log_await("go", 1, 10000);
  neap_put("y", x.data == NULL ? "none" : x.data, x.data == NULL ? 4 : x.size);
}

static void reader(void) {
  bool found;
  neap_begin(NEAP_SERIALIZABLE);
  contend(&found);
  bool committed = neap_commit();
  printf("refused: %d '%s' %d", committed, neap_conflict().data, neap_get("y").data == NULL);
  neap_transact(NEAP_SERIALIZABLE, contend, &found);
  printf(" %d %s\n", runs, neap_get("y").data);
}

static void writer(void) {
  neap_log_await("ready", 1, 10000);
  neap_put("x", "1", 1);
  neap_post("go", "", 0);
}

static void locks(void) {
  int64_t token = neap_lock("l"), again = neap_try_lock("l");
  neap_unlock("l");
  neap_unlock("l");
  int64_t next = neap_lock("l");
  printf("lock: %d %d %d\n", token > 0, again > 0, next > token);
  neap_unlock("l");
}

static void logbook(void) {
  const char *tags[] = {"feed", "two"};
  char large[10000];
  memset(large, 'x', sizeof large);
  neap_appended first = neap_append("feed", "one", 3);
  neap_condition length = {"feed", NEAP_LENGTH_IS, 1}, last = {"feed", NEAP_LAST_IS, first.seqnum};
  neap_condition both[] = {length, last};
  neap_appended second = neap_append_if(tags, 2, large, sizeof large, both, 2);
  neap_appended third = neap_append_if(tags, 2, "no", 2, &last, 1);
  printf("append: %d %d %d %s %d\n", first.seqnum > 0, second.seqnum > first.seqnum, third.refused == NEAP_CONFLICT, third.tag,
         third.winner == second.seqnum);
  neap_condition gap = {"two", NEAP_LENGTH_IS, 5};
  neap_appended early = neap_append_if(&tags[1], 1, "no", 2, &gap, 1);
  printf("gap: %d %lld\n", early.refused == NEAP_GAP, (long long)early.length);
  neap_post("feed", "three", 5);
  neap_record newest = neap_log_prev("feed", NEAP_MAX_SEQNUM), after = neap_log_next("feed", first.seqnum + 1);
  printf("read: %s %zu %d %d\n", newest.data, after.size, memcmp(after.data, large, sizeof large), after.seqnum == second.seqnum);
  neap_record none = neap_log_await("feed", newest.seqnum + 1, 1);
  printf("none: %d %lld\n", none.data == NULL, (long long)none.gone_up_to);
  neap_close("two", "end", 3);
  neap_record closing = neap_log_prev("two", NEAP_MAX_SEQNUM);
  neap_appended late = neap_append("two", "late", 4);
  printf("close: %s %d %d %d\n", closing.data, closing.closes, late.refused == NEAP_CLOSED, neap_tail("two").closed);
  neap_trim("feed", first.seqnum);
  neap_log_tail tail = neap_tail("feed");
  neap_record gone = neap_log_prev("feed", first.seqnum);
  printf("trim: %lld %d %d %d\n", (long long)tail.length, tail.last == newest.seqnum, tail.gone_up_to == first.seqnum,
         gone.data == NULL && gone.gone_up_to == first.seqnum);
  neap_trim_all(newest.seqnum);
  printf("trim all: %d\n", neap_log_prev("feed", NEAP_MAX_SEQNUM).gone_up_to == newest.seqnum);
}

static void requests(void) {
  neap_http_response got = neap_http_get("http://there/a"), posted = neap_http_post("http://there/b", "text");
  printf("http: %d %s | %s\n", got.status, got.body.data, posted.body.data);
  neap_bytes type = neap_http_header(&got, "content-type"), none = neap_http_header(&got, "content");
  printf("header: %s %d\n", type.data, none.data == NULL);
  neap_http_response denied = neap_http_request_once("PUT", "http://nowhere/", "X-A: b", "x", 1);
  printf("denied: %d %s %d\n", denied.status, denied.error.data, denied.message.size > 0);
  neap_http_response large = neap_http_request("GET", "http://there/large", "X-A: b\nX-C: d", NULL, 0);
  printf("large: %zu %s\n", large.body.size, large.error.data);
}

static void many(bool reads) {
  neap_begin(NEAP_READ_ATOMIC);
  for (int i = 0; i <= 300; i++) {
    char key[16];
    snprintf(key, sizeof(key), "many/%d", i);
    neap_put(key, "", 0);
  }
  if (reads) neap_get("many/0");
  neap_commit();
}

/* What may not be asked for. */
static void mistake(const char *which) {
  char long_tag[258], *large = (char *)calloc(1, 262145);
  memset(long_tag, 't', 257);
  long_tag[257] = 0;
  const char *tags[17], *twice[] = {"a", "b", "a"};
  for (int i = 0; i < 17; i++) tags[i] = i == 0 ? "first" : &long_tag[240 + i];
  neap_condition low = {"feed", NEAP_LENGTH_IS, -1}, high = {"feed", NEAP_LAST_IS, NEAP_MAX_SEQNUM + 1}, many[17] = {low};
  if (strcmp(which, "key") == 0) neap_get("");
  if (strcmp(which, "key text") == 0) neap_put("a\nb", "", 0);
  if (strcmp(which, "offset") == 0) neap_read("x", -1, large, 1);
  if (strcmp(which, "lock") == 0) neap_try_lock("");
  if (strcmp(which, "isolation") == 0) neap_begin((enum neap_isolation)3);
  if (strcmp(which, "long") == 0) neap_append(long_tag, "", 0);
  if (strcmp(which, "empty") == 0) neap_tail("");
  if (strcmp(which, "control") == 0) neap_log_next("a\nb", 0);
  if (strcmp(which, "no text") == 0) neap_log_next("\xff", 0);
  if (strcmp(which, "tags") == 0) neap_append_if(tags, 17, "", 0, NULL, 0);
  if (strcmp(which, "no tags") == 0) neap_append_if(tags, 0, "", 0, NULL, 0);
  if (strcmp(which, "twice") == 0) neap_append_if(twice, 3, "", 0, NULL, 0);
  if (strcmp(which, "low") == 0) neap_append_if(twice, 2, "text", 4, &low, 1);
  if (strcmp(which, "high") == 0) neap_append_if(twice, 2, "text", 4, &high, 1);
  if (strcmp(which, "conditions") == 0) neap_append_if(twice, 2, "text", 4, many, 17);
  if (strcmp(which, "large") == 0) neap_post("feed", large, 262145);
  if (strcmp(which, "next") == 0) neap_log_next("feed", INT64_MIN);
  if (strcmp(which, "trim") == 0) neap_trim("feed", -1);
  if (strcmp(which, "trim all") == 0) neap_trim_all(INT64_MAX);
}

int main(void) {
  const char *input = neap_input().data;
  if (strncmp(input, "wrong ", 6) == 0) mistake(input + 6);
  if (strcmp(input, "reader") == 0) reader();
  if (strcmp(input, "writer") == 0) writer();
  if (strcmp(input, "many") == 0) many(false);
  if (strcmp(input, "many and a read") == 0) many(true);
  if (strcmp(input, "") != 0 && strcmp(input, "fail") != 0 && strcmp(input, "commit") != 0) return 0;
  if (strcmp(input, "fail") == 0) neap_unlock("not held");
  if (strcmp(input, "commit") == 0) neap_commit();
  transactions();
  locks();
  logbook();
  requests();
  printf("end\n");
  return 0;
}
