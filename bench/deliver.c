/* SPDX-License-Identifier: Apache-2.0 */
/* deliver DEVICE MAC TRACE MILLISECONDS CPU: sends the packets of the trace (records of 12 bytes: source, destination,
   ports, in network order; TCP) over and over from one CPU, in small groups, so that the other end of the veth pair has
   judged each before the next comes. Prints how many nanoseconds of processor time a packet took: this process's, in which
   most of the receiving happens, and ksoftirqd's of that CPU. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { group = 32, records_max = 65536 };

struct record {
    uint32_t source, destination;
    uint16_t source_port, destination_port;
};
struct frame {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct tcphdr tcp;
} __attribute__((packed));

static struct record trace[records_max];
static struct frame frames[group];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What ksoftirqd of the CPU has run so far. */
static uint64_t softirq_ns(int cpu) {
    static int pid;
    char path[64], name[32], wanted[32];
    unsigned long long ns = 0;

    snprintf(wanted, sizeof wanted, "ksoftirqd/%d\n", cpu);
    for (int i = 2; !pid && i < 4096; i++) {
        snprintf(path, sizeof path, "/proc/%d/comm", i);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        if (fgets(name, sizeof name, f) && !strcmp(name, wanted)) pid = i;
        fclose(f);
    }
    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%llu", &ns) != 1) die("deliver: ksoftirqd's time");
    fclose(f);
    return ns;
}

static uint16_t ip_sum(struct iphdr ip) {
    uint16_t word[10];
    uint32_t sum = 0;

    memcpy(word, &ip, sizeof word);
    for (int i = 0; i < 10; i++)
        sum += word[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~(sum + (sum >> 16));
}

static void set_up(struct frame *f, const char *mac) {
    unsigned m[6];

    memset(f, 0, sizeof *f);
    if (sscanf(mac, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) die(mac);
    for (int i = 0; i < 6; i++)
        f->ethernet.h_dest[i] = (unsigned char)m[i];
    f->ethernet.h_source[0] = 2;
    f->ethernet.h_proto = htons(ETH_P_IP);
    f->ip.version = 4;
    f->ip.ihl = 5;
    f->ip.ttl = 64;
    f->ip.protocol = IPPROTO_TCP;
    f->ip.tot_len = htons(sizeof *f - sizeof f->ethernet);
    f->tcp.doff = 5;
    f->tcp.ack = 1;
}

static void fill(struct frame *f, const struct record *r) {
    f->ip.saddr = r->source;
    f->ip.daddr = r->destination;
    f->ip.check = 0;
    f->ip.check = ip_sum(f->ip);
    f->tcp.source = r->source_port;
    f->tcp.dest = r->destination_port;
}

int main(int count, char **argument) {
    struct mmsghdr messages[group] = {0};
    struct iovec pieces[group];
    cpu_set_t one;

    if (count != 6) return 2;
    FILE *file = fopen(argument[3], "rb");
    if (!file) die(argument[3]);
    const size_t records = fread(trace, sizeof trace[0], records_max, file);
    const uint64_t limit = strtoull(argument[4], 0, 10) * 1000000;
    const int cpu = atoi(argument[5]), s = socket(AF_PACKET, SOCK_RAW, 0), yes = 1;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argument[1])};
    if (records == 0 || s < 0 || bind(s, (struct sockaddr *)&to, sizeof to)) die("deliver");
    if (setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes)) die("deliver: bypass");
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one)) die("deliver: CPU");
    for (int i = 0; i < group; i++) {
        set_up(&frames[i], argument[2]);
        pieces[i] = (struct iovec){&frames[i], sizeof frames[i]};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    uint64_t sent = 0, begun = 0, cpu_before = 0, softirq_before = 0;
    for (size_t next = 0, rounds = 0;; rounds++) {
        if (rounds == 8) { /* warm */
            sent = 0;
            begun = now(CLOCK_MONOTONIC);
            softirq_before = softirq_ns(cpu);
            cpu_before = now(CLOCK_PROCESS_CPUTIME_ID);
        }
        for (int i = 0; i < group; i++, next = (next + 1) % records)
            fill(&frames[i], &trace[next]);
        for (int done = 0, n; done < group; done += n)
            if ((n = sendmmsg(s, messages + done, (unsigned)(group - done), 0)) < 0) die("deliver: send");
        sent += group;
        if (rounds > 8 && now(CLOCK_MONOTONIC) - begun > limit) break;
    }
    const uint64_t took = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_before + softirq_ns(cpu) - softirq_before;
    printf("%.1f %llu\n", (double)took / (double)sent, (unsigned long long)sent);
    return 0;
}
