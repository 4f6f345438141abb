/* SPDX-License-Identifier: Apache-2.0
 * Management functions and types, in their kernel-mode form: the result is an NTSTATUS. */
#pragma once

#include "ntdef.h"
