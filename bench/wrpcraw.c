/* wrpcraw: the cheapest sensible wRPC peer (one thread, one socket, poll, no library), the yardstick for calls of 1.x hosts (wrpc-1x.md §3.4).
 *   wrpcraw echo PORT SUBJECT QUEUE            answers each call with its parameters, at the end of the parameters, until SIGTERM
 *   wrpcraw load PORT SUBJECT INFLIGHT SECONDS WARMUP @FILE    one JSON line; a call is: parameters, accept, end of parameters, values, end
 *   wrpcraw pull PORT SUBJECT INFLIGHT SECONDS WARMUP @FILE    the same for an answer that is one stream at path 0: ends with that
 *   wrpcraw push PORT SUBJECT INFLIGHT SECONDS WARMUP @FILE COUNT SIZE   calls that send a stream of COUNT pieces of SIZE bytes at path 1
 * gcc -O2 -o wrpcraw wrpcraw.c
 */
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
typedef struct { char *subj; size_t subj_n; char *reply; size_t reply_n; char *pay; size_t pay_n; } msg_t;
static int next_msg(msg_t *m) {
  for (;;) {
    char *p = in + pos, *e = memchr(p, '\n', in_len - pos);
    if (!e) return 0;
    if (p[0] == 'M' || p[0] == 'H') {
      char *f[6]; size_t fn[6]; int n = 0, headers = p[0] == 'H'; char *q = p;
      while (q < e && n < 6) { while (*q == ' ') q++; f[n] = q; while (*q != ' ' && *q != '\r') q++; fn[n] = q - f[n]; n++; if (*q == '\r') break; }
      m->subj = f[1]; m->subj_n = fn[1]; m->reply = 0; m->reply_n = 0;
      if (n == (headers ? 6 : 5)) { m->reply = f[3]; m->reply_n = fn[3]; }
      size_t sz = strtoul(f[n - 1], 0, 10), skip = headers ? strtoul(f[n - 2], 0, 10) : 0;
      if ((size_t)(in + in_len - (e + 1)) < sz + 2) return 0;
      m->pay = e + 1 + skip; m->pay_n = sz - skip; pos = (e + 1 - in) + sz + 2;
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
static int cmpf(const void *a, const void *b) { float x = *(float *)a, y = *(float *)b; return x < y ? -1 : x > y; }
static char *payload(const char *given, size_t *n) {
  FILE *f = fopen(given + 1, "rb"); if (!f) { perror(given + 1); exit(1); }
  char *pay = malloc(1 << 24); *n = fread(pay, 1, 1 << 24, f); fclose(f);
  return pay;
}
static void pub(const char *subject, size_t n, const char *rest, const void *data, size_t size) {
  char line[512];
  put(line, sprintf(line, "PUB %.*s%s %zu\r\n", (int)n, subject, rest, size)); put(data, size); put("\r\n", 2);
}
/* The number behind the last dot but `dots` of a subject, and where it ends. */
static int number(msg_t *m, const char *prefix, size_t prefix_n, char **end) {
  if (m->subj_n < prefix_n || memcmp(m->subj, prefix, prefix_n)) return -1;
  return strtol(m->subj + prefix_n, end, 10);
}
#define CALLS 4096
static struct { char reply[160], *pay; size_t reply_n, pay_n; } calls[CALLS];
static void respond(int argc, char **v) {
  char line[512], inbox[64]; msg_t m; int next = 0;
  size_t n = sprintf(inbox, "_INBOX.w%d.", getpid());
  put(line, sprintf(line, "SUB %s %s 1\r\nSUB %s> 2\r\nPING\r\n", v[3], argc > 4 ? v[4] : "", inbox));
  flush_some(); puts("READY"); fflush(stdout);
  for (;;) {
    fill(-1);
    while (next_msg(&m)) {
      char *end; int i = number(&m, inbox, n, &end);
      if (i < 0) {
        i = next++ % CALLS;
        memcpy(calls[i].reply, m.reply, calls[i].reply_n = m.reply_n);
        calls[i].pay = realloc(calls[i].pay, m.pay_n + 1); memcpy(calls[i].pay, m.pay, calls[i].pay_n = m.pay_n);
        put(line, sprintf(line, "PUB %.*s %s%d 0\r\n\r\n", (int)m.reply_n, m.reply, inbox, i));
      } else if (!m.pay_n && m.subj + m.subj_n - end == 7) {
        pub(calls[i].reply, calls[i].reply_n, ".results", calls[i].pay, calls[i].pay_n);
        pub(calls[i].reply, calls[i].reply_n, ".results", "", 0);
      }
    }
    flush_some();
  }
}
int main(int c, char **v) {
  if (c < 4) return 2;
  conn(atoi(v[2]));
  if (!strcmp(v[1], "echo")) respond(c, v);
  int pull = !strcmp(v[1], "pull"), push = !strcmp(v[1], "push");
  if (c < 8 || (push && c < 10)) return 2;
  int infl = atoi(v[4]); double secs = atof(v[5]), warm = atof(v[6]);
  size_t pn, piece_n = 0; char *pay = payload(v[7], &pn), *piece = 0; int pieces = 0;
  if (push) {
    pieces = atoi(v[8]); size_t size = atol(v[9]), k = size;
    piece = malloc(size + 10);
    while (k > 127) { piece[piece_n++] = (k & 127) | 128; k >>= 7; }
    piece[piece_n++] = k; memset(piece + piece_n, 'x', size); piece_n += size;
  }
  char line[512], inbox[64]; msg_t m;
  size_t pre = sprintf(inbox, "_INBOX.w%d.", getpid());
  put(line, sprintf(line, "SUB %s> 1\r\n", inbox));
  const char *head = "NATS/1.0\r\nsource-id: comp\r\nlink-name: default\r\n\r\n"; size_t hn = strlen(head);
  double *t0 = calloc(infl, sizeof *t0); size_t cap = 1 << 22, n = 0; float *lat = malloc(cap * sizeof *lat);
  char (*first)[256] = calloc(infl, 256); int *fl = calloc(infl, sizeof *fl);
  for (int i = 0; i < infl; i++) {
    fl[i] = sprintf(first[i], "HPUB %s %s%d %zu %zu\r\n%s", v[3], inbox, i, hn, hn + pn, head);
    t0[i] = now(); put(first[i], fl[i]); put(pay, pn); put("\r\n", 2);
  }
  flush_some();
  const char *last_path = pull ? ".results.0" : push ? ".results.0" : ".results"; size_t last_n = strlen(last_path);
  double start = now(), ms = 0, end = start + warm + secs, t = start, last = start; size_t bytes = 0;
  while (t < end) {
    fill(1000); t = now();
    if (t - last > 8) { fprintf(stderr, "stalled\n"); return 3; }
    if (!ms && t - start >= warm) { ms = t; n = 0; bytes = 0; }
    while (next_msg(&m)) {
      char *rest; int i = number(&m, inbox, pre, &rest);
      size_t rest_n = m.subj + m.subj_n - rest;
      if (i < 0) continue;
      if (!rest_n) {
        if (!m.reply) { fprintf(stderr, "no responders\n"); return 4; }
        pub(m.reply, m.reply_n, ".params", "", 0);
        for (int k = 0; k < pieces; k++) pub(m.reply, m.reply_n, ".params.1", piece, piece_n);
        if (push) { pub(m.reply, m.reply_n, ".params.1", "\0", 1); pub(m.reply, m.reply_n, ".params.1", "", 0); }
        continue;
      }
      bytes += m.pay_n;
      if (m.pay_n || rest_n != last_n || memcmp(rest, last_path, last_n)) continue;
      last = t;
      if (n == cap) { cap *= 2; lat = realloc(lat, cap * sizeof *lat); }
      double tn = now(); lat[n++] = (tn - t0[i]) * 1e6;
      t0[i] = tn; put(first[i], fl[i]); put(pay, pn); put("\r\n", 2);
    }
    flush_some();
  }
  double el = now() - ms;
  if (!n) { fprintf(stderr, "no answers\n"); return 5; }
  qsort(lat, n, sizeof *lat, cmpf);
  printf("{\"rate\":%.1f,\"n\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"bytes\":%zu}\n", n / el, n, lat[n / 2], lat[n * 99 / 100], lat[n - 1], bytes / n);
  return 0;
}
