/* SPDX-License-Identifier: Apache-2.0
 * The socket controls of redirection, for a proxy in any process: no host, engine or driver is needed,
 * only that the data plane of the socket's network namespace is up. Part of libsluice; not in
 * <sluice/fwp.h>, since ported programs often bring SOCKET and closesocket of their own.
 *
 * Sockets are this system's descriptors, addresses and options are its own too. A proxy needs none of
 * this: getsockopt and setsockopt do the same (docs/redirect.md).
 *
 * Errors are per thread: a function that fails says so by its result, and WSAGetLastError why. */
#pragma once

#include "detail/base.h"
#include "detail/wsa_constants.h"
#include "fwp_constants.h"

typedef ULONG_PTR SOCKET;
#ifndef INVALID_SOCKET
#define INVALID_SOCKET ((SOCKET)~(SOCKET)0)
#endif
#define WSA_FLAG_OVERLAPPED 0x01u
#define WSA_IO_INCOMPLETE 996
#define WSA_INVALID_HANDLE 6
#define WSA_INVALID_PARAMETER 87
#define WSA_NOT_ENOUGH_MEMORY 8
#define WSA_MAXIMUM_WAIT_EVENTS 64u
#define WSA_WAIT_EVENT_0 0u
#define WSA_WAIT_IO_COMPLETION 0xC0u
#define WSA_WAIT_TIMEOUT 258u
#define WSA_WAIT_FAILED 0xFFFFFFFFu
#define WSA_INFINITE 0xFFFFFFFFu

/* An event is the number of an eventfd, readable while it is set: poll and epoll take it as it is. */
typedef HANDLE WSAEVENT;
#define WSA_INVALID_EVENT ((WSAEVENT)0)

/* Of an operation that goes on; the caller's, left alone until it is over. Internal is WSA_IO_PENDING
 * until then and the error (0: none) after; InternalHigh the bytes. */
typedef struct _WSAOVERLAPPED {
  ULONG_PTR Internal;
  ULONG_PTR InternalHigh;
  DWORD Offset;
  DWORD OffsetHigh;
  WSAEVENT hEvent; /* set when it is over; 0: none. Not set where there is a routine */
} WSAOVERLAPPED, *LPWSAOVERLAPPED;

/* Runs in the thread that began the operation, once that waits alertably. */
typedef VOID(NTAPI *LPWSAOVERLAPPED_COMPLETION_ROUTINE)(DWORD dwError, DWORD cbTransferred,
                                                        LPWSAOVERLAPPED lpOverlapped,
                                                        DWORD dwFlags);

typedef struct _WSATHREADID {
  HANDLE ThreadHandle;
  ULONG_PTR Reserved;
} WSATHREADID, *LPWSATHREADID;

/* WSAIoctl: one of three codes.
 *   SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS  of the socket that a proxy accepted: out
 *   SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT  likewise, what the callout attached
 *   SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS    of the socket that it is going to connect: in
 *
 * lpvInBuffer, cbInBuffer       SET: the records, as they were queried; else not read.
 * lpvOutBuffer, cbOutBuffer     queries: where they go; a size of 0 asks for the size. SET: cbOutBuffer
 *                               is 0.
 * lpcbBytesReturned             out: bytes written; SET: bytes of records that were taken, never 0; with
 *                               ERROR_INSUFFICIENT_BUFFER the bytes needed; else 0. May be NULL where
 *                               the call is overlapped, and is 0 then.
 * lpOverlapped,                 of a socket with the overlapped attribute: the call returns at once, and
 * lpCompletionRoutine           the event, the routine or WSAGetOverlappedResult tell of its end. Both
 *                               are ignored where the socket lacks it.
 *
 * 0, or SOCKET_ERROR with
 * WSA_IO_PENDING             it goes on
 * WSA_OPERATION_ABORTED      (its end) the socket was closed by closesocket, or the thread ended
 * ERROR_INSUFFICIENT_BUFFER  cbOutBuffer is too small
 * WSAEACCES                  neither an administrator nor the target of the redirection
 * WSAEFAULT                  a pointer is not of this address space, in whole
 * WSAEINPROGRESS             called inside a completion routine
 * WSAEINTR                   WSACancelBlockingCall
 * WSAEINVAL                  no such code; SET: cbOutBuffer is not 0, the records are malformed, altered,
 *                            of another compartment, or their connection ended more than 30 seconds ago;
 *                            a socket of no internet family
 * WSAENETDOWN                the data plane of the socket's namespace is not up, or has never redirected
 * WSAENOTCONN                query: the connection was not redirected, or has no context
 * WSAENOTSOCK                no socket
 * WSAEOPNOTSUPP              a protocol other than TCP and UDP: it has no records
 * Any thread. Pages: WSAIoctl, SIO_*_WFP_CONNECTION_REDIRECT_*. */
