/* A classic BPF program on the listening socket, written again whenever the list of refused
 * addresses changes. It needs no privilege, and sees a packet from its TCP header on. */
#include "http_gate.h"

#include "daemon/log.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TCP_FLAGS_AT 13
#define TCP_SYN_ACK 0x12
#define TCP_SYN 0x02
#define IP_VERSION_AT SKF_NET_OFF
#define IP_VERSION_MASK 0xf0
#define IP_VERSION_4 0x40
#define IPV4_SOURCE_AT (SKF_NET_OFF + 12)
#define IPV6_SOURCE_AT (SKF_NET_OFF + 8)

#define TAKE BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)
#define LOAD(width, at) BPF_STMT(BPF_LD | (width) | BPF_ABS, (uint32_t)(at))
/* Skips `else_skip` statements unless they are equal. */
#define IF_EQUAL(value, then_skip, else_skip)                                                      \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then_skip), (else_skip))

#define STATEMENTS_FIXED 12
#define STATEMENTS_EACH 5 /* of an IPv6 address; an IPv4 address takes 2 */

struct gate_entry {
    uint64_t key;
    unsigned accepted;
};

struct gate_program {
    unsigned short n;
    struct sock_filter statements[STATEMENTS_FIXED + HTTP_GATE_ADDRESSES * STATEMENTS_EACH];
};

struct http_gate {
    int fd; /* -1: not listening yet */
    bool failed;
    size_t n;
    struct gate_entry entries[HTTP_GATE_ADDRESSES];
};

/* ---- the program ---- */

static void gate_write(struct gate_program *program, struct sock_filter statement)
{
    program->statements[program->n++] = statement;
}

static bool is_refused(const struct gate_entry *entry)
{
    return entry->accepted >= HTTP_GATE_ACCEPTS;
}

static uint32_t upper_half(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

/* address_key() of an IPv4 address is 1 and the address; of an IPv6 one it is its /64. */
static bool is_ipv4(const struct gate_entry *entry)
{
    return upper_half(entry->key) == 1;
}

/* Of the packets that begin a connection: drops those from refused IPv4 addresses. */
static void write_ipv4(struct gate_program *program, const struct http_gate *gate)
{
    gate_write(program, (struct sock_filter)LOAD(BPF_W, IPV4_SOURCE_AT));
    for (size_t i = 0; i < gate->n; i++) {
        const struct gate_entry *entry = &gate->entries[i];
        if (!is_refused(entry) || !is_ipv4(entry))
            continue;
        gate_write(program, (struct sock_filter)IF_EQUAL((uint32_t)entry->key, 0, 1));
        gate_write(program, (struct sock_filter)DROP);
    }
    gate_write(program, (struct sock_filter)TAKE);
}

/* The same of IPv6 networks. */
static void write_ipv6(struct gate_program *program, const struct http_gate *gate)
{
    for (size_t i = 0; i < gate->n; i++) {
        const struct gate_entry *entry = &gate->entries[i];
        if (!is_refused(entry) || is_ipv4(entry))
            continue;
        gate_write(program, (struct sock_filter)LOAD(BPF_W, IPV6_SOURCE_AT));
        gate_write(program, (struct sock_filter)IF_EQUAL(upper_half(entry->key), 0, 3));
        gate_write(program, (struct sock_filter)LOAD(BPF_W, IPV6_SOURCE_AT + 4));
        gate_write(program, (struct sock_filter)IF_EQUAL((uint32_t)entry->key, 0, 1));
        gate_write(program, (struct sock_filter)DROP);
    }
    gate_write(program, (struct sock_filter)TAKE);
}

static void write_program(struct gate_program *program, const struct http_gate *gate)
{
    const struct sock_filter start[] = {
        LOAD(BPF_B, TCP_FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN_ACK),
        IF_EQUAL(TCP_SYN, 1, 0),
        TAKE,
        LOAD(BPF_B, IP_VERSION_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, IP_VERSION_MASK),
        IF_EQUAL(IP_VERSION_4, 1, 0),
        BPF_STMT(BPF_JMP | BPF_JA, 0), /* over what follows for IPv4 */
    };
    for (size_t i = 0; i < sizeof start / sizeof start[0]; i++)
        gate_write(program, start[i]);
    unsigned short jump = (unsigned short)(program->n - 1);
    write_ipv4(program, gate);
    program->statements[jump].k = (uint32_t)(program->n - jump - 1);
    write_ipv6(program, gate);
}

/* ---- the list ---- */

/* The accepted connections inherit the program, which takes all of their packets. */
static void gate_install(struct http_gate *gate)
{
    struct gate_program program = {0};
    if (gate->fd < 0)
        return;
    write_program(&program, gate);
    const struct sock_fprog filter = {.len = program.n, .filter = program.statements};
    int none = 0;
    bool any = http_gate_refused(gate) > 0;
    int status = any ? setsockopt(gate->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter)
                     : setsockopt(gate->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
    if (status != 0 && any && !gate->failed)
        log_line(LOG_LEVEL_WARNING,
                 "the kernel takes no filter on the HTTP port, so connections of an address that "
                 "opens too many are accepted; let a firewall bound them",
                 "why=\"%s\"", strerror(errno));
    gate->failed = gate->failed || status != 0;
}

void http_gate_accepted(struct http_gate *gate, uint64_t key)
{
    size_t i = 0;
    while (i < gate->n && gate->entries[i].key != key)
        i++;
    if (i == HTTP_GATE_ADDRESSES)
        return;
    if (i == gate->n)
        gate->entries[gate->n++] = (struct gate_entry){.key = key};
    if (++gate->entries[i].accepted == HTTP_GATE_ACCEPTS)
        gate_install(gate);
}

bool http_gate_lift(struct http_gate *gate, bool (*may_connect)(void *user, uint64_t key),
                    void *user)
{
    bool changed = false;
    for (size_t i = gate->n; i-- > 0;) {
        if (!may_connect(user, gate->entries[i].key))
            continue;
        changed = changed || is_refused(&gate->entries[i]);
        gate->entries[i] = gate->entries[--gate->n];
    }
    if (changed)
        gate_install(gate);
    return gate->n > 0;
}

size_t http_gate_refused(const struct http_gate *gate)
{
    size_t n = 0;
    for (size_t i = 0; i < gate->n; i++)
        n += is_refused(&gate->entries[i]);
    return n;
}

/* ---- beginning and end ---- */

struct http_gate *http_gate_new(void)
{
    struct http_gate *gate = calloc(1, sizeof *gate);
    if (gate != NULL)
        gate->fd = -1;
    return gate;
}

void http_gate_free(struct http_gate *gate)
{
    free(gate);
}

void http_gate_listen(struct http_gate *gate, int fd)
{
    gate->fd = fd;
}
