/* SPDX-License-Identifier: Apache-2.0
 * Written by api/generate.py from api/tables; change those, not this.
 * Errors of the socket controls. */
#pragma once

#define WSA_IO_PENDING 997
#define WSA_OPERATION_ABORTED 995
#define ERROR_INSUFFICIENT_BUFFER 122
#define WSAEINTR 10004
#define WSAEACCES 10013
#define WSAEFAULT 10014
#define WSAEINVAL 10022
#define WSAEINPROGRESS 10036
#define WSAENOTSOCK 10038
#define WSAEOPNOTSUPP 10045
#define WSAENETDOWN 10050
#define WSAENOTCONN 10057
#define SOCKET_ERROR (-1)
