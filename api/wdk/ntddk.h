/* SPDX-License-Identifier: Apache-2.0
 * The driver model; see wdm.h. */
#pragma once

#include "wdm.h"
