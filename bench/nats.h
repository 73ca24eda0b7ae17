/* What natsraw and wrpcraw share, each of which includes it once and first: a NATS client (one thread, one socket, poll, no library), which
 * keeps what was read in `in` and what is still to be written in `out`; and a load, which asks a fixed number of times at once and
 * measures the answers that come after the warm-up. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int fd;
static char *in; static size_t in_cap = 1 << 20, in_len, pos;
static char *out; static size_t out_cap = 1 << 20, out_len, out_off;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static double cpu(void) {
  struct rusage u; getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_utime.tv_usec * 1e-6 + u.ru_stime.tv_sec + u.ru_stime.tv_usec * 1e-6;
}
static void put(const void *p, size_t n) {
  if (out_off == out_len) out_off = out_len = 0;
  if (out_len + n > out_cap) { while (out_len + n > out_cap) out_cap *= 2; out = realloc(out, out_cap); }
  memcpy(out + out_len, p, n); out_len += n;
}
static void flush_some(void) {
  while (out_off < out_len) {
    ssize_t w = write(fd, out + out_off, out_len - out_off);
    if (w < 0) { if (errno == EAGAIN) return; perror("write"); exit(1); }
    out_off += w;
  }
}
static void conn(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (void *)&a, sizeof a)) { perror("connect"); exit(1); }
  int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  in = malloc(in_cap); out = malloc(out_cap);
  const char *c = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";
  put(c, strlen(c));
}
/* What a responder ends its subscriptions with. */
static void ready(void) { put("PING\r\n", 6); flush_some(); puts("READY"); fflush(stdout); }
/* The headers, head_n bytes, stand right before the payload. */
typedef struct { char *subj; size_t subj_n; char *reply; size_t reply_n; size_t head_n; char *pay; size_t pay_n; } msg_t;
static int next_msg(msg_t *m) {
  for (;;) {
    char *p = in + pos, *e = memchr(p, '\n', in_len - pos);
    if (!e) return 0;
    if (p[0] == 'M' || p[0] == 'H') {
      char *f[6]; size_t fn[6]; int n = 0, headers = p[0] == 'H'; char *q = p;
      while (q < e && n < 6) { while (*q == ' ') q++; f[n] = q; while (*q != ' ' && *q != '\r') q++; fn[n] = q - f[n]; n++; if (*q == '\r') break; }
      m->subj = f[1]; m->subj_n = fn[1]; m->reply = 0; m->reply_n = 0;
      if (n == (headers ? 6 : 5)) { m->reply = f[3]; m->reply_n = fn[3]; }
      size_t sz = strtoul(f[n - 1], 0, 10);
      m->head_n = headers ? strtoul(f[n - 2], 0, 10) : 0;
      if ((size_t)(in + in_len - (e + 1)) < sz + 2) return 0;
      m->pay = e + 1 + m->head_n; m->pay_n = sz - m->head_n; pos = (e + 1 - in) + sz + 2;
      return 1;
    }
    if (!memcmp(p, "PING", 4)) put("PONG\r\n", 6);
    else if (p[0] == '-') { fprintf(stderr, "%.*s\n", (int)(e - p), p); exit(1); }
    pos = e + 1 - in;
  }
}
static void fill(int timeout) {
  struct pollfd p = {.fd = fd, .events = POLLIN | (out_off < out_len ? POLLOUT : 0)};
  if (poll(&p, 1, timeout) <= 0) return;
  if (p.revents & POLLOUT) flush_some();
  if (p.revents & (POLLIN | POLLHUP)) {
    if (pos) { memmove(in, in + pos, in_len - pos); in_len -= pos; pos = 0; }
    if (in_cap - in_len < 65536) { in_cap *= 2; in = realloc(in, in_cap); }
    ssize_t r = read(fd, in + in_len, in_cap - in_len);
    if (r == 0) exit(0);
    if (r < 0 && errno != EAGAIN) { perror("read"); exit(1); }
    if (r > 0) in_len += r;
  }
}
/* SIZE | @FILE */
static char *payload(const char *given, size_t *n) {
  char *pay;
  if (given[0] == '@') {
    FILE *f = fopen(given + 1, "rb"); if (!f) { perror(given + 1); exit(1); }
    pay = malloc(1 << 24); *n = fread(pay, 1, 1 << 24, f); fclose(f);
  } else { *n = atol(given); pay = malloc(*n); memset(pay, 'x', *n); }
  return pay;
}

/* One of those in flight: what it sends each time, and when it did last. */
typedef struct { char head[256]; int head_n; char *pay; size_t pay_n; double asked; } ask_t;
static void ask(ask_t *a) { put(a->head, a->head_n); put(a->pay, a->pay_n); put("\r\n", 2); }

static float *lat; static size_t lat_cap = 1 << 22, lat_n, bytes;
static double woke, last, warm_until, from, until, cpu_from;

/* All have asked for the first time. */
static void begin(double secs, double warm) {
  flush_some();
  lat = malloc(lat_cap * sizeof *lat);
  woke = last = now(); warm_until = woke + warm; until = warm_until + secs;
}
/* Waits for what comes next; 0 when the time is over. */
static int more(void) {
  if (woke >= until) return 0;
  fill(1000); woke = now();
  if (woke - last > 8) { fprintf(stderr, "stalled\n"); exit(3); }
  if (!from && woke >= warm_until) { from = woke; lat_n = 0; bytes = 0; cpu_from = cpu(); }
  return 1;
}
/* It was answered, and asks again from now on. */
static void answered(ask_t *a) {
  last = woke;
  if (lat_n == lat_cap) { lat_cap *= 2; lat = realloc(lat, lat_cap * sizeof *lat); }
  double t = now(); lat[lat_n++] = (t - a->asked) * 1e6; a->asked = t;
}
static int cmpf(const void *a, const void *b) { float x = *(float *)a, y = *(float *)b; return x < y ? -1 : x > y; }
/* One JSON line, and what main returns. */
static int report(void) {
  double el = now() - from, used = cpu() - cpu_from; size_t n = lat_n;
  if (!n) { fprintf(stderr, "no replies\n"); return 5; }
  qsort(lat, n, sizeof *lat, cmpf);
  printf("{\"rate\":%.1f,\"n\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"reply_bytes\":%zu,\"cpu_us\":%.3f}\n",
         n / el, n, lat[n / 2], lat[n * 9 / 10], lat[n * 99 / 100], lat[n * 999 / 1000], lat[n - 1], bytes / n, used / n * 1e6);
  return 0;
}
