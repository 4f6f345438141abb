/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The data plane of one network namespace: every program but the NIC's XDP one and the far ends of
 * ports. */
#include "hooks/ale_connect.h"
#include "hooks/judge.h"
#include "hooks/port_down.h"
#include "hooks/port_forward.h"
#include "hooks/port_tc.h"
#include "hooks/redirect_names.h"
#include "hooks/sock_release.h"
#include "hooks/sockops.h"
#include "hooks/sockopt.h"
#include "hooks/tc_egress.h"
#include "hooks/tc_ingress.h"

char _license[] SEC("license") = "Dual BSD/GPL";
