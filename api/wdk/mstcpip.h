/* SPDX-License-Identifier: Apache-2.0
 * Control codes of redirected sockets (SIO_*_WFP_CONNECTION_REDIRECT_*), for WSAIoctl. */
#pragma once

#include "winsock2.h"
