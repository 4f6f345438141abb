/* SPDX-License-Identifier: Apache-2.0
 * relay [--forget] NAME ADDRESS PORT: a proxy for redirected TCP connections that uses no library.
 *
 * What a proxy owes the machine is two calls: it takes the redirect records from the socket that it
 * accepted, and sets them on the one that it connects onward with, before connect(). Then the
 * engine knows whose connection that is, and other proxies get their turn instead of this one once
 * more. With --forget it leaves that out, as programs that know nothing of redirection do.
 *
 * A line on standard output for each connection: NAME, client, original destination, bytes of
 * records. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOL_SLUICE 0x534c
#define SO_REDIRECT_RECORDS 1
#define SO_REDIRECT_ORIGINAL_DST 3

static const char *name;
static int forget;

/* "10.0.0.1:80", "[fd00::1]:80" */
static void print_address(const struct sockaddr_storage *a) {
    char text[INET6_ADDRSTRLEN];

    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)a;
        printf(" %s:%u", inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text), ntohs(v4->sin_port));
    } else {
        const struct sockaddr_in6 *v6 = (const void *)a;
        printf(" [%s]:%u", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text),
               ntohs(v6->sin6_port));
    }
}

/* The onward connection of an accepted one, or -1. */
static int onward(int accepted) {
    struct sockaddr_storage client, original;
    socklen_t client_bytes = sizeof client, original_bytes = sizeof original, bytes = 1024;
    char records[1024];
    int s;

    if (getsockopt(accepted, SOL_SLUICE, SO_REDIRECT_ORIGINAL_DST, &original, &original_bytes) ||
        getpeername(accepted, (struct sockaddr *)&client, &client_bytes)) {
        perror("relay: not redirected");
        return -1;
    }
    s = socket(original.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (forget || getsockopt(accepted, SOL_SLUICE, SO_REDIRECT_RECORDS, records, &bytes)) bytes = 0;
    if (bytes && setsockopt(s, SOL_SLUICE, SO_REDIRECT_RECORDS, records, bytes))
        perror("relay: the records are refused");
    flockfile(stdout);
    printf("%s", name);
    print_address(&client);
    print_address(&original);
    printf(" %u\n", bytes);
    funlockfile(stdout);
    if (!connect(s, (struct sockaddr *)&original, original_bytes)) return s;
    perror("relay: connect");
    close(s);
    return -1;
}

/* Everything that can be read here is written there. 0: there is no more. */
static int copy(int from, int to) {
    static __thread char room[1 << 16];
    ssize_t got = read(from, room, sizeof room), done = 0;

    if (got <= 0) {
        shutdown(to, SHUT_WR);
        return 0;
    }
    while (done < got) {
        ssize_t n = write(to, room + done, got - done);
        if (n < 0) return 0;
        done += n;
    }
    return 1;
}

static void *serve(void *argument) {
    struct pollfd ends[2] = {{.fd = (int)(long)argument, .events = POLLIN}, {.events = POLLIN}};
    int other = onward(ends[0].fd), open = 2;
    const struct linger reset = {1, 0};

    ends[1].fd = other;
    if (other < 0) { /* the client hears of it as of a server that is not there */
        setsockopt((int)(long)argument, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        open = 0;
    }
    while (open && poll(ends, 2, -1) > 0)
        for (int i = 0; i < 2; i++)
            if (ends[i].revents &&
                !copy(i ? other : (int)(long)argument, i ? (int)(long)argument : other)) {
                ends[i].fd = -1;
                open--;
            }
    if (other >= 0) close(other);
    close((int)(long)argument);
    return NULL;
}

/* A numerical address, of either family. */
static socklen_t parse(const char *address, const char *port, struct sockaddr_storage *out) {
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;

    memset(out, 0, sizeof *out);
    v4->sin_port = htons(atoi(port)); /* at the same place in both */
    out->ss_family = AF_INET;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) return sizeof *v4;
    out->ss_family = AF_INET6;
    return inet_pton(AF_INET6, address, &v6->sin6_addr) == 1 ? sizeof *v6 : 0;
}

int main(int count, char **arguments) {
    struct sockaddr_storage at;
    const int one = 1;
    pthread_t thread;
    socklen_t bytes;
    int listener;

    forget = count == 5 && !strcmp(arguments[1], "--forget");
    if (count != 4 + forget ||
        !(bytes = parse(arguments[2 + forget], arguments[3 + forget], &at))) {
        fprintf(stderr, "usage: relay [--forget] NAME ADDRESS PORT\n");
        return 2;
    }
    name = arguments[1 + forget];
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    listener = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, bytes) || listen(listener, 1024)) {
        perror("relay: listen");
        return 1;
    }
    for (;;) {
        int accepted = accept(listener, NULL, NULL);
        if (accepted < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)(long)accepted))
            close(accepted);
        else
            pthread_detach(thread);
    }
}
