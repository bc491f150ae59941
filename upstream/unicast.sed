# SPDX-License-Identifier: GPL-2.0
#
# sed -E: netlink has a function for a socket that is known.

/^\/\/! Netlink looks for the socket of a port/,/^\/\/! connector's\.$/c\
//! The sender of a request is known, and cannot close its socket before its `sendmsg(2)` has\
//! returned: for a reply netlink has nothing to look for.
/^    if let Some\(to\) = to \{$/,/^    \}$/d
/^    \/\/ SAFETY: By this function's contract\. Netlink takes skbs that have no owner\.$/,/^    \}$/c\
    let nonblock = c_int::from(!may_wait);\
    // SAFETY: By this function's contract. `netlink_unicast()` takes skbs that have no owner.\
    unsafe {\
        if let Some(to) = to {\
            return bindings::netlink_unicast_sock(netlink, skb, to.as_ptr(), nonblock);\
        }\
        bindings::skb_orphan(skb);\
        bindings::netlink_unicast(netlink, skb, portid, nonblock)\
    }
