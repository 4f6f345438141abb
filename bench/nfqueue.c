// SPDX-License-Identifier: Apache-2.0
// nfqueue NUMBER: accepts every packet of a netfilter queue, one verdict a packet; what one would write without Sluice.
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <stdint.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int accept_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *packet, void *data)
{
    (void)message;
    (void)data;
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(packet);
    return header ? nfq_set_verdict(queue, ntohl(header->packet_id), NF_ACCEPT, 0, NULL) : 0;
}

int main(int count, char **arguments)
{
    static char buffer[65536];
    if (count != 2) {
        fprintf(stderr, "usage: nfqueue NUMBER\n");
        return 2;
    }
    struct nfq_handle *handle = nfq_open();
    struct nfq_q_handle *queue = handle ? nfq_create_queue(handle, atoi(arguments[1]), accept_packet, NULL) : NULL;
    if (!queue || nfq_set_mode(queue, NFQNL_COPY_PACKET, 128) < 0) {
        perror("nfqueue");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        ssize_t length = recv(nfq_fd(handle), buffer, sizeof buffer, 0);
        if (length > 0)
            nfq_handle_packet(handle, buffer, (int)length);
    }
}
