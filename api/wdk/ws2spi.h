/* SPDX-License-Identifier: Apache-2.0
 * WSPIoctl and what it takes. */
#pragma once

#include "winsock2.h"
