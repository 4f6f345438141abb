/* SPDX-License-Identifier: Apache-2.0
 * Socket types for sources that include this for ws2def.h's sake. There are no socket functions:
 * a program that opens sockets uses the system's own headers and <sluice/fwp.h>. */
#pragma once

#include "ws2def.h"
