/* SPDX-License-Identifier: Apache-2.0 */
/* SYNs from many addresses, as fast as the device takes them.

     flood DEVICE LINK-ADDRESS ADDRESS PORT COUNT

   Each comes from an address of its own: 10.128.0.0 and what follows. Prints how many were sent. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define PATIENCE 5000 /* times a millisecond */
#define FIRST_SOURCE 0x0a800000u
#define SOURCES_MAX (1u << 23)

struct frame {
    struct ether_header ethernet;
    struct iphdr ip;
    struct tcphdr tcp;
} __attribute__((packed));

static unsigned add_up(const void *data, unsigned bytes, unsigned sum) {
    const unsigned char *at = data;

    for (unsigned i = 0; i < bytes; i += 2)
        sum += at[i] << 8 | at[i + 1];
    return sum;
}

static unsigned short fold(unsigned sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons(~sum);
}

static void fill(struct frame *f, unsigned n) {
    f->ip.saddr = htonl(FIRST_SOURCE + n);
    f->ip.check = 0;
    f->ip.check = fold(add_up(&f->ip, sizeof f->ip, 0));
    f->tcp.source = htons(1024 + n % 60000);
    f->tcp.seq = htonl(n * 2654435761u);
    f->tcp.check = 0;
    f->tcp.check =
        fold(add_up(&f->tcp, sizeof f->tcp, add_up(&f->ip.saddr, 8, IPPROTO_TCP + sizeof f->tcp)));
}

static int parse_link(const char *text, unsigned char *link) {
    return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", link, link + 1, link + 2, link + 3,
                  link + 4, link + 5) == 6;
}

static int begin(struct frame *f, char **argv) {
    memset(f, 0, sizeof *f);
    f->ethernet.ether_type = htons(ETHERTYPE_IP);
    memcpy(f->ethernet.ether_shost, "\x02\0\0\0\0\x01", ETH_ALEN);
    f->ip.version = 4;
    f->ip.ihl = 5;
    f->ip.ttl = 64;
    f->ip.protocol = IPPROTO_TCP;
    f->ip.tot_len = htons(sizeof f->ip + sizeof f->tcp);
    f->tcp.dest = htons(atoi(argv[4]));
    f->tcp.doff = sizeof f->tcp / 4;
    f->tcp.syn = 1;
    f->tcp.window = htons(64240);
    return parse_link(argv[2], f->ethernet.ether_dhost) &&
           inet_pton(AF_INET, argv[3], &f->ip.daddr) == 1;
}

static unsigned send_all(int s, const struct frame *first, unsigned count) {
    static struct frame frames[BATCH];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    unsigned sent = 0, refused = 0;

    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < BATCH; i++) {
        frames[i] = *first;
        parts[i] = (struct iovec){&frames[i], sizeof frames[i]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (sent < count) {
        unsigned n = count - sent < BATCH ? count - sent : BATCH;
        int done;

        for (unsigned i = 0; i < n; i++)
            fill(&frames[i], sent + i);
        done = sendmmsg(s, messages, n, 0);
        if (done < 0 && (errno != ENOBUFS || ++refused > PATIENCE)) {
            perror("sendmmsg");
            return sent;
        }
        if (done < 0) { /* the device's queue is full: who empties it needs the processor */
            usleep(1000);
            continue;
        }
        refused = 0;
        sent += done;
    }
    return sent;
}

int main(int argc, char **argv) {
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    struct frame first;
    unsigned count, sent;
    int s;

    if (argc != 6 || !begin(&first, argv)) {
        fprintf(stderr, "flood DEVICE LINK-ADDRESS ADDRESS PORT COUNT\n");
        return 2;
    }
    count = strtoul(argv[5], 0, 10);
    if (count > SOURCES_MAX) count = SOURCES_MAX;
    to.sll_ifindex = if_nametoindex(argv[1]);
    s = socket(AF_PACKET, SOCK_RAW, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&to, sizeof to)) {
        perror(argv[1]);
        return 1;
    }
    sent = send_all(s, &first, count);
    printf("%u\n", sent);
    return sent == count ? 0 : 1;
}
