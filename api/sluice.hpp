// SPDX-License-Identifier: Apache-2.0
// The interface for C++17 and later: objects that own what they made, lambdas for the callbacks,
// exceptions that stay on this side of the C boundary. It adds no behaviour to the calls beneath.
#pragma once

#include "sluice/callout.hpp"
#include "sluice/classification.hpp"
#include "sluice/device.hpp"
#include "sluice/engine.hpp"
#include "sluice/error.hpp"
#include "sluice/filter.hpp"
#include "sluice/flow_context.hpp"
#include "sluice/hold.hpp"
#include "sluice/injection.hpp"
#include "sluice/packet.hpp"
#include "sluice/plugin.hpp"
#include "sluice/redirect.hpp"
#include "sluice/subscription.hpp"
#include "sluice/text.hpp"
