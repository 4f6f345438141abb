// SPDX-License-Identifier: Apache-2.0
// nfqueue NUMBER [batch]: accepts every packet of a netfilter queue, one verdict a packet, or one for all that were
// waiting; what one would write without Sluice.
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <stdint.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int batched;
static uint32_t last;

static int accept_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *packet, void *data)
{
    (void)message;
    (void)data;
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(packet);
    if (!header)
        return 0;
    last = ntohl(header->packet_id);
    return batched ? 0 : nfq_set_verdict(queue, last, NF_ACCEPT, 0, NULL);
}

int main(int count, char **arguments)
{
    static char buffer[65536];
    if (count != 2 && count != 3) {
        fprintf(stderr, "usage: nfqueue NUMBER [batch]\n");
        return 2;
    }
    batched = count == 3;
    struct nfq_handle *handle = nfq_open();
    struct nfq_q_handle *queue = handle ? nfq_create_queue(handle, atoi(arguments[1]), accept_packet, NULL) : NULL;
    if (!queue || nfq_set_mode(queue, NFQNL_COPY_PACKET, 128) < 0) {
        perror("nfqueue");
        return 1;
    }
    nfq_set_queue_maxlen(queue, 4096);
    puts("ready");
    fflush(stdout);
    uint32_t told = 0;
    for (;;) {
        ssize_t length = recv(nfq_fd(handle), buffer, sizeof buffer, batched && last != told ? MSG_DONTWAIT : 0);
        if (length > 0)
            nfq_handle_packet(handle, buffer, (int)length);
        if (batched && last != told && (length <= 0 || last - told >= 64)) {
            nfq_set_verdict_batch(queue, last, NF_ACCEPT);
            told = last;
        }
    }
}
