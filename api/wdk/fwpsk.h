/* SPDX-License-Identifier: Apache-2.0
 * Run-time functions and types of callout drivers. */
#pragma once

#include "ndis.h"
#include "ws2def.h"