SLUICE_API INT NTAPI WSAIoctl(SOCKET s, DWORD dwIoControlCode, VOID *lpvInBuffer, DWORD cbInBuffer,
                              VOID *lpvOutBuffer, DWORD cbOutBuffer, DWORD *lpcbBytesReturned,
                              LPWSAOVERLAPPED lpOverlapped,
                              LPWSAOVERLAPPED_COMPLETION_ROUTINE lpCompletionRoutine);

/* WSPIoctl: the same; the error goes to *lpErrno and not to WSAGetLastError.
 * lpThreadId  not read: routines run in the calling thread.
 * lpErrno     out; NULL or not writable: nobody is told the error. */
SLUICE_API INT NTAPI WSPIoctl(SOCKET s, DWORD dwIoControlCode, VOID *lpvInBuffer, DWORD cbInBuffer,
                              VOID *lpvOutBuffer, DWORD cbOutBuffer, DWORD *lpcbBytesReturned,
                              LPWSAOVERLAPPED lpOverlapped,
                              LPWSAOVERLAPPED_COMPLETION_ROUTINE lpCompletionRoutine,
                              LPWSATHREADID lpThreadId, INT *lpErrno);

/* The calling thread's last error. It is not cleared by success. */
SLUICE_API INT NTAPI WSAGetLastError(VOID);
SLUICE_API VOID NTAPI WSASetLastError(INT iError);

/* WSAGetOverlappedResult: what became of an overlapped call.
 * s               not read.
 * lpcbTransfer    out: bytes.
 * fWait           not 0: waits for its end.
 * lpdwFlags       out, optional: 0.
 * TRUE, or FALSE with the operation's own error; WSA_IO_INCOMPLETE: it goes on; WSAEFAULT: a pointer.
 * Any thread. */
SLUICE_API BOOL NTAPI WSAGetOverlappedResult(SOCKET s, LPWSAOVERLAPPED lpOverlapped,
                                             DWORD *lpcbTransfer, BOOL fWait, DWORD *lpdwFlags);

/* WSASocketW: socket(), of this system's or Windows' family number.
 * lpProtocolInfo  NULL. g: 0.
 * dwFlags         0, or WSA_FLAG_OVERLAPPED: it has the overlapped attribute.
 * The descriptor (close-on-exec), or INVALID_SOCKET with WSAEINVAL, WSAEACCES, WSAEOPNOTSUPP. */
SLUICE_API SOCKET NTAPI WSASocketW(INT af, INT type, INT protocol, VOID *lpProtocolInfo, UINT32 g,
                                   DWORD dwFlags);

/* SluiceSocketSetOverlapped0: gives the attribute to a descriptor that accept() or socket() made, or
 * takes it. 0, or SOCKET_ERROR with WSAENOTSOCK. Windows: accepted sockets have their listener's. */
SLUICE_API INT NTAPI SluiceSocketSetOverlapped0(SOCKET s, BOOL overlapped);

/* closesocket: close(); overlapped calls that go on end with WSA_OPERATION_ABORTED, before it returns.
 * A socket with the attribute must be closed so. 0, or SOCKET_ERROR with WSAENOTSOCK. */
SLUICE_API INT NTAPI closesocket(SOCKET s);

/* WSACancelBlockingCall: the synchronous WSAIoctl and WSPIoctl calls that are going on in this process
 * fail with WSAEINTR; what a SET has done by then stands. 0, or SOCKET_ERROR with WSAEINVAL: there is
 * none. Windows: of the calling thread, from its blocking hook. */
SLUICE_API INT NTAPI WSACancelBlockingCall(VOID);

/* Events, as manual-reset ones: WSA_INVALID_EVENT with WSA_NOT_ENOUGH_MEMORY, FALSE with
 * WSA_INVALID_HANDLE. */
SLUICE_API WSAEVENT NTAPI WSACreateEvent(VOID);
SLUICE_API BOOL NTAPI WSACloseEvent(WSAEVENT hEvent);
SLUICE_API BOOL NTAPI WSASetEvent(WSAEVENT hEvent);
SLUICE_API BOOL NTAPI WSAResetEvent(WSAEVENT hEvent);

/* WSAWaitForMultipleEvents: until one is set or, with fWaitAll, all are.
 * dwTimeout   milliseconds, or WSA_INFINITE.
 * fAlertable  not 0: completion routines of this thread run, and it returns then.
 * WSA_WAIT_EVENT_0 + the first one's place, WSA_WAIT_TIMEOUT, WSA_WAIT_IO_COMPLETION, or
 * WSA_WAIT_FAILED with WSA_INVALID_PARAMETER (count) or WSA_INVALID_HANDLE. */
SLUICE_API DWORD NTAPI WSAWaitForMultipleEvents(DWORD cEvents, const WSAEVENT *lphEvents,
                                                BOOL fWaitAll, DWORD dwTimeout, BOOL fAlertable);

/* SleepEx: for so many milliseconds, or WSA_INFINITE. bAlertable as above. 0, or
 * WSA_WAIT_IO_COMPLETION. */
SLUICE_API DWORD NTAPI SleepEx(DWORD dwMilliseconds, BOOL bAlertable);
