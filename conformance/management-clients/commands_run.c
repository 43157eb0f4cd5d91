/*
 * Preloaded into rabbitmqadmin: adds to COMMANDS_RUN, a file, a line for each run of it when it
 * ends: its exit status, then its arguments, tabs between them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char line[8192];
static size_t length;

static void write_down(int status, void *unused)
{
    char whole[sizeof line + 16];
    int octets = snprintf(whole, sizeof whole, "%d%.*s\n", status, (int)length, line);
    int file = open(getenv("COMMANDS_RUN"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    (void)unused;
    /* In one piece, since several may end at a time. */
    if (file >= 0 && write(file, whole, (size_t)octets) < 0)
        perror("commands_run");
}

__attribute__((constructor)) static void remember(int count, char **arguments)
{
    if (getenv("COMMANDS_RUN") == NULL || strcmp(program_invocation_short_name, "rabbitmqadmin") != 0)
        return;
    for (int at = 1; at < count; at++) {
        size_t more = strlen(arguments[at]) + 1;
        if (length + more >= sizeof line)
            break;
        line[length] = '\t';
        memcpy(line + length + 1, arguments[at], more - 1);
        length += more;
    }
    on_exit(write_down, NULL);
}
