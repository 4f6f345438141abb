/* SPDX-License-Identifier: Apache-2.0
 * Socket types, and the socket controls of redirection. Other socket functions are the system's own: a
 * file that calls them uses its headers and <sluice/wsa_functions.h>, not this. */
#pragma once

#include "ws2def.h"

#include <sluice/wsa_functions.h>
