// SPDX-License-Identifier: Apache-2.0
// Preloaded into a host by a test: on SIGRTMIN+5 the process forks a child that does nothing but keep copies of every
// descriptor and mapping. The child's pid is written to the file that FORKER_NOTE names.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int note = -1;

static void fork_child(int number)
{
    (void)number;
    // the raw call: no handlers of the C library run inside a signal handler
    long pid = syscall(SYS_fork);
    if (pid == 0) {
        for (;;)
            pause();
    }
    char text[24];
    int length = snprintf(text, sizeof text, "%ld", pid);
    if (note >= 0 && write(note, text, length) != length)
        _exit(1);
}

__attribute__((constructor)) static void install(void)
{
    const char *path = getenv("FORKER_NOTE");
    if (!path)
        return;
    note = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    struct sigaction action = {.sa_handler = fork_child, .sa_flags = SA_RESTART};
    sigaction(SIGRTMIN + 5, &action, NULL);
}
