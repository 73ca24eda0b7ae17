/* wrpcraw: the cheapest sensible wRPC peer (nats.h), the yardstick for calls of 1.x hosts (wrpc-1x.md §3.4).
 *   wrpcraw echo PORT SUBJECT QUEUE            answers each call with its parameters, at the end of the parameters, until SIGTERM
 *   wrpcraw load PORT SUBJECT INFLIGHT SECONDS WARMUP @FILE    one JSON line; a call is: parameters, accept, end of parameters, values, end
 *   wrpcraw pull PORT SUBJECT INFLIGHT SECONDS WARMUP @FILE    the same for an answer that is one stream at path 0: ends with that
 *   wrpcraw push PORT SUBJECT INFLIGHT SECONDS WARMUP @FILE COUNT SIZE   calls that send a stream of COUNT pieces of SIZE bytes at path 1
 * gcc -O2 -o wrpcraw wrpcraw.c
 */
#include "nats.h"

static void pub(const char *subject, size_t n, const char *rest, const void *data, size_t size) {
  char line[512];
  put(line, sprintf(line, "PUB %.*s%s %zu\r\n", (int)n, subject, rest, size)); put(data, size); put("\r\n", 2);
}
/* The number behind the prefix of a subject, and where it ends; -1 for a subject of another prefix. */
static int number(msg_t *m, const char *prefix, size_t prefix_n, char **end) {
  if (m->subj_n < prefix_n || memcmp(m->subj, prefix, prefix_n)) return -1;
  return strtol(m->subj + prefix_n, end, 10);
}
#define CALLS 4096
static struct { char reply[160], *pay; size_t reply_n, pay_n; } calls[CALLS];
static void respond(int argc, char **v) {
  char line[512], inbox[64]; msg_t m; int next = 0;
  size_t n = sprintf(inbox, "_INBOX.w%d.", getpid());
  put(line, sprintf(line, "SUB %s %s 1\r\nSUB %s> 2\r\n", v[3], argc > 4 ? v[4] : "", inbox));
  ready();
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
  int infl = atoi(v[4]);
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
  ask_t *asks = calloc(infl, sizeof *asks);
  for (int i = 0; i < infl; i++) {
    ask_t *a = asks + i;
    a->head_n = sprintf(a->head, "HPUB %s %s%d %zu %zu\r\n%s", v[3], inbox, i, hn, hn + pn, head);
    a->pay = pay; a->pay_n = pn; a->asked = now(); ask(a);
  }
  const char *last_path = pull || push ? ".results.0" : ".results"; size_t last_n = strlen(last_path);
  begin(atof(v[5]), atof(v[6]));
  while (more()) {
    while (next_msg(&m)) {
      char *rest; int i = number(&m, inbox, pre, &rest);
      if (i < 0) continue;
      size_t rest_n = m.subj + m.subj_n - rest;
      if (!rest_n) {
        if (!m.reply) { fprintf(stderr, "no responders\n"); return 4; }
        pub(m.reply, m.reply_n, ".params", "", 0);
        for (int k = 0; k < pieces; k++) pub(m.reply, m.reply_n, ".params.1", piece, piece_n);
        if (push) { pub(m.reply, m.reply_n, ".params.1", "\0", 1); pub(m.reply, m.reply_n, ".params.1", "", 0); }
        continue;
      }
      bytes += m.pay_n;
      if (m.pay_n || rest_n != last_n || memcmp(rest, last_path, last_n)) continue;
      answered(asks + i);
      ask(asks + i);
    }
    flush_some();
  }
  return report();
}
