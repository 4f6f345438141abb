// SPDX-License-Identifier: Apache-2.0
// nfqueue NUMBER [BATCH [BYTES]]: accepts every packet of a netfilter queue, of which BYTES are copied to here (128);
// one verdict a packet, or one for up to BATCH that were waiting. What one would write without Sluice.
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <stdint.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static uint32_t batch = 1;
static uint32_t last;

static int accept_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *packet, void *data)
{
    (void)message;
    (void)data;
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(packet);
    if (!header)
        return 0;
    last = ntohl(header->packet_id);
    return batch > 1 ? 0 : nfq_set_verdict(queue, last, NF_ACCEPT, 0, NULL);
}

int main(int count, char **arguments)
{
    static char buffer[65536];
    if (count < 2 || count > 4) {
        fprintf(stderr, "usage: nfqueue NUMBER [BATCH [BYTES]]\n");
        return 2;
    }
    if (count > 2)
        batch = (uint32_t)atoi(arguments[2]);
    const uint32_t bytes = count > 3 ? (uint32_t)atoi(arguments[3]) : 128;
    struct nfq_handle *handle = nfq_open();
    struct nfq_q_handle *queue = handle ? nfq_create_queue(handle, atoi(arguments[1]), accept_packet, NULL) : NULL;
    if (!queue || nfq_set_mode(queue, NFQNL_COPY_PACKET, bytes) < 0) {
        perror("nfqueue");
        return 1;
    }
    nfq_set_queue_maxlen(queue, 4096);
    puts("ready");
    fflush(stdout);
    uint32_t told = 0;
    for (;;) {
        ssize_t length = recv(nfq_fd(handle), buffer, sizeof buffer, batch > 1 && last != told ? MSG_DONTWAIT : 0);
        if (length > 0)
            nfq_handle_packet(handle, buffer, (int)length);
        if (batch > 1 && last != told && (length <= 0 || last - told >= batch)) {
            nfq_set_verdict_batch(queue, last, NF_ACCEPT);
            told = last;
        }
    }
}
