/* Stands where Deno stands, and breaks one rule: the one that the program it is given names. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETUP = 1, RUN = 2 };
enum { HELLO = 32, READY = 33, LOG = 35, TIMER = 37, WARN = 39, DONE = 40, ASK = 41 };

static void all(int reads, void *bytes, size_t left) {
  for (char *at = bytes; left > 0;) {
    ssize_t done = reads ? read(0, at, left) : write(1, at, left);
    if (done <= 0) _exit(0);
    at += done, left -= done;
  }
}

static uint8_t frame_kind;
static char *frame;

static void take(void) {
  uint32_t length;
  all(1, &length, 4);
  all(1, &frame_kind, 1);
  free(frame);
  frame = calloc(length, 1);
  all(1, frame, length - 1);
}

static void put_long(uint32_t claimed, uint8_t kind, const void *body, size_t bytes) {
  all(0, &claimed, 4);
  all(0, &kind, 1);
  all(0, (void *)body, bytes);
}

static void put(uint8_t kind, const void *body, size_t bytes) { put_long(1 + bytes, kind, body, bytes); }

static void done(void) {
  static const char head[] = "{\"kind\":\"returned\",\"thrown\":null,\"outstanding\":0,\"rejections\":[],\"more_rejections\":0,\"heap_kb\":1}";
  char body[256];
  uint32_t bytes = sizeof head - 1;
  memcpy(body, &bytes, 4);
  memcpy(body + 4, head, bytes);
  body[4 + bytes] = '2';
  put(DONE, body, 5 + bytes);
}

static void timer(uint32_t number) {
  struct __attribute__((packed)) { uint32_t number; double ms; uint8_t repeats; } body = { number, 60000, 0 };
  put(TIMER, &body, sizeof body);
}

static void *sleeper(void *unused) {
  for (;;) sleep(1);
  return unused;
}

static void touch(size_t bytes) {
  volatile char *memory = malloc(bytes);
  for (size_t at = 0; memory != NULL && at < bytes; at += 4096) memory[at] = 1;
}

/* More than a text may have. */
static char text[64 * 1024 + 2];

/* After the length of what is told of the program, and that, comes its text. */
static int is(const char *name) { return strstr(frame + 4 + *(uint32_t *)frame, name) != NULL; }

static void run(void) {
  memset(text, 'x', sizeof text);
  if (is("many_threads")) {
    for (pthread_t thread; pthread_create(&thread, NULL, sleeper, NULL) == 0;) {}
    sleeper(NULL);
  } else if (is("long_line")) {
    text[0] = 1;
    put(LOG, text, sizeof text);
  } else if (is("unknown_level")) {
    put(LOG, "\x09x", 2);
  } else if (is("long_warning")) {
    put(WARN, text, sizeof text);
  } else if (is("long_question")) {
    text[0] = 2;
    put(ASK, text, sizeof text);
  } else if (is("unknown_digest")) {
    put(ASK, "\x01\x05\0\0\0x", 6);
  } else if (is("unknown_question")) {
    put(ASK, "\x07x", 2);
  } else if (is("short_question")) {
    put(ASK, "", 0);
  } else if (is("deaf_questioner")) {
    /* The answers fill the socket and then the worker's queue. */
    for (;;) put(ASK, "\x02\nName\nmessage", 14);
  } else if (is("odd_timer")) {
    timer(7);
  } else if (is("many_timers")) {
    for (uint32_t number = 1; number <= 1001; number++) timer(number);
  } else if (is("early_ready")) {
    put(READY, NULL, 0);
  } else if (is("second_hello")) {
    put(HELLO, "{}", 2);
  } else if (is("huge_frame")) {
    put_long(UINT32_MAX, LOG, NULL, 0);
  } else if (is("unknown_frame")) {
    put(99, NULL, 0);
  } else if (is("broken_end")) {
    put(DONE, "\x02\0\0\0{}", 6);
  } else if (is("work_at_rest")) {
    done();
    put(READY, NULL, 0);
    for (;;) {}
  } else if (is("memory_at_rest")) {
    done();
    put(READY, NULL, 0);
    touch((size_t)200 << 20);
  } else if (is("never_ready")) {
    done();
    sleeper(NULL);
  } else {
    done();
    put(READY, NULL, 0);
  }
}

int main(void) {
  take();
  put(HELLO, "{\"deno\":\"impostor\",\"v8\":\"none\"}", 31);
  put(READY, NULL, 0);
  for (;;) {
    take();
    if (frame_kind == RUN) run();
  }
}
