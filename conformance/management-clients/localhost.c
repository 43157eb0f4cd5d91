/*
 * Preloaded into clients whose tests name localhost and the standard ports. LOCALHOST_PORTS,
 * "5672=127.80.3.1:5672 15672=127.80.3.1:15672", says where connections to these ports of
 * 127.0.0.1 lead instead, so that whatever else listens there is left alone. Connections to
 * these ports of ::1 are refused: clients try 127.0.0.1 next.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*connect_fn)(int, const struct sockaddr *, socklen_t);

static bool leads_to(in_port_t port, struct sockaddr_in *target)
{
    const char *entry = getenv("LOCALHOST_PORTS");
    while (entry != NULL) {
        unsigned from, to;
        char address[INET_ADDRSTRLEN];
        if (sscanf(entry, " %u=%15[0-9.]:%u", &from, address, &to) == 3 && from == ntohs(port)) {
            target->sin_port = htons((in_port_t)to);
            return inet_pton(AF_INET, address, &target->sin_addr) == 1;
        }
        entry = strchr(entry + 1, ' ');
    }
    return false;
}

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
    connect_fn next = (connect_fn)dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in target = {.sin_family = AF_INET};

    if (address != NULL && address->sa_family == AF_INET && length >= sizeof target) {
        const struct sockaddr_in *wanted = (const struct sockaddr_in *)address;
        if (wanted->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && leads_to(wanted->sin_port, &target))
            return next(socket, (const struct sockaddr *)&target, sizeof target);
    }
    if (address != NULL && address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *wanted = (const struct sockaddr_in6 *)address;
        if (IN6_IS_ADDR_LOOPBACK(&wanted->sin6_addr) && leads_to(wanted->sin6_port, &target)) {
            errno = ECONNREFUSED;
            return -1;
        }
    }
    return next(socket, address, length);
}
