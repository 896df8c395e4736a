// A list of numbers that threads take from, through a ring with a lock and two conditions: the sum of what they have found.
#include <pthread.h>
#include <stdio.h>

#define THREADS 3
#define NUMBERS 2000
#define RING 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t own;
static int ring[RING], first, count, begun, is_over;
static long long sum;

static void begin(void) { begun++; }

static void add(void *found) {
  pthread_mutex_lock(&lock);
  sum += *(long long *)found;
  pthread_mutex_unlock(&lock);
}

static int take(void) {
  pthread_mutex_lock(&lock);
  while (count == 0 && !is_over) {
    pthread_cond_wait(&filled, &lock);
  }
  int number = 0;
  if (count > 0) {
    number = ring[first];
    first = (first + 1) % RING;
    count--;
    pthread_cond_signal(&emptied);
  }
  pthread_mutex_unlock(&lock);
  return number;
}

static void *consume(void *found) {
  pthread_once(&once, begin);
  pthread_setspecific(own, found);
  for (int number = take(); number != 0; number = take()) {
    *(long long *)pthread_getspecific(own) += (long long)number * number;
  }
  pthread_exit(found);
}

int main(void) {
  pthread_t threads[THREADS];
  long long found[THREADS] = {0};
  pthread_cond_init(&emptied, NULL);
  pthread_key_create(&own, add);
  for (int at = 0; at < THREADS; at++) {
    if (pthread_create(&threads[at], NULL, consume, &found[at]) != 0) {
      return 1;
    }
  }
  for (int number = 1; number <= NUMBERS; number++) {
    pthread_mutex_lock(&lock);
    while (count == RING) {
      pthread_cond_wait(&emptied, &lock);
    }
    ring[(first + count++) % RING] = number;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
  }
  pthread_mutex_lock(&lock);
  is_over = 1;
  pthread_cond_broadcast(&filled);
  pthread_mutex_unlock(&lock);
  int returned = 0;
  for (int at = 0; at < THREADS; at++) {
    void *value = NULL;
    returned += pthread_join(threads[at], &value) == 0 && value == &found[at];
  }
  printf("%lld %d %d", sum, returned, begun);
  return 0;
}
