/* SPDX-License-Identifier: Apache-2.0
 * The user-mode management header. One library serves both here, so the result type is the
 * kernel-mode one; every status but success is non-zero either way. */
#pragma once

#include "ws2def.h"
